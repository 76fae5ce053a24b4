//! What happens at gates.
use domain::run::Decision;
use domain::{ApprovalId, StageIdx};
use rusqlite::Connection;

use super::Entry;
use crate::approvals::{ApprovalStatus, Opened};
use crate::{Error, approvals, artifacts, runs, stages, variables};

/// A question is opened; about a result, or about a budget of the attempt that waits.
pub(super) fn opened(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    gate: Opened<'_>,
) -> Result<(), Error> {
    runs::gate_opened(db, entry, stage, gate.approval)?;
    match gate.budget {
        None => {
            runs::wakes_at(db, entry, gate.timing.next())?;
            stages::gate_opened(db, entry, stage)?;
        }
        Some(_) => stages::budget_gate_opened(db, entry, stage)?,
    }
    approvals::opened(db, entry, stage, gate)
}

pub(super) fn escalated(
    db: &Connection,
    entry: Entry<'_>,
    approval: &ApprovalId,
) -> Result<(), Error> {
    approvals::escalated(db, approval)?;
    runs::wakes_with_gate(db, entry)
}

pub(super) fn granted(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    (approval, decision): (&ApprovalId, &Decision),
) -> Result<(), Error> {
    if approvals::is_for_budget(db, approval)? {
        runs::budget_granted(db, entry)?;
        stages::budget_granted(db, entry, stage)?;
    } else {
        runs::gate_granted(db, entry, stage)?;
        stages::gate_granted(db, entry, stage)?;
    }
    approvals::decided(db, entry, approval, ApprovalStatus::Granted, decision)
}

pub(super) fn rejected(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    (approval, decision): (&ApprovalId, &Decision),
) -> Result<(), Error> {
    runs::gate_rejected(db, entry, stage)?;
    stages::gate_rejected(db, entry, stage)?;
    approvals::decided(db, entry, approval, ApprovalStatus::Rejected, decision)
}

/// What the stage made no longer holds; its versions are kept.
pub(super) fn revised(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    (approval, decision): (&ApprovalId, &Decision),
) -> Result<(), Error> {
    stages::revised(db, entry, stage, decision)?;
    runs::gate_revised(db, entry, stage)?;
    variables::retried(db, entry, stage)?;
    artifacts::retried(db, entry, stage)?;
    approvals::decided(db, entry, approval, ApprovalStatus::Revised, decision)
}
