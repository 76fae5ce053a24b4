//! What a run is bound to do: the plan that its profile meant when it was started.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ArtifactSpecDto, CostDto, GateDto, PluginRefDto, RetryPolicyDto};

/// Why a run does not carry out the mode that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FallbackDto {
    /// Configuration forces every run to the fallback profile.
    Forced,
    /// No profile has the name that was asked for.
    UnknownMode,
}

/// What a run is bound to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanDto {
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
    /// The stages, in order.
    pub stages: Vec<PlannedStageDto>,
    /// The `skill_overrides` of whoever started the run.
    pub skill_overrides: Value,
    /// The `stage_overrides` of whoever started the run.
    pub stage_overrides: Value,
    /// Tokens that the run may use; null: not bounded.
    pub run_token_count_max: Option<u64>,
    /// What the run may cost; null: not bounded.
    pub run_cost_max: Option<CostDto>,
    /// What happens when a question would go over a budget of the run or of a stage.
    pub on_budget_exceeded: OnBudgetExceededDto,
    /// Percent of a budget from which on the run warns; null: it does not.
    pub budget_warn_percent: Option<u8>,
}

/// What happens when a question would go over a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBudgetExceededDto {
    /// The question is refused, with `budget_exhausted`.
    Stop,
    /// The run waits at a gate until a person allows as much again.
    Ask,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlannedStageDto {
    /// Its name within the profile.
    pub key: String,
    /// Its name for people.
    pub title: String,
    /// What does it.
    pub plugin: PluginRefDto,
    /// Settings with defaults filled in.
    pub settings: Value,
    /// Names of the texts that the profile hands to it.
    pub skills: Vec<String>,
    /// Artifacts of earlier stages without which it cannot work.
    pub needs: Vec<String>,
    /// Artifacts of earlier stages that it uses where they exist.
    pub uses: Vec<String>,
    /// Artifacts that it makes.
    pub makes: Vec<ArtifactSpecDto>,
    /// The gate after it; null if there is none.
    pub gate: Option<GateDto>,
    /// What happens when an attempt fails.
    pub retry: RetryPolicyDto,
    /// What one attempt may use up.
    pub limits: LimitsDto,
    /// Who answers its questions.
    pub model: ModelChoiceDto,
    /// What it may reach beside the model.
    #[serde(default)]
    pub grants: GrantsDto,
}

/// What a stage may reach beside the model. Nothing, unless its profile says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantsDto {
    /// Hosts to which it may send HTTP requests.
    pub http: Vec<String>,
}

/// What one attempt at a stage may use up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsDto {
    /// Linear memory, in bytes.
    pub memory_bytes_max: u64,
    /// Time that the guest computes, in milliseconds.
    pub cpu_time_ms_max: u64,
    /// From start to end, in milliseconds.
    pub wall_time_ms_max: u64,
    /// Bytes that one call between guest and host may carry.
    pub call_bytes_max: u64,
    /// Bytes of log that are kept.
    pub log_bytes_max: u64,
    /// Number of artifacts.
    pub artifact_count_max: u32,
    /// Bytes of one artifact.
    pub artifact_bytes_max: u64,
    /// Model calls.
    pub model_call_count_max: u32,
    /// HTTP requests, where any are granted.
    #[serde(default)]
    pub http_request_count_max: u32,
    /// Tokens of all attempts together; null: not bounded.
    pub stage_token_count_max: Option<u64>,
    /// Cost of all attempts together; null: not bounded.
    pub stage_cost_max: Option<CostDto>,
}

/// Who answers the questions of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelChoiceDto {
    /// Name of a provider.
    pub provider: String,
    /// Name of one of its models.
    pub model: String,
    /// For calls that do not say it.
    pub temperature: Option<f32>,
    /// For calls that do not say it.
    pub max_tokens: Option<u32>,
    /// Longest time for one call, in milliseconds; null: the provider's setting.
    pub call_time_ms_max: Option<u64>,
    /// Who is asked instead, in this order, when the first is not available.
    pub alternatives: Vec<ModelAlternativeDto>,
    /// Whether an answer to the same question may come from the host's cache.
    pub cache: bool,
}

/// Somebody else who may answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelAlternativeDto {
    /// Name of a provider.
    pub provider: String,
    /// Name of one of its models.
    pub model: String,
}
