//! Events of a run's log.
mod gates;

use domain::run::{CallOutcome, Created, Event, Recorded, StageResult};
use domain::stage::Variable;
use domain::{ArtifactRef, Fault, Plan, StageIdx, Timestamp};

use super::line::line;
use super::{moment, value};
use crate::dto::{BudgetBoundDto, EventArtifactDto, EventDto, EventKindDto, FaultDto, VariableDto};

/// An event of a run with this plan.
pub(crate) fn event_dto(recorded: &Recorded, plan: &Plan) -> EventDto {
    let what = kind(&recorded.event, plan);
    EventDto {
        seq: Some(recorded.seq),
        version: recorded.version,
        at: moment(recorded.at),
        line: line(&what),
        what,
    }
}

fn kind(event: &Event, plan: &Plan) -> EventKindDto {
    let key = |stage: &StageIdx| key_of(plan, *stage);
    match event {
        Event::RunCreated(created) => run_created(created),
        Event::StageStarted { stage, attempt } => {
            EventKindDto::StageStarted { stage: key(stage), attempt: *attempt }
        }
        Event::ModelAnswered { stage, attempt, ordinal, call, outcome } => {
            model_answered(key(stage), *attempt, *ordinal, call.to_string(), outcome)
        }
        Event::StageFinished { stage, attempt, result } => {
            stage_finished(key(stage), *attempt, result)
        }
        Event::StageFailed { stage, attempt, fault } => {
            let (stage, fault) = (key(stage), FaultDto::from(fault));
            EventKindDto::StageFailed { stage, attempt: *attempt, fault }
        }
        Event::GateOpened { stage, approval, content_hash, timing } => {
            gates::opened(key(stage), approval, content_hash, *timing)
        }
        Event::GateGrantAdded { stage, approval, decision } => {
            gates::grant_added(key(stage), approval, decision)
        }
        Event::ArtifactsEdited { stage, approval, actor, artifacts, content_hash } => {
            gates::edited(key(stage), approval, actor, (artifacts, content_hash))
        }
        Event::GateReminded { stage, approval, number, next_at, failure } => {
            gates::reminded(key(stage), approval, *number, (*next_at, failure.clone()))
        }
        Event::GateEscalated { stage, approval } => {
            EventKindDto::GateEscalated { stage: key(stage), approval_id: approval.to_string() }
        }
        Event::BudgetWarned { stage, attempt, bound } => {
            let (stage, bound) = (key(stage), BudgetBoundDto::from(bound));
            EventKindDto::BudgetWarned { stage, attempt: *attempt, bound }
        }
        Event::BudgetGateOpened { stage, attempt, approval, content_hash, bound } => {
            gates::budget_opened(key(stage), *attempt, approval, (content_hash, bound))
        }
        Event::GateGranted { stage, approval, decision } => {
            gates::granted(key(stage), approval, decision)
        }
        Event::GateRejected { stage, approval, decision } => {
            gates::rejected(key(stage), approval, decision)
        }
        Event::GateRevised { stage, approval, decision } => {
            gates::revised(key(stage), approval, decision)
        }
        Event::RetryScheduled { stage, failures, at, fault } => {
            retry_scheduled(key(stage), *failures, *at, fault)
        }
        Event::RetryDue { stage } => EventKindDto::RetryDue { stage: key(stage) },
        Event::RetriesSpent { stage, fault } => {
            EventKindDto::RetriesSpent { stage: key(stage), fault: FaultDto::from(fault) }
        }
        Event::PauseRequested { actor } => EventKindDto::PauseRequested { actor: actor.clone() },
        Event::RunPaused => EventKindDto::RunPaused {},
        Event::RunResumed { actor } => EventKindDto::RunResumed { actor: actor.clone() },
        Event::RunRetried { from, actor } => {
            EventKindDto::RunRetried { stage: key(from), actor: actor.clone() }
        }
        Event::RunCompleted => EventKindDto::RunCompleted {},
        Event::RunFailed { stage, fault } => {
            EventKindDto::RunFailed { stage: key(stage), fault: FaultDto::from(fault) }
        }
        Event::RunCanceled { actor, reason } => {
            EventKindDto::RunCanceled { actor: actor.clone(), reason: reason.clone() }
        }
    }
}

fn retry_scheduled(stage: String, failures: u32, at: Timestamp, fault: &Fault) -> EventKindDto {
    let (retry_at, fault) = (moment(at), FaultDto::from(fault));
    EventKindDto::RetryScheduled { stage, failures, retry_at, fault }
}

/// The key of a stage. A log written for another plan than the run's cannot be; its number is better than nothing.
fn key_of(plan: &Plan, stage: StageIdx) -> String {
    plan.stage(stage).map_or_else(|| format!("#{}", stage.0), |planned| planned.key.to_string())
}

fn run_created(created: &Created) -> EventKindDto {
    let plan = &created.plan;
    EventKindDto::RunCreated {
        requested_mode: plan.requested_mode.to_string(),
        effective_mode: plan.effective_mode.to_string(),
        fallback_applied: plan.fallback.is_some(),
        profile_version: plan.profile_version.clone(),
        stages: plan.stages.iter().map(|stage| stage.key.to_string()).collect(),
        variables: created.variables.iter().map(VariableDto::from).collect(),
        started_by: created.started_by.clone(),
    }
}

fn model_answered(
    stage: String,
    attempt: u32,
    ordinal: u32,
    call_id: String,
    outcome: &CallOutcome,
) -> EventKindDto {
    let (mut model, mut input_tokens, mut output_tokens) = (None, None, None);
    let (mut error_code, mut error_message) = (None, None);
    match outcome {
        CallOutcome::Answered { model: name, input_tokens: input, output_tokens: output } => {
            model = Some(name.clone());
            input_tokens = *input;
            output_tokens = *output;
        }
        CallOutcome::Failed { code, message } => {
            error_code = Some(code.clone());
            error_message = Some(message.clone());
        }
    }
    EventKindDto::ModelAnswered {
        stage,
        attempt,
        ordinal,
        call_id,
        model,
        input_tokens,
        output_tokens,
        error_code,
        error_message,
    }
}

fn stage_finished(stage: String, attempt: u32, result: &StageResult) -> EventKindDto {
    EventKindDto::StageFinished {
        stage,
        attempt,
        summary: result.summary.clone(),
        artifacts: result.artifacts.iter().map(EventArtifactDto::from).collect(),
        variables: result.variables.iter().map(VariableDto::from).collect(),
        content_hash: result.content_hash.to_string(),
    }
}

impl From<&ArtifactRef> for EventArtifactDto {
    fn from(artifact: &ArtifactRef) -> Self {
        Self {
            name: artifact.name.to_string(),
            media_type: artifact.media_type.clone(),
            digest: artifact.digest.to_string(),
            size_bytes: artifact.size_bytes,
        }
    }
}

impl From<&Variable> for VariableDto {
    fn from(variable: &Variable) -> Self {
        Self { name: variable.name.to_string(), value: value(&variable.value) }
    }
}

impl From<&Fault> for FaultDto {
    fn from(fault: &Fault) -> Self {
        Self {
            error_code: fault.kind.code().to_owned(),
            error_message: fault.message.clone(),
            retryable: fault.kind.is_retryable(),
            plugin_code: fault.kind.plugin_code().map(str::to_owned),
        }
    }
}
