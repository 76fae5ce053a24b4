//! Runs: how they are started, what they will do, and how far they are.
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{ApprovalDto, CostDto, FallbackDto, PlanDto, PluginRefDto};

/// A run to start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRunRequest {
    /// What is asked for.
    pub request_text: String,
    /// Name of a profile.
    pub mode: String,
    /// The conversation that the run is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The brand that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand_id: Option<String>,
    /// The project that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Who starts it. Profiles whose gates want somebody else to grant cannot do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// JSON object: texts of skills to replace, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_overrides: Option<Value>,
    /// JSON object: what is different for a stage, by its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_overrides: Option<Value>,
    /// Context variables to begin with.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

/// Where a run is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatusDto {
    /// No stage has begun.
    Queued,
    /// A stage is running or about to.
    Running,
    /// A gate waits for a person.
    WaitingApproval,
    /// Waits to be resumed.
    Paused,
    /// Ended well.
    Completed,
    /// Ended by a fault, or by a rejection.
    Failed,
    /// Ended by somebody's order.
    Canceled,
}

impl RunStatusDto {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        domain::run::Status::from(self).as_str()
    }

    /// Whether the run has ended.
    pub fn is_final(self) -> bool {
        domain::run::Status::from(self).is_final()
    }
}

/// A run that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartedRunDto {
    /// Names the run.
    pub run_id: String,
    /// Where it is.
    pub status: RunStatusDto,
    /// The mode that was asked for.
    pub requested_mode: String,
    /// The profile that is carried out.
    pub effective_mode: String,
    /// Whether the two differ because of the fallback.
    pub fallback_applied: bool,
    /// Why the fallback was applied; null if it was not.
    pub fallback: Option<FallbackDto>,
    /// Version of the profile.
    pub profile_version: String,
    /// Whether an earlier request with the same idempotency key had started it.
    pub existed: bool,
}

/// Why something failed: the error triple.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaultDto {
    /// Stable code.
    pub error_code: String,
    /// What happened, where, and what to do. May have several lines.
    pub error_message: String,
    /// Whether a new attempt may succeed without anybody changing anything.
    pub retryable: bool,
    /// The plugin's own code, where the fault comes from what the plugin said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_code: Option<String>,
}

/// What a run or a stage used, over all its model calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageDto {
    /// Model calls.
    pub calls: u64,
    /// Tokens of the prompts, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the answers, reasoning included.
    pub output_tokens: u64,
    /// The part of the input that was read from the provider's cache.
    pub cached_tokens: u64,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: u64,
    /// What it cost; null if the price of any answered call is not known.
    pub cost: Option<CostDto>,
    /// The part of the input that was written into the provider's cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Calls that the host answered itself, from its cache or from another call.
    #[serde(default)]
    pub cache_hits: u64,
    /// Calls that have no answer.
    #[serde(default)]
    pub failed_calls: u64,
}

/// Where the time went, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimingDto {
    /// Waiting for room.
    pub queue_ms: u64,
    /// The host's and the guest's own work.
    pub work_ms: u64,
    /// Waiting for a model.
    pub model_wait_ms: u64,
    /// Waiting for a person.
    pub human_wait_ms: u64,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunSummaryDto {
    /// Names the run.
    pub run_id: String,
    /// Number of events in its log.
    pub version: u64,
    /// Where it is.
    pub status: RunStatusDto,
    /// The mode that was asked for.
    pub requested_mode: String,
    /// The profile that is carried out.
    pub effective_mode: String,
    /// Whether the two differ because of the fallback.
    pub fallback_applied: bool,
    /// Why the fallback was applied; null if it was not.
    pub fallback: Option<FallbackDto>,
    /// Version of the profile.
    pub profile_version: String,
    /// Name of the profile for people.
    pub title: String,
    /// The beginning of the request.
    pub request_excerpt: String,
    /// The conversation that it is part of.
    pub thread_id: Option<String>,
    /// The brand that it is about.
    pub brand_id: Option<String>,
    /// The project that it is part of.
    pub project_id: Option<String>,
    /// When it was started (RFC 3339).
    pub created_at: String,
    /// When something last happened to it (RFC 3339).
    pub updated_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// How many stages it has.
    pub stage_count: u32,
    /// How many of them are done.
    pub stages_done: u32,
    /// The stage that it is at.
    pub current_stage: Option<String>,
    /// Why it failed, or why it paused when its retries were spent.
    pub fault: Option<FaultDto>,
    /// Who started it, if they said so.
    pub started_by: Option<String>,
    /// When something next happens by itself (RFC 3339): an attempt after a failure, a deadline or a reminder. Null: it
    /// waits for somebody, or is at work.
    pub wakes_at: Option<String>,
}

