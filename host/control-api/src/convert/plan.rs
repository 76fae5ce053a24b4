//! Plans.
use domain::plan::{
    Caching, Fallback, ModelAlternative, ModelChoice, OnBudgetExceeded, PinnedPlugin,
};
use domain::stage::ArtifactSpec;
use domain::{Limits, Plan, PlannedStage};

use super::policy::ms;
use super::{cost, value};
use crate::dto::{
    ArtifactSpecDto, FallbackDto, GateDto, GrantsDto, LimitsDto, ModelAlternativeDto,
    ModelChoiceDto, OnBudgetExceededDto, PlanDto, PlannedStageDto, PluginRefDto, RetryPolicyDto,
};

impl From<Fallback> for FallbackDto {
    fn from(fallback: Fallback) -> Self {
        match fallback {
            Fallback::Forced => FallbackDto::Forced,
            Fallback::UnknownMode => FallbackDto::UnknownMode,
        }
    }
}

impl From<&Plan> for PlanDto {
    fn from(plan: &Plan) -> Self {
        Self {
            requested_mode: plan.requested_mode.to_string(),
            effective_mode: plan.effective_mode.to_string(),
            fallback_applied: plan.fallback.is_some(),
            fallback: plan.fallback.map(FallbackDto::from),
            profile_version: plan.profile_version.clone(),
            title: plan.title.clone(),
            stages: plan.stages.iter().map(PlannedStageDto::from).collect(),
            skill_overrides: value(&plan.skill_overrides),
            stage_overrides: value(&plan.stage_overrides),
            run_token_count_max: plan.run_token_count_max,
            run_cost_max: plan.run_cost_nano_usd_max.map(cost),
            on_budget_exceeded: OnBudgetExceededDto::from(plan.on_budget_exceeded),
            budget_warn_percent: plan.budget_warn_percent,
        }
    }
}

impl From<OnBudgetExceeded> for OnBudgetExceededDto {
    fn from(what: OnBudgetExceeded) -> Self {
        match what {
            OnBudgetExceeded::Stop => OnBudgetExceededDto::Stop,
            OnBudgetExceeded::Ask => OnBudgetExceededDto::Ask,
        }
    }
}

impl From<&PlannedStage> for PlannedStageDto {
    fn from(stage: &PlannedStage) -> Self {
        Self {
            key: stage.key.to_string(),
            title: stage.title.clone(),
            plugin: PluginRefDto::from(&stage.plugin),
            settings: value(&stage.settings),
            skills: stage.skills.iter().map(|skill| skill.name.clone()).collect(),
            needs: stage.needs.clone(),
            uses: stage.uses.clone(),
            makes: stage.makes.iter().map(ArtifactSpecDto::from).collect(),
            gate: stage.gate.as_ref().map(GateDto::from),
            retry: RetryPolicyDto::from(&stage.retry),
            limits: LimitsDto::from(&stage.limits),
            model: ModelChoiceDto::from(&stage.model),
            grants: GrantsDto { http: stage.grants.http.iter().map(ToString::to_string).collect() },
        }
    }
}

impl From<&PinnedPlugin> for PluginRefDto {
    fn from(plugin: &PinnedPlugin) -> Self {
        Self {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            digest: plugin.digest.to_string(),
        }
    }
}

impl From<&ArtifactSpec> for ArtifactSpecDto {
    fn from(spec: &ArtifactSpec) -> Self {
        Self {
            name: spec.name.clone(),
            media_type: spec.media_type.clone(),
            summary: spec.summary.clone(),
        }
    }
}

impl From<&Limits> for LimitsDto {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes_max,
            cpu_time_ms_max: ms(limits.cpu_time_max),
            wall_time_ms_max: ms(limits.wall_time_max),
            call_bytes_max: limits.call_bytes_max,
            log_bytes_max: limits.log_bytes_max,
            artifact_count_max: limits.artifact_count_max,
            artifact_bytes_max: limits.artifact_bytes_max,
            model_call_count_max: limits.model_call_count_max,
            http_request_count_max: limits.http_request_count_max,
            stage_token_count_max: limits.stage_token_count_max,
            stage_cost_max: limits.stage_cost_nano_usd_max.map(cost),
        }
    }
}

impl From<&ModelChoice> for ModelChoiceDto {
    fn from(choice: &ModelChoice) -> Self {
        Self {
            provider: choice.provider.clone(),
            model: choice.model.clone(),
            temperature: choice.temperature,
            max_tokens: choice.max_tokens,
            call_time_ms_max: choice.call_time_ms_max,
            alternatives: choice.alternatives.iter().map(ModelAlternativeDto::from).collect(),
            cache: match choice.caching {
                Caching::Off => false,
                Caching::On => true,
            },
        }
    }
}

impl From<&ModelAlternative> for ModelAlternativeDto {
    fn from(alternative: &ModelAlternative) -> Self {
        Self { provider: alternative.provider.clone(), model: alternative.model.clone() }
    }
}
