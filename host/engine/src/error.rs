//! Why something that was asked of the engine did not happen.
use domain::model::ModelError;
use domain::port::PluginError;
use domain::run::Refusal;
use domain::{ApprovalId, Fault, RunId, StageKey};
use profile::Problems;

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
