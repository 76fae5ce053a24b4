//! Has the person at the terminal change a text in the editor of their choice.
use std::path::Path;
use std::process::Command;

use control_api::dto::ArtifactDto;

use crate::diff;
use crate::error::Error;
use crate::output::clean;
use crate::prompt;
use crate::render;
use crate::session::Session;

/// What is started where nobody says what: POSIX has it.
const EDITOR_DEFAULT: &str = "vi";
/// Largest text that comes back from an editor, in bytes: more than the host accepts, so that it says what is too long.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// An artifact's text as the person wants it; `None` if they changed nothing, or thought better of it.
pub(crate) async fn changed(
    session: &Session<'_>,
    run_id: &str,
    artifact: &ArtifactDto,
) -> Result<Option<String>, Error> {
    let ArtifactDto { stage, name, version, media_type, .. } = artifact;
    let (_, old) = session.client.artifact(run_id, stage, name, Some(*version)).await?;
    let mut text = old.clone();
    loop {
        text = edited(session, name, text).await?;
        let difference = diff::between(name, &old, &text);
        if difference.is_empty() {
            session.output.note("  nothing was changed");
            return Ok(None);
        }
        let paint = session.output.paint_notes();
        session.output.note(&format!("\n{}\n", diff::painted(&difference, paint)));
        // The host would refuse it, and the text would be lost.
        let misfit = engine::text_misfit(media_type, &text);
        let (asked, answers, letters) = match &misfit {
            None => ("Grant with this text?", "[y]es  [e]dit on  [n]o:", "y, e or n"),
            Some(_) => ("Correct it?", "[e]dit on  [n]o:", "e or n"),
        };
        if let Some(why) = &misfit {
            session.output.note(&format!("{} the text is {}", paint.bad("error:"), clean(why)));
        }
        let question = format!("{} {asked} {} ", paint.waiting("?"), paint.dim(answers));
        loop {
            match prompt::line(session.output, &question).await.as_deref() {
                Some("y" | "yes" | "g" | "grant") if misfit.is_none() => return Ok(Some(text)),
                Some("e" | "edit") => break,
                Some("n" | "no") | None => return Ok(None),
                Some(_) => session.output.note(&format!("  type {letters}")),
            }
        }
    }
}

async fn edited(session: &Session<'_>, name: &str, text: String) -> Result<String, Error> {
    let editor = session.config.editor.clone().unwrap_or_else(|| EDITOR_DEFAULT.to_owned());
    // An artifact's name is a file name; its ending tells the editor what it is.
    let name = name.to_owned();
    let editing = tokio::task::spawn_blocking(move || edit_blocking(&editor, &name, &text));
    match editing.await {
        Ok(edited) => edited,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

fn edit_blocking(editor: &str, name: &str, text: &str) -> Result<String, Error> {
    let unusable = |source: std::io::Error| Error::Io {
        what: "the text to edit cannot be kept in a temporary file".to_owned(),
        source,
    };
    // Removed when it is dropped; nobody else can look into it.
    let folder = tempfile::Builder::new().prefix("stagewright-").tempdir().map_err(unusable)?;
    let path = folder.path().join(name);
    std::fs::write(&path, text).map_err(unusable)?;
    let failed = |detail: String| Error::Refused {
        message: format!("the editor `{editor}` did not end well: {detail}"),
        hint: "set `VISUAL` or `EDITOR` to an editor that waits, e.g. `nano` or `code --wait`",
    };
    let status = command(editor, &path).status().map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    let size = std::fs::metadata(&path).map_err(unusable)?.len();
    if size > TEXT_BYTES_MAX {
        let (found, max) = (render::size(size), render::size(TEXT_BYTES_MAX));
        return Err(Error::usage(format!("the edited text has {found}, more than {max}")));
    }
    let bytes = std::fs::read(&path).map_err(unusable)?;
    String::from_utf8(bytes).map_err(|_| Error::usage("the edited text is not UTF-8"))
}

/// As other programs do it: the shell splits the setting, which may have options, and hands on the path as it is.
#[cfg(unix)]
fn command(editor: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(path);
    command
}

#[cfg(not(unix))]
fn command(editor: &str, path: &Path) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(EDITOR_DEFAULT));
    command.args(words).arg(path);
    command
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_editor_may_have_options_and_its_text_comes_back() {
        let edited = edit_blocking("sed -i -e s/bees/wasps/", "a b.md", "bees\n").unwrap();
        assert_eq!(edited, "wasps\n");
    }

    #[test]
    fn an_editor_that_fails_or_is_not_there_is_named() {
        for editor in ["false", "there-is-no-such-editor"] {
            let error = edit_blocking(editor, "a.md", "bees\n").unwrap_err();
            assert!(error.to_string().contains(&format!("the editor `{editor}`")), "{error}");
            assert!(error.hint().is_some());
        }
    }
}
