//! What each event changes in the projections.
//!
//! Everything is said in statements that need nothing but the event and the rows as they are, so that an append reads
//! nothing back; only a decision looks up what its gate asked. Invariant: the rows say what [`domain::run::Run`] says after the same events; `replay` compares.
mod gates;

use domain::run::{Created, Event, GateTiming, StageResult};
use domain::{RunId, StageIdx, Timestamp};
use rusqlite::Connection;

use crate::approvals::Opened;
use crate::{Error, approvals, artifacts, runs, stages, variables};

/// The event that is projected, in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) version: u64,
    pub(crate) at: Timestamp,
    pub(crate) event: &'a Event,
}

impl<'a> Entry<'a> {
    pub(crate) fn run_id(&self) -> &'a str {
        self.run.as_str()
    }

    pub(crate) fn at_ms(&self) -> i64 {
        self.at.as_unix_ms()
    }
}

/// Brings the projections of the run up to date with one event. The version in the run's row is set by whoever appends.
pub(crate) fn project(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    match entry.event {
        Event::RunCreated(created) => run_created(db, entry, created),
        Event::StageStarted { stage, attempt } => {
            runs::stage_started(db, entry, *stage)?;
            stages::started(db, entry, *stage, *attempt)
        }
        // The journal has it.
        Event::ModelAnswered { .. } => Ok(()),
        Event::StageFinished { stage, attempt, result } => {
            stage_finished(db, entry, *stage, (*attempt, result))
        }
        Event::StageFailed { stage, fault, .. } => stages::failed(db, entry, *stage, fault),
        Event::RetryScheduled { stage, at, .. } => {
            runs::wakes_at(db, entry, Some(*at))?;
            stages::retry_scheduled(db, entry, *stage, *at)
        }
        Event::RetryDue { stage } => {
            runs::wakes_at(db, entry, None)?;
            stages::retry_due(db, entry, *stage)
        }
        Event::RetriesSpent { stage, fault } => runs::retries_spent(db, entry, *stage, fault),
        Event::GateOpened { stage, approval, content_hash, timing } => {
            let (budget, timing) = (None, *timing);
            gates::opened(db, entry, *stage, Opened { approval, content_hash, budget, timing })
        }
        Event::GateGrantAdded { approval, decision, .. } => {
            approvals::grant_added(db, entry, approval, decision)
        }
        Event::ArtifactsEdited { stage, approval, actor, artifacts, content_hash } => {
            stages::edited(db, entry, *stage, content_hash)?;
            approvals::edited(db, approval, content_hash)?;
            artifacts::edited(db, entry, *stage, actor, artifacts)
        }
        Event::GateReminded { approval, number, next_at, failure, .. } => {
            approvals::reminded(db, approval, *number, *next_at, failure.as_deref())?;
            runs::wakes_with_gate(db, entry)
        }
        Event::GateEscalated { approval, .. } => gates::escalated(db, entry, approval),
        // Nothing that is listed changes.
        Event::BudgetWarned { .. } => Ok(()),
        Event::BudgetGateOpened { stage, attempt, approval, content_hash, bound } => {
            let (budget, timing) = (Some((*attempt, bound)), GateTiming::default());
            gates::opened(db, entry, *stage, Opened { approval, content_hash, budget, timing })
        }
        Event::GateGranted { stage, approval, decision } => {
            gates::granted(db, entry, *stage, (approval, decision))
        }
        Event::GateRejected { stage, approval, decision } => {
            gates::rejected(db, entry, *stage, (approval, decision))
        }
        Event::GateRevised { stage, approval, decision } => {
            gates::revised(db, entry, *stage, (approval, decision))
        }
        // The run goes on until the attempt is done; then it pauses.
        Event::PauseRequested { .. } => Ok(()),
        Event::RunPaused => run_paused(db, entry),
        Event::RunResumed { .. } => run_resumed(db, entry),
        Event::RunRetried { from, .. } => run_retried(db, entry, *from),
        Event::RunCompleted => runs::completed(db, entry),
        Event::RunFailed { stage, fault } => {
            approvals::closed(db, entry)?;
            runs::failed(db, entry, *stage, fault)
        }
        Event::RunCanceled { .. } => run_canceled(db, entry),
    }
}

fn run_created(db: &Connection, entry: Entry<'_>, created: &Created) -> Result<(), Error> {
    runs::created(db, entry, created)?;
    stages::created(db, entry, &created.plan)?;
    variables::created(db, entry, &created.variables)
}

fn stage_finished(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    (attempt, result): (u32, &StageResult),
) -> Result<(), Error> {
    runs::stage_finished(db, entry, stage)?;
    stages::finished(db, entry, stage, result)?;
    variables::set_by_stage(db, entry, stage, &result.variables)?;
    artifacts::made(db, entry, stage, attempt, &result.artifacts)
}

fn run_paused(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    runs::paused(db, entry)?;
    stages::paused(db, entry)
}

fn run_resumed(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    stages::resumed(db, entry)?;
    runs::resumed(db, entry)
}

fn run_retried(db: &Connection, entry: Entry<'_>, from: StageIdx) -> Result<(), Error> {
    runs::retried(db, entry, from)?;
    stages::retried(db, entry, from)?;
    variables::retried(db, entry, from)?;
    artifacts::retried(db, entry, from)
}

fn run_canceled(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    approvals::closed(db, entry)?;
    stages::canceled(db, entry)?;
    runs::canceled(db, entry)
}
