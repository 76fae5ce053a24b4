//! A recording: one attempt at a stage as one file, that any later host can do again.
//!
//! It holds what the stage was told, every question with what came of it, and what the stage left behind. It is JSON that
//! a person can write, too: what is not said gets the values of a fixture. It holds what the run holds, and nothing of
//! any configuration.
//!
//! Invariant: what a stage sees, JSON as text included, is recorded byte by byte.
mod fault;
mod form;
mod replay;
#[cfg(test)]
mod tests;

use std::path::Path;

use domain::plan::PinnedPlugin;
use domain::port::StageJob;
use domain::stage::{ArtifactSpec, StageContext, StageLog, StageOutput};
use domain::{Digest, Fault, Limits};
use profile::Problem;
use sandbox::CONTRACT_VERSION;
use semver::Version;

pub(crate) use fault::FaultForm;
use form::{Header, RecordingForm};
pub use replay::{Divergence, Part, Replayed, replay};

use crate::Error;
use crate::context::read_text;
use crate::exchange::{Exchange, HttpExchange, parse_json};

/// What the file says that it is.
pub const FORMAT: &str = "stagewright-recording";
/// The version of the file's form. A host reads this one and every earlier one.
pub const FORMAT_VERSION: u32 = 1;
/// How the name of such a file ends.
pub const FILE_SUFFIX: &str = ".recording.json";
/// Where a recording comes from.
const RECORDING_HINT: &str = "take one with `stagewright plugin record RUN STAGE --to FILE`";

/// One attempt at a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The contract version that the plugin was built for; `None` where nobody said it.
    pub contract_version: Option<Version>,
    /// The plugin.
    pub plugin: RecordedPlugin,
    /// What it might use up.
    pub limits: Limits,
    /// The artifacts that it had to make; `None`: those that the plugin announces.
    pub makes: Option<Vec<ArtifactSpec>>,
    /// What it was told.
    pub context: StageContext,
    /// What it asked, in its order.
    pub exchanges: Vec<Exchange>,
    /// What it sent to other hosts, in its order.
    pub requests: Vec<HttpExchange>,
    /// What it made, or what went wrong.
    pub outcome: Result<StageOutput, Fault>,
    /// What it logged. A replay does not compare it.
    pub log: StageLog,
}

/// A plugin, as far as a recording names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPlugin {
    /// The name it gave itself.
    pub name: String,
    /// The version it gave itself.
    pub version: String,
    /// Digest of its bytes; `None` where a person wrote the file for whichever component comes.
    pub digest: Option<Digest>,
}

impl From<PinnedPlugin> for RecordedPlugin {
    fn from(plugin: PinnedPlugin) -> Self {
        Self { name: plugin.name, version: plugin.version, digest: Some(plugin.digest) }
    }
}

impl Recording {
    /// The recording of an attempt that was just made, or is read from a run.
    pub fn of(
        job: StageJob,
        contract_version: Option<Version>,
        exchanges: Vec<Exchange>,
        outcome: Result<StageOutput, Fault>,
        log: StageLog,
    ) -> Self {
        Self {
            contract_version,
            plugin: job.plugin.into(),
            limits: job.limits,
            makes: Some(job.makes),
            context: job.context,
            exchanges,
            requests: Vec::new(),
            outcome,
            log,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Problems`] if it is no recording or one of a newer host.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&read_text(path)?, path)
    }

    /// Understands the text of the file at `path`.
    ///
    /// # Errors
    /// [`Error::Problems`] if it is no recording or one of a newer host.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        // What a newer form has beside this is not understood, and is not the problem then.
        let header: Header = parse_json(text, path).map_err(with_hint)?;
        header.check(path)?;
        let form: RecordingForm = parse_json(text, path)?;
        form.into_recording(path)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let form = RecordingForm::of(self);
        let mut text = serde_json::to_string_pretty(&form)
            .expect("the form has texts as keys, and numbers that are finite");
        text.push('\n');
        text
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, self.to_json()).map_err(|cause| Error::io(path, cause))
    }
}

/// What is not even JSON is most likely another file than the one that was meant.
fn with_hint(error: Error) -> Error {
    let Error::Problems(problems) = error else { return error };
    let problems = problems.items().iter().cloned();
    Error::Problems(problems.map(|problem| problem.with_hint(RECORDING_HINT)).collect())
}

impl Header {
    fn check(&self, path: &Path) -> Result<(), Error> {
        let refuse = |message: String, hint: &str| {
            let problem = Problem::of_file(path.display().to_string(), message).with_hint(hint);
            Err(Error::Problems(problem.into()))
        };
        if self.format.as_deref() != Some(FORMAT) {
            let message = format!("it is no recording: it does not say `\"format\": \"{FORMAT}\"`");
            return refuse(message, RECORDING_HINT);
        }
        match self.version {
            Some(version) if version > u64::from(FORMAT_VERSION) => {
                let message = format!(
                    "it is a recording of version {version}, and this host reads those up to {FORMAT_VERSION}"
                );
                return refuse(message, "replay it with the host that wrote it, or a newer one");
            }
            Some(1..) => {}
            Some(0) | None => {
                let message = "it does not say which version of the format it has".to_owned();
                return refuse(message, "add `\"version\": 1`");
            }
        }
        let newer = self.contract_version.as_ref().filter(|version| **version > CONTRACT_VERSION);
        if let Some(version) = newer {
            let message = format!(
                "its plugin was built for version {version} of the contract, and this host knows {CONTRACT_VERSION}"
            );
            return refuse(message, "replay it with a newer host");
        }
        Ok(())
    }
}
