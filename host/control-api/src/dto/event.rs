//! What has happened to a run, one record per event; and what happens right now and is not kept.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BudgetBoundDto, FaultDto, VariableDto};

/// An event of a run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventDto {
    /// Place in the log of the whole data folder; grows, with gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// Place in the log of the run: 1, 2, 3 and so on. Also the id of the server-sent event.
    pub version: u64,
    /// When it was decided (RFC 3339).
    pub at: String,
    /// The event in one line for people.
    pub line: String,
    /// What happened: `kind`, and its `data`.
    #[serde(flatten)]
    pub what: EventKindDto,
}

/// What happened: `{"kind": "stage_started", "data": {"stage": "research", "attempt": 1}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum EventKindDto {
    /// The run exists.
    RunCreated {
        /// The mode that was asked for.
        requested_mode: String,
        /// The profile that is carried out.
        effective_mode: String,
        /// Whether the two differ because of the fallback.
        fallback_applied: bool,
        /// Version of the profile.
        profile_version: String,
        /// The stages, in order.
        stages: Vec<String>,
        /// Context variables that it starts with.
        variables: Vec<VariableDto>,
        /// Who started it, if they said so.
        started_by: Option<String>,
    },
    /// An attempt at a stage has begun.
    StageStarted {
        /// The stage.
        stage: String,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A model answered a stage's question, or finally did not.
    ModelAnswered {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// Names the record of the call.
        call_id: String,
        /// The model that answered; null if none did.
        model: Option<String>,
        /// Tokens of the prompt.
        input_tokens: Option<u64>,
        /// Tokens of the answer.
        output_tokens: Option<u64>,
        /// Stable code of what went wrong; null if there is an answer.
        error_code: Option<String>,
        /// What went wrong.
        error_message: Option<String>,
    },
    /// An attempt gave a result.
    StageFinished {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// One line for people.
        summary: String,
        /// What it made.
        artifacts: Vec<EventArtifactDto>,
        /// Context variables that it sets.
        variables: Vec<VariableDto>,
        /// Digest over the artifacts.
        content_hash: String,
    },
    /// An attempt failed.
    StageFailed {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// Why.
        #[serde(flatten)]
        fault: FaultDto,
    },
    /// A person is asked.
    GateOpened {
        /// The stage whose result is to be looked at.
        stage: String,
        /// Names the question.
        approval_id: String,
        /// Digest of what is to be looked at.
        content_hash: String,
        /// When the outcome of its deadline comes about (RFC 3339).
        deadline_at: Option<String>,
        /// When people are reminded (RFC 3339).
        remind_at: Option<String>,
    },
    /// A person said yes, where it takes more than one.
    GateGrantAdded {
        /// The stage.
        stage: String,
        /// The question.
        approval_id: String,
        /// Who granted.
        actor: String,
        /// In which words.
        comment: Option<String>,
    },
    /// A person put artifacts in place of the stage's. Grants from before are void.
    ArtifactsEdited {
        /// The stage.
        stage: String,
        /// The question.
        approval_id: String,
        /// Who.
        actor: String,
        /// Those that changed.
        artifacts: Vec<EventArtifactDto>,
        /// Digest over all artifacts of the stage as they are now.
        content_hash: String,
    },
    /// People were reminded of an open gate, or could not be.
    GateReminded {
        /// The stage.
        stage: String,
        /// The question.
        approval_id: String,
        /// 1 for the first.
        number: u16,
        /// When they are reminded again (RFC 3339).
        next_at: Option<String>,
        /// Why it did not reach the webhook; null if it did.
        failure: Option<String>,
    },
    /// The deadline of a gate has passed, and others may decide as well.
    GateEscalated {
        /// The stage.
        stage: String,
        /// The question.
        approval_id: String,
    },
    /// A budget is nearly used up.
    BudgetWarned {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// The budget.
        #[serde(flatten)]
        bound: BudgetBoundDto,
    },
    /// An attempt would go over a budget, and a person is asked. It goes on when they say yes.
    BudgetGateOpened {
        /// The stage.
        stage: String,
        /// The attempt that waits.
        attempt: u32,
        /// Names the question.
        approval_id: String,
        /// Digest of the question.
        content_hash: String,
        /// The budget.
        #[serde(flatten)]
        bound: BudgetBoundDto,
    },
    /// A person said yes.
    GateGranted {
        /// The stage.
        stage: String,
        /// The question.
        approval_id: String,
        /// Who decided.
        actor: String,
        /// In which words.
        comment: Option<String>,
    },
    /// A person said no.
    GateRejected {
        /// The stage.
        stage: String,
        /// The question.
        approval_id: String,
        /// Who decided.
        actor: String,
        /// In which words.
        comment: Option<String>,
    },
    /// A person wants another version: the stage is done again with their words.
    GateRevised {
        /// The stage.
        stage: String,
        /// The question.
        approval_id: String,
        /// Who decided.
        actor: String,
        /// What they want changed.
        comment: Option<String>,
    },
    /// The stage is tried again later.
    RetryScheduled {
        /// The stage.
        stage: String,
        /// Failures since somebody last wanted the stage.
        failures: u32,
        /// When the next attempt may begin (RFC 3339).
        retry_at: String,
        /// Why the last one failed.
        #[serde(flatten)]
        fault: FaultDto,
    },
    /// The wait before the next attempt is over.
    RetryDue {
        /// The stage.
        stage: String,
    },
    /// The stage has failed as often as it is tried, and the run pauses.
    RetriesSpent {
        /// The stage.
        stage: String,
        /// Why its last attempt failed.
        #[serde(flatten)]
        fault: FaultDto,
    },
    /// The run will pause when the running attempt is done.
    PauseRequested {
        /// Who asked.
        actor: String,
    },
    /// The run has paused.
    RunPaused {},
    /// The run goes on.
    RunResumed {
        /// Who asked.
        actor: String,
    },
    /// Stages are done again.
    RunRetried {
        /// The first of them.
        stage: String,
        /// Who asked.
        actor: String,
    },
    /// Everything is done.
    RunCompleted {},
    /// A stage failed for good.
    RunFailed {
        /// The stage.
        stage: String,
        /// Why.
        #[serde(flatten)]
        fault: FaultDto,
    },
    /// Somebody called it off.
    RunCanceled {
        /// Who.
        actor: String,
        /// Why, in their words.
        reason: Option<String>,
    },
}

