//! What happens at gates.
use domain::run::{BudgetBound, Decision, GateTiming};
use domain::{ApprovalId, ArtifactRef, Digest, Timestamp};

use crate::convert::moment;
use crate::dto::{BudgetBoundDto, EventArtifactDto, EventKindDto};

pub(super) fn opened(
    stage: String,
    approval: &ApprovalId,
    content_hash: &Digest,
    timing: GateTiming,
) -> EventKindDto {
    EventKindDto::GateOpened {
        stage,
        approval_id: approval.to_string(),
        content_hash: content_hash.to_string(),
        deadline_at: timing.deadline_at.map(moment),
        remind_at: timing.remind_at.map(moment),
    }
}

pub(super) fn budget_opened(
    stage: String,
    attempt: u32,
    approval: &ApprovalId,
    (content_hash, bound): (&Digest, &BudgetBound),
) -> EventKindDto {
    EventKindDto::BudgetGateOpened {
        stage,
        attempt,
        approval_id: approval.to_string(),
        content_hash: content_hash.to_string(),
        bound: BudgetBoundDto::from(bound),
    }
}

pub(super) fn edited(
    stage: String,
    approval: &ApprovalId,
    actor: &str,
    (artifacts, content_hash): (&[ArtifactRef], &Digest),
) -> EventKindDto {
    EventKindDto::ArtifactsEdited {
        stage,
        approval_id: approval.to_string(),
        actor: actor.to_owned(),
        artifacts: artifacts.iter().map(EventArtifactDto::from).collect(),
        content_hash: content_hash.to_string(),
    }
}

pub(super) fn reminded(
    stage: String,
    approval: &ApprovalId,
    number: u16,
    (next_at, failure): (Option<Timestamp>, Option<String>),
) -> EventKindDto {
    let (approval_id, next_at) = (approval.to_string(), next_at.map(moment));
    EventKindDto::GateReminded { stage, approval_id, number, next_at, failure }
}

pub(super) fn grant_added(
    stage: String,
    approval: &ApprovalId,
    decision: &Decision,
) -> EventKindDto {
    let (approval_id, Decision { actor, comment }) = (approval.to_string(), decision.clone());
    EventKindDto::GateGrantAdded { stage, approval_id, actor, comment }
}

pub(super) fn granted(stage: String, approval: &ApprovalId, decision: &Decision) -> EventKindDto {
    let (approval_id, Decision { actor, comment }) = (approval.to_string(), decision.clone());
    EventKindDto::GateGranted { stage, approval_id, actor, comment }
}

pub(super) fn rejected(stage: String, approval: &ApprovalId, decision: &Decision) -> EventKindDto {
    let (approval_id, Decision { actor, comment }) = (approval.to_string(), decision.clone());
    EventKindDto::GateRejected { stage, approval_id, actor, comment }
}

pub(super) fn revised(stage: String, approval: &ApprovalId, decision: &Decision) -> EventKindDto {
    let (approval_id, Decision { actor, comment }) = (approval.to_string(), decision.clone());
    EventKindDto::GateRevised { stage, approval_id, actor, comment }
}
