//! Events as they are stored. The tag of each is [`Event::kind`].
use std::sync::Arc;

use domain::run::{BudgetBound, CallOutcome, Created, Decision, Event, StageResult};
use domain::stage::{Belonging, Variable};
use domain::{ArtifactRef, Fault, StageIdx};
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
struct ArtifactRecord {
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
            Event::GateOpened { stage, approval, content_hash } => EventRecord::GateOpened {
                stage: stage.0,
                approval: approval.to_string(),
                content_hash: content_hash.to_string(),
            },
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
            EventRecord::GateOpened { stage, approval, content_hash } => Event::GateOpened {
                stage: StageIdx(stage),
                approval: parsed("approval", &approval)?,
                content_hash: parsed("digest", &content_hash)?,
            },
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
        }
    }
}

impl TryFrom<CreatedRecord> for Created {
    type Error = Unreadable;

    fn try_from(record: CreatedRecord) -> Result<Self, Unreadable> {
        let CreatedRecord { request_text, thread_id, brand_id, project_id, plan, variables } =
            record;
        Ok(Self {
            request_text,
            belonging: Belonging { thread_id, brand_id, project_id },
            plan: plan.try_into()?,
            variables: variables_of(variables)?,
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

impl From<&StageResult> for ResultRecord {
    fn from(result: &StageResult) -> Self {
        let artifact = |artifact: &ArtifactRef| ArtifactRecord {
            name: artifact.name.to_string(),
            media_type: artifact.media_type.clone(),
            digest: artifact.digest.to_string(),
            size_bytes: artifact.size_bytes,
        };
        Self {
            artifacts: result.artifacts.iter().map(artifact).collect(),
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
        let artifact = |artifact: ArtifactRecord| {
            Ok(ArtifactRef {
                name: parsed("artifact", &artifact.name)?,
                media_type: artifact.media_type,
                digest: parsed("digest", &artifact.digest)?,
                size_bytes: artifact.size_bytes,
            })
        };
        Ok(Self {
            artifacts: record
                .artifacts
                .into_iter()
                .map(artifact)
                .collect::<Result<_, Unreadable>>()?,
            data: parsed("digest", &record.data)?,
            summary: record.summary,
            variables: variables_of(record.variables)?,
            content_hash: parsed("digest", &record.content_hash)?,
        })
    }
}
