//! Why something that was asked of the engine did not happen.
use domain::model::ModelError;
use domain::plan::PinnedPlugin;
use domain::port::PluginError;
use domain::run::Refusal;
use domain::upload::UploadError;
use domain::{ApprovalId, Fault, RunId, StageKey};
use profile::Problems;
use store::TextsKept;

use crate::PluginNeeds;

/// Why something did not happen. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not one that can be carried out; every problem of it.
    #[error("the request has problems: {0}")]
    Invalid(Problems),
    /// There is no such run.
    #[error("no run `{0}`")]
    UnknownRun(RunId),
    /// There is no such approval.
    #[error("no approval `{0}`")]
    UnknownApproval(ApprovalId),
    /// The run's plan has no such stage.
    #[error("run `{run}` has no stage `{stage}`: it has {}", known.join(", "))]
    UnknownStage {
        /// The run.
        run: RunId,
        /// What was asked for.
        stage: StageKey,
        /// The stages that it has.
        known: Vec<String>,
    },
    /// The stage has no such attempt, or it has not ended.
    #[error("{}", no_attempt(run, stage, *wanted, ended))]
    UnknownAttempt {
        /// The run.
        run: RunId,
        /// The stage.
        stage: StageKey,
        /// What was asked for; `None`: the last one that ended.
        wanted: Option<u32>,
        /// The attempts that have ended.
        ended: Vec<u32>,
    },
    /// The records do not have the texts of a call or a request.
    #[error("the texts of {what} {}", not_kept(*texts))]
    TextsNotKept {
        /// Which, in words.
        what: String,
        /// What is kept of them.
        texts: TextsKept,
    },
    /// The run does not allow it now.
    #[error("run `{run}`: {refusal}")]
    Refused {
        /// The run.
        run: RunId,
        /// Why.
        refusal: Refusal,
    },
    /// The idempotency key was used for something else.
    #[error("the idempotency key `{key}` was used with another request")]
    IdempotencyConflict {
        /// The key.
        key: String,
    },
    /// The stage cannot be asked for its prompt yet.
    #[error("stage `{stage}` needs artifacts that no earlier stage has made yet: {}", missing.join(", "))]
    ArtifactsMissing {
        /// The stage.
        stage: StageKey,
        /// What it needs.
        missing: Vec<String>,
    },
    /// The plugin did not build its prompt.
    #[error("{}", .0.message)]
    Fault(Fault),
    /// The model did not answer.
    #[error("{0}")]
    Model(ModelError),
    /// A plugin that the run needs cannot be kept.
    #[error("{0}")]
    Plugin(PluginError),
    /// A plugin was not kept, or not removed.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// Somebody still needs the plugin that is to be removed.
    #[error("`{}@{}` is needed: {}", plugin.name, plugin.version, in_words(needs))]
    PluginInUse {
        /// The plugin.
        plugin: PinnedPlugin,
        /// Who needs it.
        needs: PluginNeeds,
    },
    /// An archive was not made, or not taken in.
    #[error(transparent)]
    Archive(store::ArchiveError),
    /// The host is shutting down.
    #[error("the host is shutting down")]
    ShuttingDown,
    /// The disk or the database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn no_attempt(run: &RunId, stage: &StageKey, wanted: Option<u32>, ended: &[u32]) -> String {
    let place = format!("stage `{stage}` of run `{run}`");
    match (wanted, ended) {
        (_, []) => format!("no attempt at {place} has ended"),
        (Some(wanted), ended) => {
            let ended: Vec<String> = ended.iter().map(u32::to_string).collect();
            format!("no attempt {wanted} at {place} has ended: there are {}", ended.join(", "))
        }
        (None, _) => format!("no attempt at {place} was found"),
    }
}

fn not_kept(texts: TextsKept) -> &'static str {
    match texts {
        TextsKept::Whole => "are not there",
        TextsKept::Trimmed => "were shortened when the attempt ended: the configuration says so",
        TextsKept::Off => "were removed when the attempt ended: the configuration says so",
    }
}

fn in_words(needs: &PluginNeeds) -> String {
    let mut words = Vec::new();
    if !needs.profiles.is_empty() {
        words.push(format!("the profiles {} mean it", needs.profiles.join(", ")));
    }
    if !needs.runs.is_empty() {
        let runs: Vec<&str> = needs.runs.iter().map(RunId::as_str).collect();
        words.push(format!("runs that have not ended are bound to it: {}", runs.join(", ")));
    }
    words.join("; ")
}

impl From<store::ArchiveError> for Error {
    fn from(error: store::ArchiveError) -> Self {
        use store::ArchiveError as Cause;
        match error {
            Cause::Store(error) => Error::Store(error),
            Cause::Bad { .. }
            | Cause::RunExists(_)
            | Cause::RunActive { .. }
            | Cause::FolderNotEmpty(_) => Error::Archive(error),
        }
    }
}
