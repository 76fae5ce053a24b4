//! Events as they are stored. The tag of each is [`Event::kind`].
mod gate;
mod stage;

use std::sync::Arc;

use domain::StageIdx;
use domain::run::{Created, Event};
use domain::stage::{Belonging, Variable};
use serde::{Deserialize, Serialize};

use super::{JsonRecord, PlanRecord, Unreadable, parsed};
use gate::{
    AskedRecord, BudgetOpenedRecord, BudgetWarnedRecord, DecidedRecord, EditedRecord, OpenedRecord,
    RemindedRecord,
};
use stage::{
    AnsweredRecord, AtStageRecord, AttemptFailedRecord, BegunRecord, FailedRecord, FinishedRecord,
    ScheduledRecord, answered, attempt_failed, begun, failed, finished, scheduled,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventRecord {
    RunCreated(Box<CreatedRecord>),
    StageStarted(BegunRecord),
    ModelAnswered(AnsweredRecord),
    StageFinished(FinishedRecord),
    StageFailed(AttemptFailedRecord),
    GateOpened(OpenedRecord),
    BudgetWarned(BudgetWarnedRecord),
    BudgetGateOpened(BudgetOpenedRecord),
    GateGranted(DecidedRecord),
    GateRejected(DecidedRecord),
    GateGrantAdded(DecidedRecord),
    GateRevised(DecidedRecord),
    ArtifactsEdited(EditedRecord),
    GateReminded(RemindedRecord),
    GateEscalated(AskedRecord),
    RetryScheduled(ScheduledRecord),
    RetryDue(AtStageRecord),
    RetriesSpent(FailedRecord),
    PauseRequested { actor: String },
    RunPaused {},
    RunResumed { actor: String },
    RunRetried { from: u16, actor: String },
    RunCompleted {},
    RunFailed(FailedRecord),
    RunCanceled { actor: String, reason: Option<String> },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CreatedRecord {
    request_text: String,
    thread_id: Option<String>,
    brand_id: Option<String>,
    project_id: Option<String>,
    plan: PlanRecord,
    variables: Vec<VariableRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_by: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct VariableRecord {
    name: String,
    value: JsonRecord,
}

impl From<&Event> for EventRecord {
    fn from(event: &Event) -> Self {
        match event {
            Event::RunCreated(created) => Self::RunCreated(Box::new(created.as_ref().into())),
            Event::StageStarted { stage, attempt } => Self::StageStarted(begun(*stage, *attempt)),
            Event::ModelAnswered { stage, attempt, ordinal, call, outcome } => {
                Self::ModelAnswered(answered(*stage, *attempt, *ordinal, (call, outcome)))
            }
            Event::StageFinished { stage, attempt, result } => {
                Self::StageFinished(finished(*stage, *attempt, result))
            }
            Event::StageFailed { stage, attempt, fault } => {
                Self::StageFailed(attempt_failed(*stage, *attempt, fault))
            }
            Event::GateOpened { stage, approval, content_hash, timing } => {
                Self::GateOpened(gate::opened(*stage, approval, content_hash, *timing))
            }
            Event::BudgetWarned { stage, attempt, bound } => {
                Self::BudgetWarned(gate::budget_warned(*stage, *attempt, bound))
            }
            Event::BudgetGateOpened { stage, attempt, approval, content_hash, bound } => {
                let asked = (approval, content_hash);
                Self::BudgetGateOpened(gate::budget_opened(*stage, *attempt, asked, bound))
            }
            Event::GateGrantAdded { stage, approval, decision } => {
                Self::GateGrantAdded(gate::decided(*stage, approval, decision))
            }
            Event::GateGranted { stage, approval, decision } => {
                Self::GateGranted(gate::decided(*stage, approval, decision))
            }
            Event::GateRejected { stage, approval, decision } => {
                Self::GateRejected(gate::decided(*stage, approval, decision))
            }
            Event::GateRevised { stage, approval, decision } => {
                Self::GateRevised(gate::decided(*stage, approval, decision))
            }
            Event::ArtifactsEdited { stage, approval, actor, artifacts, content_hash } => {
                let made = (artifacts.as_slice(), content_hash);
                Self::ArtifactsEdited(gate::edited(*stage, approval, actor, made))
            }
            Event::GateReminded { stage, approval, number, next_at, failure } => {
                let outcome = (*next_at, failure.as_deref());
                Self::GateReminded(gate::reminded(*stage, approval, *number, outcome))
            }
            Event::GateEscalated { stage, approval } => {
                Self::GateEscalated(gate::asked(*stage, approval))
            }
            Event::RetryScheduled { stage, failures, at, fault } => {
                Self::RetryScheduled(scheduled(*stage, *failures, *at, fault))
            }
            Event::RetryDue { stage } => Self::RetryDue(AtStageRecord { stage: stage.0 }),
            Event::RetriesSpent { stage, fault } => Self::RetriesSpent(failed(*stage, fault)),
            Event::PauseRequested { actor } => Self::PauseRequested { actor: actor.clone() },
            Event::RunPaused => Self::RunPaused {},
            Event::RunResumed { actor } => Self::RunResumed { actor: actor.clone() },
            Event::RunRetried { from, actor } => {
                Self::RunRetried { from: from.0, actor: actor.clone() }
            }
            Event::RunCompleted => Self::RunCompleted {},
            Event::RunFailed { stage, fault } => Self::RunFailed(failed(*stage, fault)),
            Event::RunCanceled { actor, reason } => {
                Self::RunCanceled { actor: actor.clone(), reason: reason.clone() }
            }
        }
    }
}

impl TryFrom<EventRecord> for Event {
    type Error = Unreadable;

    fn try_from(record: EventRecord) -> Result<Self, Unreadable> {
        Ok(match record {
            EventRecord::RunCreated(created) => {
                Event::RunCreated(Arc::new(Created::try_from(*created)?))
            }
            EventRecord::StageStarted(record) => record.into_event(),
            EventRecord::ModelAnswered(record) => record.into_event()?,
            EventRecord::StageFinished(record) => record.into_event()?,
            EventRecord::StageFailed(record) => record.into_event()?,
            EventRecord::GateOpened(record) => record.into_event()?,
            EventRecord::BudgetWarned(record) => record.into_event()?,
            EventRecord::BudgetGateOpened(record) => record.into_event()?,
            EventRecord::GateGranted(record) => {
                record.into_event(|stage, approval, decision| Event::GateGranted {
                    stage,
                    approval,
                    decision,
                })?
            }
            EventRecord::GateRejected(record) => {
                record.into_event(|stage, approval, decision| Event::GateRejected {
                    stage,
                    approval,
                    decision,
                })?
            }
            EventRecord::GateGrantAdded(record) => {
                record.into_event(|stage, approval, decision| Event::GateGrantAdded {
                    stage,
                    approval,
                    decision,
                })?
            }
            EventRecord::GateRevised(record) => {
                record.into_event(|stage, approval, decision| Event::GateRevised {
                    stage,
                    approval,
                    decision,
                })?
            }
            EventRecord::ArtifactsEdited(record) => record.into_event()?,
            EventRecord::GateReminded(record) => record.into_event()?,
            EventRecord::GateEscalated(record) => record.into_event()?,
            EventRecord::RetryScheduled(record) => record.into_event()?,
            EventRecord::RetryDue(record) => Event::RetryDue { stage: StageIdx(record.stage) },
            EventRecord::RetriesSpent(record) => {
                record.into_event(|stage, fault| Event::RetriesSpent { stage, fault })?
            }
            EventRecord::PauseRequested { actor } => Event::PauseRequested { actor },
            EventRecord::RunPaused {} => Event::RunPaused,
            EventRecord::RunResumed { actor } => Event::RunResumed { actor },
            EventRecord::RunRetried { from, actor } => {
                Event::RunRetried { from: StageIdx(from), actor }
            }
            EventRecord::RunCompleted {} => Event::RunCompleted,
            EventRecord::RunFailed(record) => {
                record.into_event(|stage, fault| Event::RunFailed { stage, fault })?
            }
            EventRecord::RunCanceled { actor, reason } => Event::RunCanceled { actor, reason },
        })
    }
}

impl From<&Created> for CreatedRecord {
    fn from(created: &Created) -> Self {
        let Belonging { thread_id, brand_id, project_id } = created.belonging.clone();
        Self {
            request_text: created.request_text.clone(),
            thread_id,
            brand_id,
            project_id,
            plan: PlanRecord::from(&created.plan),
            variables: created.variables.iter().map(VariableRecord::from).collect(),
            started_by: created.started_by.clone(),
        }
    }
}

impl TryFrom<CreatedRecord> for Created {
    type Error = Unreadable;

    fn try_from(record: CreatedRecord) -> Result<Self, Unreadable> {
        let CreatedRecord { thread_id, brand_id, project_id, .. } = record;
        Ok(Self {
            request_text: record.request_text,
            belonging: Belonging { thread_id, brand_id, project_id },
            plan: record.plan.try_into()?,
            variables: variables_of(record.variables)?,
            started_by: record.started_by,
        })
    }
}

impl From<&Variable> for VariableRecord {
    fn from(variable: &Variable) -> Self {
        Self { name: variable.name.to_string(), value: JsonRecord::from(&variable.value) }
    }
}

fn variables_of(records: Vec<VariableRecord>) -> Result<Vec<Variable>, Unreadable> {
    let variable = |record: VariableRecord| {
        Ok(Variable { name: parsed("variable", &record.name)?, value: record.value.into() })
    };
    records.into_iter().map(variable).collect()
}
