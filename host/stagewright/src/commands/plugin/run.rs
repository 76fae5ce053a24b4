//! `plugin run`: one stage, done once, outside of any run.
//!
//! Its questions are in no records, and are not held against the budgets of the day; what one trial may spend is bounded
//! by them all the same.
mod answers;
mod told;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use authoring::context::Input;
use authoring::exchange::{HttpExchange, HttpScript};
use authoring::fixtures::INPUT_FILE;
use authoring::recording::Recording;
use authoring::trial::{Trial, Tried, Workshop};
use domain::Artifact;
use domain::port::KnownPlugin;

use self::answers::Answers;
use self::told::Told;
use super::check::{is_no_folder, say_compiling, unreadable};
use crate::args::RunPlugin;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::{Output, clean};
use crate::render;
use crate::session::{command_line, in_a_shell};

pub(super) async fn run(
    config: &Config,
    output: &Output,
    asked: &RunPlugin,
) -> Result<Exit, Error> {
    is_no_folder(&asked.component)?;
    // Everything that a person wrote is read before a component is compiled, which can take half a minute.
    let place = input_file(&asked.input);
    let input = Input::read(&place).map_err(unreadable)?;
    let answers = Answers::open(config, asked, &input.limits)?;
    let responses = asked.responses.iter().map(|path| HttpExchange::read(path).map_err(unreadable));
    let responses = responses.collect::<Result<_, Error>>()?;
    let workshop = Workshop::open(&config.data_dir, &asked.component)?;
    let plugin =
        workshop.plugin(&asked.component, &mut || say_compiling(output)).map_err(unreadable)?;
    let trial = Trial::prepare(&plugin, input, &place)?;
    let network = trial.network(responses);
    warn(output, &missing(&trial));
    let tried = trial.run(workshop.sandbox(), answers.models(), network.clone()).await;
    warn(output, &answers.unused());
    warn(output, &network.as_deref().map(unsent).unwrap_or_default());
    if let Some(path) = &asked.record {
        write_recording(&trial, &plugin, &tried, path)?;
        output.note(&format!("recorded in `{}`", clean(&path.display().to_string())));
    }
    if let (Ok(made), Some(folder)) = (&tried.attempt.outcome, &asked.to) {
        made.artifacts.iter().try_for_each(|artifact| write_artifact(folder, artifact))?;
    }
    let told = Told {
        plugin: &plugin,
        stage: &trial.job().context.stage_key,
        answers: answers.in_words(),
        tried: &tried,
        missing: answers.missing().or_else(|| network.as_deref().and_then(HttpScript::problem)),
        folder: asked.to.as_deref(),
        reproduce: reproduce(config, asked),
    };
    told.say(output);
    Ok(if tried.attempt.outcome.is_ok() { Exit::Done } else { Exit::Refused })
}

/// Of a fixture, that is its file.
fn input_file(input: &Path) -> PathBuf {
    if input.is_dir() { input.join(INPUT_FILE) } else { input.to_owned() }
}

fn warn(output: &Output, warnings: &[String]) {
    for warning in warnings {
        let word = output.paint_notes().waiting("warning:");
        output.note(&format!("{word} {}", clean(warning)));
    }
}

fn missing(trial: &Trial) -> Vec<String> {
    let missing = trial.missing_needs().into_iter().map(|name| {
        format!("the stage needs `{name}`, and the input does not have it among its `artifacts`: no run would begin the stage")
    });
    missing.collect()
}

fn unsent(network: &HttpScript) -> Vec<String> {
    let sent_count = network.sent().len();
    let count = sent_count + network.unused_count();
    if network.unused_count() == 0 {
        return Vec::new();
    }
    let sent = render::counted(sent_count as u64, "HTTP request", "HTTP requests");
    let given = render::counted(count as u64, "response was given", "responses were given");
    vec![format!("the stage sent {sent}, and {given}")]
}

fn write_recording(
    trial: &Trial,
    plugin: &KnownPlugin,
    tried: &Tried,
    path: &Path,
) -> Result<(), Error> {
    let mut recording = Recording::of(
        trial.job().clone(),
        plugin.contract_version.parse().ok(),
        tried.exchanges.clone(),
        tried.attempt.outcome.clone(),
        tried.attempt.log.clone(),
    );
    recording.requests.clone_from(&tried.requests);
    Ok(recording.write(path)?)
}

/// Writes an artifact into the folder, and nowhere else: its name is one segment of a path, and a link that lies there is
/// replaced, not followed.
fn write_artifact(folder: &Path, artifact: &Artifact) -> Result<(), Error> {
    let path = folder.join(artifact.name.as_str());
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        match std::fs::symlink_metadata(&path) {
            Ok(there) if !there.is_dir() => std::fs::remove_file(&path)?,
            Ok(_) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.write_all(artifact.body.as_bytes())
    });
    written.map_err(|source| Error::Io { what: path.display().to_string(), source })
}

/// The command that does the same again.
fn reproduce(config: &Config, asked: &RunPlugin) -> String {
    let mut line =
        format!("plugin run {} --input {}", in_a_shell(&asked.component), in_a_shell(&asked.input));
    for answer in &asked.answers {
        line.push_str(&format!(" --answer {}", in_a_shell(answer)));
    }
    for response in &asked.responses {
        line.push_str(&format!(" --response {}", in_a_shell(response)));
    }
    if let Some(provider) = &asked.provider {
        line.push_str(&format!(" --provider {}", in_a_shell(Path::new(provider))));
    }
    if let Some(model) = &asked.model {
        line.push_str(&format!(" --model {}", in_a_shell(Path::new(model))));
    }
    command_line(config, &line)
}
