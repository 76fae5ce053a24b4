//! A plan as it is stored in the log and shown in `plan.json`. Times of limits are kept in whole milliseconds.
use std::time::Duration;

use domain::plan::{
    Caching, Fallback, Gate, Grants, ModelAlternative, ModelChoice, OnBudgetExceeded, PinnedPlugin,
};
use domain::stage::{ArtifactSpec, Skill};
use domain::{Limits, Plan, PlannedStage};
use serde::{Deserialize, Serialize};

use super::policy::{GateRecord, RetryRecord};
use super::{JsonRecord, Unreadable, parsed};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlanRecord {
    requested_mode: String,
    effective_mode: String,
    fallback: Option<String>,
    profile_version: String,
    title: String,
    stages: Vec<StageRecord>,
    skill_overrides: JsonRecord,
    stage_overrides: JsonRecord,
    run_token_count_max: Option<u64>,
    run_cost_nano_usd_max: Option<u64>,
    on_budget_exceeded: OnBudgetExceededRecord,
    budget_warn_percent: Option<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnBudgetExceededRecord {
    Stop,
    Ask,
}

#[derive(Debug, Serialize, Deserialize)]
struct StageRecord {
    key: String,
    title: String,
    plugin: PluginRecord,
    settings: JsonRecord,
    skills: Vec<SkillRecord>,
    needs: Vec<String>,
    uses: Vec<String>,
    makes: Vec<ArtifactSpecRecord>,
    gate: Option<GateRecord>,
    #[serde(default, skip_serializing_if = "RetryRecord::is_none")]
    retry: RetryRecord,
    limits: LimitsRecord,
    model: ModelChoiceRecord,
    #[serde(default, skip_serializing_if = "GrantsRecord::is_none")]
    grants: GrantsRecord,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct GrantsRecord {
    http: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PluginRecord {
    name: String,
    version: String,
    digest: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct SkillRecord {
    name: String,
    body: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct ArtifactSpecRecord {
    name: String,
    media_type: String,
    summary: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct LimitsRecord {
    memory_bytes_max: u64,
    cpu_time_ms_max: u64,
    wall_time_ms_max: u64,
    call_bytes_max: u64,
    log_bytes_max: u64,
    artifact_count_max: u32,
    artifact_bytes_max: u64,
    model_call_count_max: u32,
    #[serde(default = "requests_unsaid", skip_serializing_if = "is_requests_unsaid")]
    http_request_count_max: u32,
    stage_token_count_max: Option<u64>,
    stage_cost_nano_usd_max: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ModelChoiceRecord {
    provider: String,
    model: String,
    temperature: Option<f32>,
    max_tokens: Option<u32>,
    call_time_ms_max: Option<u64>,
    alternatives: Vec<AlternativeRecord>,
    caching: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct AlternativeRecord {
    provider: String,
    model: String,
}

/// The word for why a run does not carry out the mode that was asked for.
pub(crate) fn fallback_word(fallback: Fallback) -> &'static str {
    match fallback {
        Fallback::Forced => "forced",
        Fallback::UnknownMode => "unknown_mode",
    }
}

/// Why a run does not carry out the mode that was asked for, by the word for it.
pub(crate) fn fallback_of(word: &str) -> Option<Fallback> {
    [Fallback::Forced, Fallback::UnknownMode]
        .into_iter()
        .find(|fallback| fallback_word(*fallback) == word)
}

impl From<&Plan> for PlanRecord {
    fn from(plan: &Plan) -> Self {
        Self {
            requested_mode: plan.requested_mode.to_string(),
            effective_mode: plan.effective_mode.to_string(),
            fallback: plan.fallback.map(|fallback| fallback_word(fallback).to_owned()),
            profile_version: plan.profile_version.clone(),
            title: plan.title.clone(),
            stages: plan.stages.iter().map(StageRecord::from).collect(),
            skill_overrides: JsonRecord::from(&plan.skill_overrides),
            stage_overrides: JsonRecord::from(&plan.stage_overrides),
            run_token_count_max: plan.run_token_count_max,
            run_cost_nano_usd_max: plan.run_cost_nano_usd_max,
            on_budget_exceeded: match plan.on_budget_exceeded {
                OnBudgetExceeded::Stop => OnBudgetExceededRecord::Stop,
                OnBudgetExceeded::Ask => OnBudgetExceededRecord::Ask,
            },
            budget_warn_percent: plan.budget_warn_percent,
        }
    }
}

impl TryFrom<PlanRecord> for Plan {
    type Error = Unreadable;

    fn try_from(record: PlanRecord) -> Result<Self, Unreadable> {
        let fallback = match record.fallback.as_deref() {
            None => None,
            Some(word) => Some(
                fallback_of(word)
                    .ok_or_else(|| Unreadable(format!("unknown fallback `{word}`")))?,
            ),
        };
        let stages = record.stages.into_iter().map(PlannedStage::try_from);
        Ok(Self {
            requested_mode: parsed("mode", &record.requested_mode)?,
            effective_mode: parsed("mode", &record.effective_mode)?,
            fallback,
            profile_version: record.profile_version,
            title: record.title,
            stages: stages.collect::<Result<_, _>>()?,
            skill_overrides: record.skill_overrides.into(),
            stage_overrides: record.stage_overrides.into(),
            run_token_count_max: record.run_token_count_max,
            run_cost_nano_usd_max: record.run_cost_nano_usd_max,
            on_budget_exceeded: match record.on_budget_exceeded {
                OnBudgetExceededRecord::Stop => OnBudgetExceeded::Stop,
                OnBudgetExceededRecord::Ask => OnBudgetExceeded::Ask,
            },
            budget_warn_percent: record.budget_warn_percent,
        })
    }
}

impl From<&PlannedStage> for StageRecord {
    fn from(stage: &PlannedStage) -> Self {
        let skill =
            |skill: &Skill| SkillRecord { name: skill.name.clone(), body: skill.body.clone() };
        let spec = |spec: &ArtifactSpec| ArtifactSpecRecord {
            name: spec.name.clone(),
            media_type: spec.media_type.clone(),
            summary: spec.summary.clone(),
        };
        Self {
            key: stage.key.to_string(),
            title: stage.title.clone(),
            plugin: PluginRecord {
                name: stage.plugin.name.clone(),
                version: stage.plugin.version.clone(),
                digest: stage.plugin.digest.to_string(),
            },
            settings: JsonRecord::from(&stage.settings),
            skills: stage.skills.iter().map(skill).collect(),
            needs: stage.needs.clone(),
            uses: stage.uses.clone(),
            makes: stage.makes.iter().map(spec).collect(),
            gate: stage.gate.as_ref().map(GateRecord::from),
            retry: RetryRecord::from(&stage.retry),
            limits: LimitsRecord::from(&stage.limits),
            model: ModelChoiceRecord::from(&stage.model),
            grants: GrantsRecord::from(&stage.grants),
        }
    }
}

impl TryFrom<StageRecord> for PlannedStage {
    type Error = Unreadable;

    fn try_from(record: StageRecord) -> Result<Self, Unreadable> {
        let skill = |skill: SkillRecord| Skill { name: skill.name, body: skill.body };
        let spec = |spec: ArtifactSpecRecord| ArtifactSpec {
            name: spec.name,
            media_type: spec.media_type,
            summary: spec.summary,
        };
        Ok(Self {
            key: parsed("stage", &record.key)?,
            title: record.title,
            plugin: PinnedPlugin {
                name: record.plugin.name,
                version: record.plugin.version,
                digest: parsed("digest", &record.plugin.digest)?,
            },
            settings: record.settings.into(),
            skills: record.skills.into_iter().map(skill).collect(),
            needs: record.needs,
            uses: record.uses,
            makes: record.makes.into_iter().map(spec).collect(),
            gate: record.gate.map(Gate::from),
            retry: record.retry.into(),
            limits: record.limits.into(),
            model: record.model.into(),
            grants: record.grants.try_into()?,
        })
    }
}

/// Requests of an attempt in plans that do not say it. Never changed: it is what those plans mean.
const fn requests_unsaid() -> u32 {
    16
}

fn is_requests_unsaid(count: &u32) -> bool {
    *count == requests_unsaid()
}

impl GrantsRecord {
    fn is_none(&self) -> bool {
        self.http.is_empty()
    }
}

impl From<&Grants> for GrantsRecord {
    fn from(grants: &Grants) -> Self {
        Self { http: grants.http.iter().map(ToString::to_string).collect() }
    }
}

impl TryFrom<GrantsRecord> for Grants {
    type Error = Unreadable;

    fn try_from(record: GrantsRecord) -> Result<Self, Unreadable> {
        let http = record.http.iter().map(|host| parsed("host", host));
        Ok(Self { http: http.collect::<Result<_, _>>()? })
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Limits> for LimitsRecord {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes_max,
            cpu_time_ms_max: whole_ms(limits.cpu_time_max),
            wall_time_ms_max: whole_ms(limits.wall_time_max),
            call_bytes_max: limits.call_bytes_max,
            log_bytes_max: limits.log_bytes_max,
            artifact_count_max: limits.artifact_count_max,
            artifact_bytes_max: limits.artifact_bytes_max,
            model_call_count_max: limits.model_call_count_max,
            http_request_count_max: limits.http_request_count_max,
            stage_token_count_max: limits.stage_token_count_max,
            stage_cost_nano_usd_max: limits.stage_cost_nano_usd_max,
        }
    }
}

impl From<LimitsRecord> for Limits {
    fn from(record: LimitsRecord) -> Self {
        Self {
            memory_bytes_max: record.memory_bytes_max,
            cpu_time_max: Duration::from_millis(record.cpu_time_ms_max),
            wall_time_max: Duration::from_millis(record.wall_time_ms_max),
            call_bytes_max: record.call_bytes_max,
            log_bytes_max: record.log_bytes_max,
            artifact_count_max: record.artifact_count_max,
            artifact_bytes_max: record.artifact_bytes_max,
            model_call_count_max: record.model_call_count_max,
            http_request_count_max: record.http_request_count_max,
            stage_token_count_max: record.stage_token_count_max,
            stage_cost_nano_usd_max: record.stage_cost_nano_usd_max,
        }
    }
}

impl From<&ModelChoice> for ModelChoiceRecord {
    fn from(choice: &ModelChoice) -> Self {
        Self {
            provider: choice.provider.clone(),
            model: choice.model.clone(),
            temperature: choice.temperature,
            max_tokens: choice.max_tokens,
            call_time_ms_max: choice.call_time_ms_max,
            alternatives: choice
                .alternatives
                .iter()
                .map(|other| AlternativeRecord {
                    provider: other.provider.clone(),
                    model: other.model.clone(),
                })
                .collect(),
            caching: choice.caching == Caching::On,
        }
    }
}

impl From<ModelChoiceRecord> for ModelChoice {
    fn from(record: ModelChoiceRecord) -> Self {
        Self {
            provider: record.provider,
            model: record.model,
            temperature: record.temperature,
            max_tokens: record.max_tokens,
            call_time_ms_max: record.call_time_ms_max,
            alternatives: record
                .alternatives
                .into_iter()
                .map(|other| ModelAlternative { provider: other.provider, model: other.model })
                .collect(),
            caching: if record.caching { Caching::On } else { Caching::Off },
        }
    }
}