impl EventKindDto {
    /// The event's name.
    pub fn as_str(&self) -> &'static str {
        match self {
            EventKindDto::RunCreated { .. } => "run_created",
            EventKindDto::StageStarted { .. } => "stage_started",
            EventKindDto::ModelAnswered { .. } => "model_answered",
            EventKindDto::StageFinished { .. } => "stage_finished",
            EventKindDto::StageFailed { .. } => "stage_failed",
            EventKindDto::GateOpened { .. } => "gate_opened",
            EventKindDto::BudgetWarned { .. } => "budget_warned",
            EventKindDto::BudgetGateOpened { .. } => "budget_gate_opened",
            EventKindDto::GateGranted { .. } => "gate_granted",
            EventKindDto::GateRejected { .. } => "gate_rejected",
            EventKindDto::GateGrantAdded { .. } => "gate_grant_added",
            EventKindDto::ArtifactsEdited { .. } => "artifacts_edited",
            EventKindDto::GateReminded { .. } => "gate_reminded",
            EventKindDto::GateEscalated { .. } => "gate_escalated",
            EventKindDto::GateRevised { .. } => "gate_revised",
            EventKindDto::RetryScheduled { .. } => "retry_scheduled",
            EventKindDto::RetryDue { .. } => "retry_due",
            EventKindDto::RetriesSpent { .. } => "retries_spent",
            EventKindDto::PauseRequested { .. } => "pause_requested",
            EventKindDto::RunPaused {} => "run_paused",
            EventKindDto::RunResumed { .. } => "run_resumed",
            EventKindDto::RunRetried { .. } => "run_retried",
            EventKindDto::RunCompleted {} => "run_completed",
            EventKindDto::RunFailed { .. } => "run_failed",
            EventKindDto::RunCanceled { .. } => "run_canceled",
        }
    }
}

/// An artifact that a stage made, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventArtifactDto {
    /// Its file name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Digest of its text.
    pub digest: String,
    /// Size of its text, in bytes.
    pub size_bytes: u64,
}

/// Something that happens right now, of which the log will have only the outcome. Sent without an id, and not again
/// after a reconnect. The `event:` field of the server-sent event is the `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LiveDto {
    /// A model is being asked.
    ModelCallStarted {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// The provider.
        provider: String,
        /// The model.
        model: String,
    },
    /// A try failed; another follows.
    ModelRetrying {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// The question.
        ordinal: u32,
        /// Number of the try that follows; the first is 1.
        try_number: u32,
        /// How long it is waited for, in milliseconds.
        wait_ms: u64,
        /// Why the try before failed.
        cause: String,
    },
    /// Somebody else is asked, because the one before was not available.
    ModelFallingBack {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// The question.
        ordinal: u32,
        /// The provider that is asked.
        provider: String,
        /// The model that is asked.
        model: String,
        /// Why the one before was not available.
        cause: String,
    },
    /// A piece of the model's answer.
    ModelText {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// The question.
        ordinal: u32,
        /// The piece.
        text: String,
    },
    /// A piece of the model's reasoning.
    ModelReasoning {
        /// The stage.
        stage: String,
        /// The attempt.
        attempt: u32,
        /// The question.
        ordinal: u32,
        /// The piece.
        text: String,
    },
}

impl LiveDto {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            LiveDto::ModelCallStarted { .. } => "model_call_started",
            LiveDto::ModelRetrying { .. } => "model_retrying",
            LiveDto::ModelFallingBack { .. } => "model_falling_back",
            LiveDto::ModelText { .. } => "model_text",
            LiveDto::ModelReasoning { .. } => "model_reasoning",
        }
    }
}
