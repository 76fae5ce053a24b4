//! What happens at gates: questions, decisions, edits, reminders.
use domain::run::{BudgetBound, Decision, Event, GateTiming};
use domain::{ApprovalId, ArtifactRef, Digest, StageIdx, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::budget::BoundRecord;
use super::super::{Unreadable, parsed};
use super::stage::{ArtifactRecord, artifacts_of};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OpenedRecord {
    stage: u16,
    approval: String,
    content_hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remind_at: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BudgetWarnedRecord {
    stage: u16,
    attempt: u32,
    bound: BoundRecord,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BudgetOpenedRecord {
    stage: u16,
    attempt: u32,
    approval: String,
    content_hash: String,
    bound: BoundRecord,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DecidedRecord {
    stage: u16,
    approval: String,
    actor: String,
    comment: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EditedRecord {
    stage: u16,
    approval: String,
    actor: String,
    artifacts: Vec<ArtifactRecord>,
    content_hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemindedRecord {
    stage: u16,
    approval: String,
    number: u16,
    next_at: Option<i64>,
    failure: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskedRecord {
    stage: u16,
    approval: String,
}

pub(super) fn opened(
    stage: StageIdx,
    approval: &ApprovalId,
    content_hash: &Digest,
    timing: GateTiming,
) -> OpenedRecord {
    OpenedRecord {
        stage: stage.0,
        approval: approval.to_string(),
        content_hash: content_hash.to_string(),
        deadline_at: timing.deadline_at.map(Timestamp::as_unix_ms),
        remind_at: timing.remind_at.map(Timestamp::as_unix_ms),
    }
}

pub(super) fn budget_warned(
    stage: StageIdx,
    attempt: u32,
    bound: &BudgetBound,
) -> BudgetWarnedRecord {
    BudgetWarnedRecord { stage: stage.0, attempt, bound: BoundRecord::from(bound) }
}

pub(super) fn budget_opened(
    stage: StageIdx,
    attempt: u32,
    (approval, content_hash): (&ApprovalId, &Digest),
    bound: &BudgetBound,
) -> BudgetOpenedRecord {
    let (approval, content_hash) = (approval.to_string(), content_hash.to_string());
    let bound = BoundRecord::from(bound);
    BudgetOpenedRecord { stage: stage.0, attempt, approval, content_hash, bound }
}

pub(super) fn decided(
    stage: StageIdx,
    approval: &ApprovalId,
    decision: &Decision,
) -> DecidedRecord {
    let Decision { actor, comment } = decision.clone();
    DecidedRecord { stage: stage.0, approval: approval.to_string(), actor, comment }
}

pub(super) fn edited(
    stage: StageIdx,
    approval: &ApprovalId,
    actor: &str,
    (artifacts, content_hash): (&[ArtifactRef], &Digest),
) -> EditedRecord {
    EditedRecord {
        stage: stage.0,
        approval: approval.to_string(),
        actor: actor.to_owned(),
        artifacts: artifacts.iter().map(ArtifactRecord::from).collect(),
        content_hash: content_hash.to_string(),
    }
}

pub(super) fn reminded(
    stage: StageIdx,
    approval: &ApprovalId,
    number: u16,
    (next_at, failure): (Option<Timestamp>, Option<&str>),
) -> RemindedRecord {
    RemindedRecord {
        stage: stage.0,
        approval: approval.to_string(),
        number,
        next_at: next_at.map(Timestamp::as_unix_ms),
        failure: failure.map(str::to_owned),
    }
}

pub(super) fn asked(stage: StageIdx, approval: &ApprovalId) -> AskedRecord {
    AskedRecord { stage: stage.0, approval: approval.to_string() }
}

impl OpenedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        Ok(Event::GateOpened {
            stage: StageIdx(self.stage),
            approval: parsed("approval", &self.approval)?,
            content_hash: parsed("digest", &self.content_hash)?,
            timing: GateTiming {
                deadline_at: self.deadline_at.map(Timestamp::from_unix_ms),
                remind_at: self.remind_at.map(Timestamp::from_unix_ms),
            },
        })
    }
}

impl BudgetWarnedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        let (stage, bound) = (StageIdx(self.stage), BudgetBound::try_from(self.bound)?);
        Ok(Event::BudgetWarned { stage, attempt: self.attempt, bound })
    }
}

impl BudgetOpenedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        Ok(Event::BudgetGateOpened {
            stage: StageIdx(self.stage),
            attempt: self.attempt,
            approval: parsed("approval", &self.approval)?,
            content_hash: parsed("digest", &self.content_hash)?,
            bound: BudgetBound::try_from(self.bound)?,
        })
    }
}

impl DecidedRecord {
    pub(super) fn into_event(
        self,
        event: impl FnOnce(StageIdx, ApprovalId, Decision) -> Event,
    ) -> Result<Event, Unreadable> {
        let decision = Decision { actor: self.actor, comment: self.comment };
        Ok(event(StageIdx(self.stage), parsed("approval", &self.approval)?, decision))
    }
}

impl EditedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        Ok(Event::ArtifactsEdited {
            stage: StageIdx(self.stage),
            approval: parsed("approval", &self.approval)?,
            actor: self.actor,
            artifacts: artifacts_of(self.artifacts)?,
            content_hash: parsed("digest", &self.content_hash)?,
        })
    }
}

impl RemindedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        Ok(Event::GateReminded {
            stage: StageIdx(self.stage),
            approval: parsed("approval", &self.approval)?,
            number: self.number,
            next_at: self.next_at.map(Timestamp::from_unix_ms),
            failure: self.failure,
        })
    }
}

impl AskedRecord {
    pub(super) fn into_event(self) -> Result<Event, Unreadable> {
        let approval = parsed("approval", &self.approval)?;
        Ok(Event::GateEscalated { stage: StageIdx(self.stage), approval })
    }
}
