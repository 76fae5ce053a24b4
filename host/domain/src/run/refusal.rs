//! Why a command was not accepted.
use super::{Status, Verdict};
use crate::StageIdx;

/// Why a command was not accepted. The run is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The run has no such question, open or decided.
    #[error("the run has no such approval")]
    UnknownApproval,
    /// Somebody decided otherwise before.
    #[error("the approval is already {}", .verdict.as_str())]
    AlreadyDecided {
        /// The decision that holds.
        verdict: Verdict,
    },
    /// The run ended before the question was decided.
    #[error("the run is {}: the approval is no longer open", .status.as_str())]
    ApprovalClosed {
        /// How it ended, or went on.
        status: Status,
    },
    /// The gate's policy does not name them.
    #[error("`{actor}` may not decide at this gate")]
    NotAReviewer {
        /// Who tried.
        actor: String,
    },
    /// The gate's policy wants somebody else than whoever started the run.
    #[error("`{actor}` started the run and may not grant its gates: somebody else has to")]
    SelfApproval {
        /// Who tried.
        actor: String,
    },
    /// There is nothing that could be revised or edited: the question is about a budget.
    #[error("the gate is about a budget: it can be granted or rejected")]
    NoContent,
    /// What the reviewer looked at is not what is there.
    #[error("the content has changed since it was looked at")]
    ContentChanged,
    /// The run has ended.
    #[error("the run has ended: it is {}", .status.as_str())]
    RunEnded {
        /// How.
        status: Status,
    },
    /// The run has not ended.
    #[error("the run has not ended: it is {}", .status.as_str())]
    RunNotEnded {
        /// Where it is.
        status: Status,
    },
    /// A completed run has no stage at which it stopped.
    #[error("the run is completed: name the stage to start again from")]
    StageNotNamed,
    /// The plan has no such stage.
    #[error("the run has no stage at position {}", .stage.0)]
    UnknownStage {
        /// The position.
        stage: StageIdx,
    },
    /// Stages before it have no result to build on.
    #[error("the stage before the one named has no result: start again from an earlier one")]
    EarlierStageMissing {
        /// The first stage without a result.
        first_missing: StageIdx,
    },
    /// Nobody granted the result of a stage before it.
    #[error("the gate after stage {} has not been passed: start again from that stage or before", .stage.0)]
    EarlierGateNotPassed {
        /// The first stage whose result was not granted.
        stage: StageIdx,
    },
    /// The engine reports on an attempt that is not running any more.
    #[error("that attempt is not running")]
    StaleAttempt,
}
