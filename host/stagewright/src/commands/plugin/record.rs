//! `plugin record`.
use std::path::Path;

use authoring::recording::{FORMAT_VERSION, Recording};
use serde::Serialize;

use super::replay::asked_in_words;
use crate::args::{OneRun, Record};
use crate::commands::runs::run_id;
use crate::error::{Error, Exit};
use crate::session::{Session, in_a_shell};

/// What was written, for programs.
#[derive(Serialize)]
struct Recorded {
    file: String,
    format_version: u32,
    plugin: String,
    stage: String,
    attempt: u32,
    question_count: usize,
    http_request_count: usize,
    succeeded: bool,
    next: String,
}

pub(in crate::commands) async fn record(
    session: &Session<'_>,
    asked: Record,
) -> Result<Exit, Error> {
    if asked.to.exists() {
        return Err(Error::Refused {
            message: format!("the file exists: `{}`", asked.to.display()),
            hint: "name another file, or remove it first",
        });
    }
    let run = run_id(session, &OneRun { run: asked.run }).await?;
    let text = session.client.recording(&run, &asked.stage, asked.attempt).await?;
    // What a newer server gives is told here, and not at the replay.
    let recording = Recording::parse(&text, &asked.to)?;
    write(&asked.to, &text)?;
    let plugin = &recording.plugin;
    let recorded = Recorded {
        format_version: FORMAT_VERSION,
        plugin: format!("{}@{}", plugin.name, plugin.version),
        stage: recording.context.stage_key.to_string(),
        attempt: recording.context.attempt,
        question_count: recording.exchanges.len(),
        http_request_count: recording.requests.len(),
        succeeded: recording.outcome.is_ok(),
        next: session.command_line(&format!("plugin replay {}", in_a_shell(&asked.to))),
        file: asked.to.display().to_string(),
    };
    if session.output.is_json() {
        session.output.document(&recorded);
        return Ok(Exit::Done);
    }
    let ended = if recorded.succeeded { "succeeded" } else { "failed" };
    let asked = asked_in_words(&recording);
    session.output.line(&format!(
        "recorded `{}`: attempt {} at stage `{}` with {}, which {ended}; {asked}",
        recorded.file, recorded.attempt, recorded.stage, recorded.plugin
    ));
    session.output.line(&format!("next: {}", recorded.next));
    session.output.line(
        "      (in the plugin's project that is with what it has built, elsewhere with the recorded component)",
    );
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::Io {
        what: format!("`{}` cannot be written", path.display()),
        source,
    })
}
