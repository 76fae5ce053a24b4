//! `plugin replay`.
use std::path::{Path, PathBuf};

use authoring::Failure;
use authoring::project::Project;
use authoring::recording::{Part, Recording, Replayed, replay as replayed};
use authoring::trial::{CodeCache, plugin_in};
use domain::port::{KnownPlugin, PluginCatalog as _, PluginError};
use sandbox::Sandbox;
use serde::Serialize;

use super::check::{is_no_folder, say_compiling, unreadable};
use super::failure::show_failure;
use crate::args::Replay;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::{Output, clean};
use crate::render;
use crate::session::sandbox_config;

/// What came of a replay, for programs.
#[derive(Serialize)]
struct Shown {
    recording: String,
    plugin: String,
    digest: String,
    /// Where the component comes from: `named`, `project` or `kept`.
    origin: &'static str,
    /// Its file, unless this host keeps it.
    component: Option<String>,
    recorded_digest: Option<String>,
    is_other_component: bool,
    equal: bool,
    /// Where it first differs.
    divergence: Option<ShownDivergence>,
    /// How the stage failed in the replay, if it did by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

#[derive(Serialize)]
struct ShownDivergence {
    part: String,
    message: String,
    diff: String,
}

/// Where the component comes from that a recording is replayed with.
enum Origin {
    /// It is named on the command line.
    Named(PathBuf),
    /// A project has built it.
    Project(PathBuf),
    /// This host has the one that was recorded.
    Kept,
}

impl Origin {
    /// For people, and without the digest.
    fn in_words(&self) -> String {
        match self {
            Origin::Named(file) => format!("`{}`", file.display()),
            Origin::Project(file) => format!("`{}`, which the project has built", file.display()),
            Origin::Kept => "the plugin that this host keeps".to_owned(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Origin::Named(_) => "named",
            Origin::Project(_) => "project",
            Origin::Kept => "kept",
        }
    }

    fn file(&self) -> Option<String> {
        match self {
            Origin::Named(file) | Origin::Project(file) => Some(file.display().to_string()),
            Origin::Kept => None,
        }
    }
}

pub(super) async fn replay(
    config: &Config,
    output: &Output,
    asked: &Replay,
) -> Result<Exit, Error> {
    let recording = Recording::read(&asked.recording).map_err(unreadable)?;
    let (sandbox, _cache) = open_sandbox(config, asked)?;
    let (plugin, origin) = match &asked.component {
        Some(file) => (plugin_in_file(&sandbox, file, output)?, Origin::Named(file.clone())),
        None => match of_project(&sandbox, &recording, asked, output) {
            Some((plugin, file)) => (plugin, Origin::Project(file)),
            None => (kept(&sandbox, &recording)?, Origin::Kept),
        },
    };
    let done = replayed(&sandbox, &recording, &plugin).await;
    if output.is_json() {
        output.document(&shown(asked, &recording, &plugin, &origin, &done));
    } else {
        tell(output, &recording, &plugin, &done);
        output.line(&told_origin(&recording, &plugin, &origin, done.is_other_component));
    }
    match done.divergence {
        None => Ok(Exit::Done),
        // Where it diverges has been told.
        Some(_) => Err(Error::CheckFailed("the replay is not equal to the recording".to_owned())),
    }
}

/// The plugins of the data folder and those inside the program. Where there is no data folder, no plugins are looked for
/// in one.
fn open_sandbox(config: &Config, asked: &Replay) -> Result<(Sandbox, CodeCache), Error> {
    let near = asked.component.as_ref().unwrap_or(&asked.recording);
    let cache = CodeCache::open(&config.data_dir, near)?;
    let sandbox =
        sandbox::Config { cache_dir: cache.folder().to_owned(), ..sandbox_config(config) };
    Ok((Sandbox::open(sandbox)?, cache))
}

fn plugin_in_file(sandbox: &Sandbox, file: &Path, output: &Output) -> Result<KnownPlugin, Error> {
    is_no_folder(file)?;
    plugin_in(sandbox, file, &mut || say_compiling(output)).map_err(unreadable)
}

/// What the project around the recording, or else around the working folder, has built: whoever changes a plugin wants to
/// know what that changes. What is not the plugin of the recording, or cannot be used, is passed over.
fn of_project(
    sandbox: &Sandbox,
    recording: &Recording,
    asked: &Replay,
    output: &Output,
) -> Option<(KnownPlugin, PathBuf)> {
    let places = [asked.recording.as_path(), Path::new(".")];
    let mut files: Vec<PathBuf> =
        places.into_iter().filter_map(Project::around).map(|project| project.component()).collect();
    files.dedup();
    let recorded = &recording.plugin.name;
    for file in files.into_iter().filter(|file| file.is_file()) {
        let why_not = match plugin_in_file(sandbox, &file, output) {
            Ok(plugin) if plugin.info.name == *recorded => return Some((plugin, file)),
            Ok(plugin) => format!("it is `{}`, and recorded was `{recorded}`", plugin.info.name),
            Err(error) => format!("it cannot be used: {}", without_place(&error)),
        };
        say_passed_over(&file, &why_not, output);
    }
    None
}

/// Nobody may take what a host keeps for what they have just built.
fn say_passed_over(file: &Path, why_not: &str, output: &Output) {
    let (paint, file) = (output.paint_notes(), file.display());
    let told = format!("`{file}`, which the project has built, is passed over: {why_not}");
    output.note(&format!("{} {}", paint.waiting("note:"), clean(&told)));
    output.note(&format!("{} say with `--component FILE` which one is meant", paint.good("hint:")));
}

/// What is wrong, of which the file is told already.
fn without_place(error: &Error) -> String {
    match error {
        Error::Authoring(authoring::Error::Plugin(PluginError::Unfit { findings, .. })) => {
            findings.join("; ")
        }
        other => other.to_string(),
    }
}

fn kept(sandbox: &Sandbox, recording: &Recording) -> Result<KnownPlugin, Error> {
    let Some(digest) = &recording.plugin.digest else {
        return Err(Error::Usage {
            message: "the recording names no digest, so that no plugin can be found by it"
                .to_owned(),
            hint: Some("name the component with `--component FILE`".to_owned()),
        });
    };
    // Of a plugin that was removed, the copy of the run that was recorded may be left.
    sandbox.bound(digest).map_err(|error| match error {
        PluginError::Unknown { .. } => Error::Refused {
            message: format!(
                "no plugin on this host has the digest that the recording names: `{}@{}`, {digest}",
                recording.plugin.name, recording.plugin.version
            ),
            hint: "name its component with `--component FILE`, or the data folder that has it with `--data-dir DIR`",
        },
        damaged @ (PluginError::Unfit { .. } | PluginError::Io { .. }) => {
            Error::Authoring(authoring::Error::Plugin(damaged))
        }
    })
}

fn shown(
    asked: &Replay,
    recording: &Recording,
    plugin: &KnownPlugin,
    origin: &Origin,
    done: &Replayed,
) -> Shown {
    let divergence = done.divergence.as_ref().map(|divergence| ShownDivergence {
        part: divergence.part.to_string(),
        message: divergence.message.clone(),
        diff: divergence.diff.clone(),
    });
    Shown {
        recording: asked.recording.display().to_string(),
        plugin: format!("{}@{}", plugin.info.name, plugin.info.version),
        digest: plugin.digest.to_string(),
        origin: origin.code(),
        component: origin.file(),
        recorded_digest: recording.plugin.digest.as_ref().map(ToString::to_string),
        is_other_component: done.is_other_component,
        equal: done.divergence.is_none(),
        divergence,
        failure: done.failure(),
    }
}

/// What was run, and whether that is what was recorded: without it nobody knows what `equal` is said of.
fn told_origin(
    recording: &Recording,
    plugin: &KnownPlugin,
    origin: &Origin,
    is_other_component: bool,
) -> String {
    let compared = match &recording.plugin.digest {
        Some(recorded) if is_other_component => {
            format!("; recorded was another component: {}", recorded.short())
        }
        Some(_) => "; it is the recorded component".to_owned(),
        None => String::new(),
    };
    clean(&format!("replayed with {}: {}{compared}", plugin.digest.short(), origin.in_words()))
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
    // Where the outcome differs, the difference has it already.
    if let Some(failure) = done.failure().filter(|_| divergence.part != Part::Outcome) {
        show_failure(output, &failure);
    }
}
