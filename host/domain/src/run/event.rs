//! What has happened to a run.
use std::sync::Arc;

use super::{BudgetBound, Decision, StageResult};
use crate::plan::{Plan, StageIdx};
use crate::stage::{Belonging, Variable};
use crate::{ApprovalId, CallId, Digest, Fault, Timestamp};

/// What a run begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// What was asked for.
    pub request_text: String,
    /// Whoever it belongs to.
    pub belonging: Belonging,
    /// What it will do.
    pub plan: Plan,
    /// Context variables that it starts with.
    pub variables: Vec<Variable>,
}

/// Something that has happened. Events are never changed and never removed.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run exists.
    RunCreated(Arc<Created>),
    /// An attempt at a stage has begun.
    StageStarted {
        /// The stage.
        stage: StageIdx,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A model answered a stage's question, or finally did not.
    ModelAnswered {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// Names the record of the call.
        call: CallId,
        /// How it went.
        outcome: CallOutcome,
    },
    /// An attempt gave a result.
    StageFinished {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// What it made.
        result: StageResult,
    },
    /// An attempt failed.
    StageFailed {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// Why.
        fault: Fault,
    },
    /// A person is asked.
    GateOpened {
        /// The stage whose result is to be looked at.
        stage: StageIdx,
        /// Names the question.
        approval: ApprovalId,
        /// Digest of the result.
        content_hash: Digest,
    },
    /// A budget is nearly used up. Said once for each budget in a run, and again when more of it was allowed.
    BudgetWarned {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// The budget.
        bound: BudgetBound,
    },
    /// An attempt would go over a budget, and a person is asked. The attempt goes on when they say yes.
    BudgetGateOpened {
        /// The stage.
        stage: StageIdx,
        /// The attempt that waits.
        attempt: u32,
        /// Names the question.
        approval: ApprovalId,
        /// Digest of the question.
        content_hash: Digest,
        /// The budget.
        bound: BudgetBound,
    },
    /// A person said yes.
    GateGranted {
        /// The stage whose result was granted, or whose attempt goes on.
        stage: StageIdx,
        /// The question.
        approval: ApprovalId,
        /// Who, and in which words.
        decision: Decision,
    },
    /// A person said no.
    GateRejected {
        /// The stage whose result was rejected, or whose attempt was refused more budget.
        stage: StageIdx,
        /// The question.
        approval: ApprovalId,
        /// Who, and in which words.
        decision: Decision,
    },
    /// The run will pause when the running attempt is done.
    PauseRequested {
        /// Who asked.
        actor: String,
    },
    /// The run has paused.
    RunPaused,
    /// The run goes on, or the wish to pause was taken back.
    RunResumed {
        /// Who asked.
        actor: String,
    },
    /// Stages are done again.
    RunRetried {
        /// The first of them.
        from: StageIdx,
        /// Who asked.
        actor: String,
    },
    /// Everything is done.
    RunCompleted,
    /// A stage failed for good.
    RunFailed {
        /// The stage.
        stage: StageIdx,
        /// Why.
        fault: Fault,
    },
    /// Somebody called it off.
    RunCanceled {
        /// Who.
        actor: String,
        /// Why, in their words.
        reason: Option<String>,
    },
}

impl Event {
    /// The event's name in logs and on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::RunCreated(_) => "run_created",
            Event::StageStarted { .. } => "stage_started",
            Event::ModelAnswered { .. } => "model_answered",
            Event::StageFinished { .. } => "stage_finished",
            Event::StageFailed { .. } => "stage_failed",
            Event::GateOpened { .. } => "gate_opened",
            Event::BudgetWarned { .. } => "budget_warned",
            Event::BudgetGateOpened { .. } => "budget_gate_opened",
            Event::GateGranted { .. } => "gate_granted",
            Event::GateRejected { .. } => "gate_rejected",
            Event::PauseRequested { .. } => "pause_requested",
            Event::RunPaused => "run_paused",
            Event::RunResumed { .. } => "run_resumed",
            Event::RunRetried { .. } => "run_retried",
            Event::RunCompleted => "run_completed",
            Event::RunFailed { .. } => "run_failed",
            Event::RunCanceled { .. } => "run_canceled",
        }
    }
}

/// How a model call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// There is an answer.
    Answered {
        /// The model that answered.
        model: String,
        /// Tokens of the prompt, if known.
        input_tokens: Option<u64>,
        /// Tokens of the answer, if known.
        output_tokens: Option<u64>,
    },
    /// There is none.
    Failed {
        /// A code of [`crate::model::ModelErrorKind`].
        code: String,
        /// Why.
        message: String,
    },
}

/// An event in its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Place in the log of the data folder; grows, with gaps.
    pub seq: i64,
    /// Place in the log of the run; 1, 2, 3 and so on.
    pub version: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}