/// A run with everything but its texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDto {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: RunSummaryDto,
    /// The whole request.
    pub request_text: String,
    /// What it is bound to do.
    pub plan: PlanDto,
    /// How far each stage is.
    pub stages: Vec<StageDto>,
    /// The question that waits for a person.
    pub pending_approval: Option<ApprovalDto>,
    /// What it used.
    pub usage: UsageDto,
    /// Where the time went.
    pub timing: TimingDto,
}

/// Where a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageStatusDto {
    /// Not begun.
    Pending,
    /// An attempt is running.
    Running,
    /// Its last attempt failed, and the next one begins later.
    BackingOff,
    /// Its gate waits for a person.
    WaitingApproval,
    /// Done, and its gate passed.
    Done,
    /// Its last attempt failed.
    Failed,
    /// A reviewer said no.
    Rejected,
    /// The run was called off while it was running.
    Canceled,
}

impl StageStatusDto {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            StageStatusDto::Pending => "pending",
            StageStatusDto::Running => "running",
            StageStatusDto::BackingOff => "backing_off",
            StageStatusDto::WaitingApproval => "waiting_approval",
            StageStatusDto::Done => "done",
            StageStatusDto::Failed => "failed",
            StageStatusDto::Rejected => "rejected",
            StageStatusDto::Canceled => "canceled",
        }
    }
}

/// How far a stage is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageDto {
    /// Its name within the run.
    pub key: String,
    /// Its place in the run, from 0.
    pub position: u32,
    /// Its name for people.
    pub title: String,
    /// Where it is.
    pub status: StageStatusDto,
    /// The last attempt; 0 if there was none.
    pub attempt: u32,
    /// What does it.
    pub plugin: PluginRefDto,
    /// Whether a person has to look at its result.
    pub gated: bool,
    /// Its result in one line.
    pub summary: Option<String>,
    /// Why its last attempt failed.
    pub fault: Option<FaultDto>,
    /// The command that does the failed attempt again, outside of the run, where the plugin is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduce: Option<String>,
    /// When it is tried again (RFC 3339), if its last attempt failed and the next one waits.
    pub retry_at: Option<String>,
    /// What a reviewer wants changed, until the stage is done again.
    pub feedback: Option<String>,
    /// When its first attempt began (RFC 3339).
    pub first_started_at: Option<String>,
    /// When its last attempt began (RFC 3339).
    pub started_at: Option<String>,
    /// When its last attempt ended (RFC 3339).
    pub ended_at: Option<String>,
    /// What it used.
    pub usage: UsageDto,
    /// Where its time went.
    pub timing: TimingDto,
}

/// A version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactDto {
    /// The stage that made it.
    pub stage: String,
    /// Its file name.
    pub name: String,
    /// 1 for the first version.
    pub version: u32,
    /// Whether it is the version that later stages read.
    pub current: bool,
    /// The attempt that made it, or whose result was edited.
    pub attempt: u32,
    /// The reviewer who put it in place of the stage's own; null: the stage made it.
    pub edited_by: Option<String>,
    /// Its media type.
    pub media_type: String,
    /// Size of its text, in bytes.
    pub size_bytes: u64,
    /// Digest of its text.
    pub digest: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
}

/// A context variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VariableDto {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// Who gives a command, and why. All of it may be left out, the body too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// Who gives it; `api` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why. Kept for `cancel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same as `reason`, under the name that approvals use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Where to start again. All of it may be left out, the body too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// The first stage to do again; the results of those before are kept. Left out: the one at which the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Who gives the command; `api` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// What a command led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandedDto {
    /// The run.
    pub run_id: String,
    /// Where it is.
    pub status: RunStatusDto,
}
