//! `plugin replay`.
use authoring::recording::{Recording, Replayed, replay as replayed};
use domain::plan::PluginRef;
use domain::port::{KnownPlugin, PluginCatalog as _};
use sandbox::Sandbox;
use serde::Serialize;
use tempfile::TempDir;

use super::check::unreadable;
use crate::args::Replay;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::render;
use crate::session::sandbox_config;

/// What came of a replay, for programs.
#[derive(Serialize)]
struct Shown {
    recording: String,
    plugin: String,
    digest: String,
    recorded_digest: Option<String>,
    is_other_component: bool,
    equal: bool,
    /// Where it first differs.
    divergence: Option<ShownDivergence>,
}

#[derive(Serialize)]
struct ShownDivergence {
    part: String,
    message: String,
    diff: String,
}

pub(super) async fn replay(
    config: &Config,
    output: &Output,
    asked: &Replay,
) -> Result<Exit, Error> {
    let recording = Recording::read(&asked.recording).map_err(unreadable)?;
    let (sandbox, _temporary) = open_sandbox(config)?;
    let plugin = plugin(&sandbox, &recording, asked)?;
    let done = replayed(&sandbox, &recording, &plugin).await;
    if output.is_json() {
        output.document(&shown(asked, &recording, &plugin, &done));
    } else {
        tell(output, &recording, &plugin, &done);
    }
    match done.divergence {
        None => Ok(Exit::Done),
        // Where it diverges has been told.
        Some(_) => Err(Error::CheckFailed("the replay is not equal to the recording".to_owned())),
    }
}

/// The plugins of the data folder and those inside the program. Where there is no data folder, none is made.
fn open_sandbox(config: &Config) -> Result<(Sandbox, Option<TempDir>), Error> {
    let mut sandbox = sandbox_config(config);
    if config.data_dir.is_dir() {
        return Ok((Sandbox::open(sandbox)?, None));
    }
    let temporary = tempfile::tempdir().map_err(|source| Error::Io {
        what: "there is no place for compiled code".to_owned(),
        source,
    })?;
    sandbox.cache_dir = temporary.path().to_owned();
    Ok((Sandbox::open(sandbox)?, Some(temporary)))
}

fn plugin(sandbox: &Sandbox, recording: &Recording, asked: &Replay) -> Result<KnownPlugin, Error> {
    if let Some(component) = &asked.component {
        let reference = PluginRef::Path(component.display().to_string());
        let found = sandbox.find(&reference, None);
        return found.map_err(|error| unreadable(authoring::Error::Plugin(error)));
    }
    let Some(digest) = &recording.plugin.digest else {
        return Err(Error::Usage {
            message: "the recording names no digest, so that no plugin can be found by it"
                .to_owned(),
            hint: Some("name the component with `--component FILE`".to_owned()),
        });
    };
    sandbox.find(&PluginRef::Digest(digest.clone()), None).map_err(|_| Error::Refused {
        message: format!(
            "no plugin on this host has the digest that the recording names: `{}@{}`, {digest}",
            recording.plugin.name, recording.plugin.version
        ),
        hint: "name its component with `--component FILE`, or the data folder that has it with `--data-dir DIR`",
    })
}

fn shown(asked: &Replay, recording: &Recording, plugin: &KnownPlugin, done: &Replayed) -> Shown {
    let divergence = done.divergence.as_ref().map(|divergence| ShownDivergence {
        part: divergence.part.to_string(),
        message: divergence.message.clone(),
        diff: divergence.diff.clone(),
    });
    Shown {
        recording: asked.recording.display().to_string(),
        plugin: format!("{}@{}", plugin.info.name, plugin.info.version),
        digest: plugin.digest.to_string(),
        recorded_digest: recording.plugin.digest.as_ref().map(ToString::to_string),
        is_other_component: done.is_other_component,
        equal: done.divergence.is_none(),
        divergence,
    }
}

/// How often a recorded attempt asked a model and, if it did at all, another host.
pub(super) fn asked_in_words(recording: &Recording) -> String {
    let questions = render::counted(recording.exchanges.len() as u64, "question", "questions");
    match recording.requests.len() as u64 {
        0 => questions,
        count => {
            format!("{questions}, {}", render::counted(count, "HTTP request", "HTTP requests"))
        }
    }
}

fn tell(output: &Output, recording: &Recording, plugin: &KnownPlugin, done: &Replayed) {
    if let (true, Some(recorded)) = (done.is_other_component, &recording.plugin.digest) {
        output.note(&format!(
            "another component than the recorded one: {} instead of {}",
            plugin.digest.short(),
            recorded.short()
        ));
    }
    let paint = output.paint();
    let name = format!("`{}@{}`", plugin.info.name, plugin.info.version);
    let Some(divergence) = &done.divergence else {
        let ended = match &recording.outcome {
            Ok(recorded) => {
                render::counted(recorded.artifacts.len() as u64, "artifact", "artifacts")
            }
            Err(fault) => format!("failed with `{}`", fault.kind.code()),
        };
        let asked = asked_in_words(recording);
        output.line(&format!("{} {name}: {asked}, {ended}", paint.good("equal")));
        return;
    };
    let word = paint.bad("diverges");
    output.line(&format!("{word} {name} at {}: {}", divergence.part, divergence.message));
    if !divergence.diff.is_empty() {
        output.diff(&divergence.diff);
    }
}
