//! What has happened to a run.
use std::sync::Arc;

use super::{BudgetBound, Decision, GateTiming, StageResult};
use crate::plan::{Plan, StageIdx};
use crate::stage::{Belonging, Variable};
use crate::{ApprovalId, ArtifactRef, CallId, Digest, Fault, Timestamp};

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
    /// Who started it, if they said so.
    pub started_by: Option<String>,
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
        /// When something happens by itself.
        timing: GateTiming,
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
    /// A person said yes, where it takes more than one of them.
    GateGrantAdded {
        /// The stage whose result is looked at.
        stage: StageIdx,
        /// The question.
        approval: ApprovalId,
        /// Who, and in which words.
        decision: Decision,
    },
    /// A person put artifacts in place of the stage's. What was granted before is void; their own grant follows.
    ArtifactsEdited {
        /// The stage.
        stage: StageIdx,
        /// The question.
        approval: ApprovalId,
        /// Who.
        actor: String,
        /// Those that changed.
        artifacts: Vec<ArtifactRef>,
        /// Digest over all artifacts of the stage as they are now.
        content_hash: Digest,
    },
    /// People were reminded of an open gate, or could not be.
    GateReminded {
        /// The stage.
        stage: StageIdx,
        /// The question.
        approval: ApprovalId,
        /// 1 for the first.
        number: u16,
        /// When they are reminded again. `None`: not again.
        next_at: Option<Timestamp>,
        /// Why it did not reach the webhook.
        failure: Option<String>,
    },
    /// The deadline has passed, and others may decide as well.
    GateEscalated {
        /// The stage.
        stage: StageIdx,
        /// The question.
        approval: ApprovalId,
    },
    /// A person said yes, as the last of those whom it takes.
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
    /// A person wants another version. The stage is done again with their words.
    GateRevised {
        /// The stage.
        stage: StageIdx,
        /// The question.
        approval: ApprovalId,
        /// Who, and in which words.
        decision: Decision,
    },
    /// The stage is tried again later. Follows the failure.
    RetryScheduled {
        /// The stage.
        stage: StageIdx,
        /// Failures since somebody last wanted the stage.
        failures: u32,
        /// When the next attempt may begin.
        at: Timestamp,
        /// Why the last one failed.
        fault: Fault,
    },
    /// The wait before the next attempt is over.
    RetryDue {
        /// The stage.
        stage: StageIdx,
    },
    /// The stage has failed as often as it is tried, and the run pauses.
    RetriesSpent {
        /// The stage.
        stage: StageIdx,
        /// Why its last attempt failed.
        fault: Fault,
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
            Event::GateGrantAdded { .. } => "gate_grant_added",
            Event::ArtifactsEdited { .. } => "artifacts_edited",
            Event::GateReminded { .. } => "gate_reminded",
            Event::GateEscalated { .. } => "gate_escalated",
            Event::GateGranted { .. } => "gate_granted",
            Event::GateRejected { .. } => "gate_rejected",
            Event::GateRevised { .. } => "gate_revised",
            Event::RetryScheduled { .. } => "retry_scheduled",
            Event::RetryDue { .. } => "retry_due",
            Event::RetriesSpent { .. } => "retries_spent",
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
