//! Events as they are stored. The tag of each is [`Event::kind`].
use std::sync::Arc;

use domain::run::{BudgetBound, CallOutcome, Created, Decision, Event, GateTiming, StageResult};
use domain::stage::{Belonging, Variable};
use domain::{ArtifactRef, Fault, StageIdx, Timestamp};
use serde::{Deserialize, Serialize};

use super::budget::BoundRecord;
use super::fault::FaultRecord;
use super::{JsonRecord, PlanRecord, Unreadable, parsed};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventRecord {
    RunCreated(Box<CreatedRecord>),
    StageStarted {
        stage: u16,
        attempt: u32,
    },
    ModelAnswered {
        stage: u16,
        attempt: u32,
        ordinal: u32,
        call: String,
        outcome: OutcomeRecord,
    },
    StageFinished {
        stage: u16,
        attempt: u32,
        result: ResultRecord,
    },
    StageFailed {
        stage: u16,
        attempt: u32,
        fault: FaultRecord,
    },
    GateOpened {
        stage: u16,
        approval: String,
        content_hash: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_at: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<i64>,
    },
    BudgetWarned {
        stage: u16,
        attempt: u32,
        bound: BoundRecord,
    },
    BudgetGateOpened {
        stage: u16,
        attempt: u32,
        approval: String,
        content_hash: String,
        bound: BoundRecord,
    },
    GateGranted {
        stage: u16,
        approval: String,
        actor: String,
        comment: Option<String>,
    },
    GateRejected {
        stage: u16,
        approval: String,
        actor: String,
        comment: Option<String>,
    },
    GateGrantAdded {
        stage: u16,
        approval: String,
        actor: String,
        comment: Option<String>,
    },
    GateRevised {
        stage: u16,
        approval: String,
        actor: String,
        comment: Option<String>,
    },
    ArtifactsEdited {
        stage: u16,
        approval: String,
        actor: String,
        artifacts: Vec<ArtifactRecord>,
        content_hash: String,
    },
    GateReminded {
        stage: u16,
        approval: String,
        number: u16,
        next_at: Option<i64>,
        failure: Option<String>,
    },
    GateEscalated {
        stage: u16,
        approval: String,
    },
    RetryScheduled {
        stage: u16,
        failures: u32,
        at: i64,
        fault: FaultRecord,
    },
    RetryDue {
        stage: u16,
    },
    RetriesSpent {
        stage: u16,
        fault: FaultRecord,
    },
    PauseRequested {
        actor: String,
    },
    RunPaused {},
    RunResumed {
        actor: String,
    },
    RunRetried {
        from: u16,
        actor: String,
    },
    RunCompleted {},
    RunFailed {
        stage: u16,
        fault: FaultRecord,
    },
    RunCanceled {
        actor: String,
        reason: Option<String>,
    },
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeRecord {
    Answered { model: String, input_tokens: Option<u64>, output_tokens: Option<u64> },
    Failed { code: String, message: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResultRecord {
    artifacts: Vec<ArtifactRecord>,
    data: String,
    summary: String,
    variables: Vec<VariableRecord>,
    content_hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ArtifactRecord {
    name: String,
    media_type: String,
    digest: String,
    size_bytes: u64,
}

impl From<&Event> for EventRecord {
    fn from(event: &Event) -> Self {
        match event {
            Event::RunCreated(created) => {
                EventRecord::RunCreated(Box::new(CreatedRecord::from(created.as_ref())))
            }
            Event::StageStarted { stage, attempt } => {
                EventRecord::StageStarted { stage: stage.0, attempt: *attempt }
            }
            Event::ModelAnswered { stage, attempt, ordinal, call, outcome } => {
                let (stage, attempt, ordinal) = (stage.0, *attempt, *ordinal);
                let (call, outcome) = (call.to_string(), OutcomeRecord::from(outcome));
                EventRecord::ModelAnswered { stage, attempt, ordinal, call, outcome }
            }
            Event::StageFinished { stage, attempt, result } => EventRecord::StageFinished {
                stage: stage.0,
                attempt: *attempt,
                result: ResultRecord::from(result),
            },
            Event::StageFailed { stage, attempt, fault } => EventRecord::StageFailed {
                stage: stage.0,
                attempt: *attempt,
                fault: FaultRecord::from(fault),
            },
            Event::GateOpened { stage, approval, content_hash, timing } => {
                EventRecord::GateOpened {
                    stage: stage.0,
                    approval: approval.to_string(),
                    content_hash: content_hash.to_string(),
                    deadline_at: timing.deadline_at.map(Timestamp::as_unix_ms),
                    remind_at: timing.remind_at.map(Timestamp::as_unix_ms),
                }
            }
            Event::BudgetWarned { stage, attempt, bound } => EventRecord::BudgetWarned {
                stage: stage.0,
                attempt: *attempt,
                bound: BoundRecord::from(bound),
            },
            Event::BudgetGateOpened { stage, attempt, approval, content_hash, bound } => {
                let (stage, attempt, approval) = (stage.0, *attempt, approval.to_string());
                let content_hash = content_hash.to_string();
                let bound = BoundRecord::from(bound);
                EventRecord::BudgetGateOpened { stage, attempt, approval, content_hash, bound }
            }
            Event::GateGranted { stage, approval, decision } => {
                let Decision { actor, comment } = decision.clone();
                let approval = approval.to_string();
                EventRecord::GateGranted { stage: stage.0, approval, actor, comment }
            }
            Event::GateRejected { stage, approval, decision } => {
                let Decision { actor, comment } = decision.clone();
                let approval = approval.to_string();
                EventRecord::GateRejected { stage: stage.0, approval, actor, comment }
            }
            Event::GateGrantAdded { stage, approval, decision } => {
                let Decision { actor, comment } = decision.clone();
                let approval = approval.to_string();
                EventRecord::GateGrantAdded { stage: stage.0, approval, actor, comment }
            }
            Event::GateRevised { stage, approval, decision } => {
                let Decision { actor, comment } = decision.clone();
                let approval = approval.to_string();
                EventRecord::GateRevised { stage: stage.0, approval, actor, comment }
            }
            Event::ArtifactsEdited { stage, approval, actor, artifacts, content_hash } => {
                EventRecord::ArtifactsEdited {
                    stage: stage.0,
                    approval: approval.to_string(),
                    actor: actor.clone(),
                    artifacts: artifacts.iter().map(ArtifactRecord::from).collect(),
                    content_hash: content_hash.to_string(),
                }
            }
            Event::GateReminded { stage, approval, number, next_at, failure } => {
                EventRecord::GateReminded {
                    stage: stage.0,
                    approval: approval.to_string(),
                    number: *number,
                    next_at: next_at.map(Timestamp::as_unix_ms),
                    failure: failure.clone(),
                }
            }
            Event::GateEscalated { stage, approval } => {
                EventRecord::GateEscalated { stage: stage.0, approval: approval.to_string() }
            }
            Event::RetryScheduled { stage, failures, at, fault } => EventRecord::RetryScheduled {
                stage: stage.0,
                failures: *failures,
                at: at.as_unix_ms(),
                fault: FaultRecord::from(fault),
            },
            Event::RetryDue { stage } => EventRecord::RetryDue { stage: stage.0 },
            Event::RetriesSpent { stage, fault } => {
                EventRecord::RetriesSpent { stage: stage.0, fault: FaultRecord::from(fault) }
            }
            Event::PauseRequested { actor } => EventRecord::PauseRequested { actor: actor.clone() },
            Event::RunPaused => EventRecord::RunPaused {},
            Event::RunResumed { actor } => EventRecord::RunResumed { actor: actor.clone() },
            Event::RunRetried { from, actor } => {
                EventRecord::RunRetried { from: from.0, actor: actor.clone() }
            }
            Event::RunCompleted => EventRecord::RunCompleted {},
            Event::RunFailed { stage, fault } => {
                EventRecord::RunFailed { stage: stage.0, fault: FaultRecord::from(fault) }
            }
            Event::RunCanceled { actor, reason } => {
                EventRecord::RunCanceled { actor: actor.clone(), reason: reason.clone() }
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
            EventRecord::StageStarted { stage, attempt } => {
                Event::StageStarted { stage: StageIdx(stage), attempt }
            }
            EventRecord::ModelAnswered { stage, attempt, ordinal, call, outcome } => {
                Event::ModelAnswered {
                    stage: StageIdx(stage),
                    attempt,
                    ordinal,
                    call: parsed("call", &call)?,
                    outcome: outcome.into(),
                }
            }
            EventRecord::StageFinished { stage, attempt, result } => Event::StageFinished {
                stage: StageIdx(stage),
                attempt,
                result: StageResult::try_from(result)?,
            },
            EventRecord::StageFailed { stage, attempt, fault } => Event::StageFailed {
                stage: StageIdx(stage),
                attempt,
                fault: Fault::try_from(fault)?,
            },
            EventRecord::GateOpened { stage, approval, content_hash, deadline_at, remind_at } => {
                Event::GateOpened {
                    stage: StageIdx(stage),
                    approval: parsed("approval", &approval)?,
                    content_hash: parsed("digest", &content_hash)?,
                    timing: GateTiming {
                        deadline_at: deadline_at.map(Timestamp::from_unix_ms),
                        remind_at: remind_at.map(Timestamp::from_unix_ms),
                    },
                }
            }
            EventRecord::BudgetWarned { stage, attempt, bound } => Event::BudgetWarned {
                stage: StageIdx(stage),
                attempt,
                bound: BudgetBound::try_from(bound)?,
            },
            EventRecord::BudgetGateOpened { stage, attempt, approval, content_hash, bound } => {
                Event::BudgetGateOpened {
                    stage: StageIdx(stage),
                    attempt,
                    approval: parsed("approval", &approval)?,
                    content_hash: parsed("digest", &content_hash)?,
                    bound: BudgetBound::try_from(bound)?,
                }
            }
            EventRecord::GateGranted { stage, approval, actor, comment } => Event::GateGranted {
                stage: StageIdx(stage),
                approval: parsed("approval", &approval)?,
                decision: Decision { actor, comment },
            },
            EventRecord::GateRejected { stage, approval, actor, comment } => Event::GateRejected {
                stage: StageIdx(stage),
                approval: parsed("approval", &approval)?,
                decision: Decision { actor, comment },
            },
            EventRecord::GateGrantAdded { stage, approval, actor, comment } => {
                Event::GateGrantAdded {
                    stage: StageIdx(stage),
                    approval: parsed("approval", &approval)?,
                    decision: Decision { actor, comment },
                }
            }
            EventRecord::GateRevised { stage, approval, actor, comment } => Event::GateRevised {
                stage: StageIdx(stage),
                approval: parsed("approval", &approval)?,
                decision: Decision { actor, comment },
            },
            EventRecord::ArtifactsEdited { stage, approval, actor, artifacts, content_hash } => {
                Event::ArtifactsEdited {
                    stage: StageIdx(stage),
                    approval: parsed("approval", &approval)?,
                    actor,
                    artifacts: artifacts_of(artifacts)?,
                    content_hash: parsed("digest", &content_hash)?,
                }
            }
            EventRecord::GateReminded { stage, approval, number, next_at, failure } => {
                Event::GateReminded {
                    stage: StageIdx(stage),
                    approval: parsed("approval", &approval)?,
                    number,
                    next_at: next_at.map(Timestamp::from_unix_ms),
                    failure,
                }
            }
            EventRecord::GateEscalated { stage, approval } => Event::GateEscalated {
                stage: StageIdx(stage),
                approval: parsed("approval", &approval)?,
            },
            EventRecord::RetryScheduled { stage, failures, at, fault } => Event::RetryScheduled {
                stage: StageIdx(stage),
                failures,
                at: Timestamp::from_unix_ms(at),
                fault: Fault::try_from(fault)?,
            },
            EventRecord::RetryDue { stage } => Event::RetryDue { stage: StageIdx(stage) },
            EventRecord::RetriesSpent { stage, fault } => {
                Event::RetriesSpent { stage: StageIdx(stage), fault: Fault::try_from(fault)? }
            }
            EventRecord::PauseRequested { actor } => Event::PauseRequested { actor },
            EventRecord::RunPaused {} => Event::RunPaused,
            EventRecord::RunResumed { actor } => Event::RunResumed { actor },
            EventRecord::RunRetried { from, actor } => {
                Event::RunRetried { from: StageIdx(from), actor }
            }
            EventRecord::RunCompleted {} => Event::RunCompleted,
            EventRecord::RunFailed { stage, fault } => {
                Event::RunFailed { stage: StageIdx(stage), fault: Fault::try_from(fault)? }
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

impl From<&CallOutcome> for OutcomeRecord {
    fn from(outcome: &CallOutcome) -> Self {
        match outcome.clone() {
            CallOutcome::Answered { model, input_tokens, output_tokens } => {
                OutcomeRecord::Answered { model, input_tokens, output_tokens }
            }
            CallOutcome::Failed { code, message } => OutcomeRecord::Failed { code, message },
        }
    }
}

impl From<OutcomeRecord> for CallOutcome {
    fn from(record: OutcomeRecord) -> Self {
        match record {
            OutcomeRecord::Answered { model, input_tokens, output_tokens } => {
                CallOutcome::Answered { model, input_tokens, output_tokens }
            }
            OutcomeRecord::Failed { code, message } => CallOutcome::Failed { code, message },
        }
    }
}

impl From<&ArtifactRef> for ArtifactRecord {
    fn from(artifact: &ArtifactRef) -> Self {
        Self {
            name: artifact.name.to_string(),
            media_type: artifact.media_type.clone(),
            digest: artifact.digest.to_string(),
            size_bytes: artifact.size_bytes,
        }
    }
}

fn artifacts_of(records: Vec<ArtifactRecord>) -> Result<Vec<ArtifactRef>, Unreadable> {
    let artifact = |record: ArtifactRecord| {
        Ok(ArtifactRef {
            name: parsed("artifact", &record.name)?,
            media_type: record.media_type,
            digest: parsed("digest", &record.digest)?,
            size_bytes: record.size_bytes,
        })
    };
    records.into_iter().map(artifact).collect()
}

impl From<&StageResult> for ResultRecord {
    fn from(result: &StageResult) -> Self {
        Self {
            artifacts: result.artifacts.iter().map(ArtifactRecord::from).collect(),
            data: result.data.to_string(),
            summary: result.summary.clone(),
            variables: result.variables.iter().map(VariableRecord::from).collect(),
            content_hash: result.content_hash.to_string(),
        }
    }
}

impl TryFrom<ResultRecord> for StageResult {
    type Error = Unreadable;

    fn try_from(record: ResultRecord) -> Result<Self, Unreadable> {
        Ok(Self {
            artifacts: artifacts_of(record.artifacts)?,
            data: parsed("digest", &record.data)?,
            summary: record.summary,
            variables: variables_of(record.variables)?,
            content_hash: parsed("digest", &record.content_hash)?,
        })
    }
}
