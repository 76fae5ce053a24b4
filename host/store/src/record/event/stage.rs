//! What happens to stages: attempts, model calls, results, and waits before the next attempt.
use domain::run::{CallOutcome, Event, StageResult};
use domain::{ArtifactRef, CallId, Fault, StageIdx, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::fault::FaultRecord;
use super::super::{Unreadable, parsed};
use super::{VariableRecord, variables_of};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BegunRecord {
    stage: u16,
    attempt: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AnsweredRecord {
    stage: u16,
    attempt: u32,
    ordinal: u32,
    call: String,
    outcome: OutcomeRecord,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FinishedRecord {
    stage: u16,
    attempt: u32,
    result: ResultRecord,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AttemptFailedRecord {
    stage: u16,
    attempt: u32,
    fault: FaultRecord,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScheduledRecord {
    stage: u16,
    failures: u32,
    at: i64,
    fault: FaultRecord,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AtStageRecord {
    pub(super) stage: u16,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FailedRecord {
    stage: u16,
    fault: FaultRecord,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeRecord {
    Answered { model: String, input_tokens: Option<u64>, output_tokens: Option<u64> },
    Failed { code: String, message: String },
}

#[derive(Debug, Serialize, Deserialize)]
struct ResultRecord {
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

pub(super) fn begun(stage: StageIdx, attempt: u32) -> BegunRecord {
    BegunRecord { stage: stage.0, attempt }
}

pub(super) fn answered(
    stage: StageIdx,
    attempt: u32,
    ordinal: u32,
    (call, outcome): (&CallId, &CallOutcome),
) -> AnsweredRecord {
    let (call, outcome) = (call.to_string(), OutcomeRecord::from(outcome));
    AnsweredRecord { stage: stage.0, attempt, ordinal, call, outcome }
}

pub(super) fn finished(stage: StageIdx, attempt: u32, result: &StageResult) -> FinishedRecord {
    FinishedRecord { stage: stage.0, attempt, result: ResultRecord::from(result) }
}

pub(super) fn attempt_failed(stage: StageIdx, attempt: u32, fault: &Fault) -> AttemptFailedRecord {
    AttemptFailedRecord { stage: stage.0, attempt, fault: FaultRecord::from(fault) }
}

pub(super) fn scheduled(
    stage: StageIdx,
    failures: u32,
    at: Timestamp,
    fault: &Fault,
) -> ScheduledRecord {
    let (at, fault) = (at.as_unix_ms(), FaultRecord::from(fault));
    ScheduledRecord { stage: stage.0, failures, at, fault }
}

pub(super) fn failed(stage: StageIdx, fault: &Fault) -> FailedRecord {
    FailedRecord { stage: stage.0, fault: FaultRecord::from(fault) }
}

impl BegunRecord {
    pub(super) fn into_event(self) -> Event {
        Event::StageStarted { stage: StageIdx(self.stage), attempt: self.attempt }
    }
}

impl AnsweredRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        Ok(Event::ModelAnswered {
            stage: StageIdx(self.stage),
            attempt: self.attempt,
            ordinal: self.ordinal,
            call: parsed("call", &self.call)?,
            outcome: self.outcome.into(),
        })
    }
}

impl FinishedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        let (stage, result) = (StageIdx(self.stage), StageResult::try_from(self.result)?);
        Ok(Event::StageFinished { stage, attempt: self.attempt, result })
    }
}

impl AttemptFailedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        let (stage, fault) = (StageIdx(self.stage), Fault::try_from(self.fault)?);
        Ok(Event::StageFailed { stage, attempt: self.attempt, fault })
    }
}

impl ScheduledRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        Ok(Event::RetryScheduled {
            stage: StageIdx(self.stage),
            failures: self.failures,
            at: Timestamp::from_unix_ms(self.at),
            fault: Fault::try_from(self.fault)?,
        })
    }
}

impl FailedRecord {
    pub(super) fn into_event(
        self,
        event: impl FnOnce(StageIdx, Fault) -> Event,
    ) -> Result<Event, Unreadable> {
        Ok(event(StageIdx(self.stage), Fault::try_from(self.fault)?))
    }
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

pub(super) fn artifacts_of(records: Vec<ArtifactRecord>) -> Result<Vec<ArtifactRef>, Unreadable> {
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
