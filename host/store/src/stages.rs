//! Stages of runs: the table `stages`.
//!
//! A stage that waits for a person has ended, unless the question is about a budget: then its attempt goes on when the
//! budget is granted, and no time of the wait is the attempt's.
//!
//! Times: *queue* is from where a stage may be started to where it is, *human wait* from where a gate opens to where it
//! is decided or closed. Work and model wait are known to the attempts and the journal; reading puts them together.
mod read;

use domain::run::{Decision, StageResult};
use domain::{Digest, Fault, Plan, StageIdx, Timestamp};
use rusqlite::{Connection, params};

use crate::Error;
use crate::project::Entry;

pub use read::{StageRow, StageStatus, StageTimes};
pub(crate) use read::{files, list};

const INSERT: &str = "INSERT INTO stages
    (run_id, position, stage_key, title, gate_question, status, ready_at, grant_count)
    VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7)";

const STARTED: &str = "UPDATE stages SET status = 'running', attempt = ?3,
    first_started_at = COALESCE(first_started_at, ?4), started_at = ?4, ended_at = NULL,
    queue_ms = queue_ms + MAX(0, ?4 - COALESCE(ready_at, ?4)), ready_at = NULL,
    attempt_since = ?4, retry_at = NULL, summary = NULL, data_digest = NULL, content_hash = NULL,
    fault_code = NULL, fault_message = NULL, fault_retryable = NULL
    WHERE run_id = ?1 AND position = ?2";
const FINISHED: &str = "UPDATE stages SET status = 'done', ended_at = ?3, summary = ?4,
    data_digest = ?5, content_hash = ?6, feedback = NULL,
    attempt_ms = attempt_ms + MAX(0, ?3 - COALESCE(attempt_since, ?3)), attempt_since = NULL
    WHERE run_id = ?1 AND position = ?2";
const FAILED: &str = "UPDATE stages SET status = 'failed', ended_at = ?3,
    attempt_ms = attempt_ms + MAX(0, ?3 - COALESCE(attempt_since, ?3)), attempt_since = NULL,
    fault_code = ?4, fault_message = ?5, fault_retryable = ?6
    WHERE run_id = ?1 AND position = ?2";
const READY: &str = "UPDATE stages SET ready_at = ?3 WHERE run_id = ?1 AND position = ?2";
/// In a paused run, the next stage waits for more than room.
const READY_BEHIND_GATE: &str = "UPDATE stages SET ready_at = ?3
    WHERE run_id = ?1 AND position = ?2
    AND NOT EXISTS (SELECT 1 FROM runs WHERE run_id = ?1 AND status = 'paused')";
const GATE_OPENED: &str = "UPDATE stages SET status = 'waiting_approval', gate_since = ?3
    WHERE run_id = ?1 AND position = ?2";
const GATE_GRANTED: &str = "UPDATE stages SET status = 'done',
    human_wait_ms = human_wait_ms + MAX(0, ?3 - COALESCE(gate_since, ?3)), gate_since = NULL
    WHERE run_id = ?1 AND position = ?2";
const BUDGET_GATE_OPENED: &str = "UPDATE stages SET status = 'waiting_approval', gate_since = ?3,
    attempt_ms = attempt_ms + MAX(0, ?3 - COALESCE(attempt_since, ?3)), attempt_since = NULL
    WHERE run_id = ?1 AND position = ?2";
/// In a paused run the attempt goes on when the run is resumed.
const BUDGET_GRANTED: &str = "UPDATE stages SET status = 'running',
    human_wait_ms = human_wait_ms + MAX(0, ?3 - COALESCE(gate_since, ?3)), gate_since = NULL,
    attempt_since = CASE WHEN NOT EXISTS
        (SELECT 1 FROM runs WHERE run_id = ?1 AND status = 'paused') THEN ?3 END
    WHERE run_id = ?1 AND position = ?2";
/// Waits for its next attempt.
const RETRY_SCHEDULED: &str = "UPDATE stages SET status = 'backing_off', retry_at = ?3
    WHERE run_id = ?1 AND position = ?2";
const RETRY_DUE: &str = "UPDATE stages SET status = 'pending', retry_at = NULL, ready_at = ?3
    WHERE run_id = ?1 AND position = ?2";
const EDITED: &str = "UPDATE stages SET content_hash = ?3 WHERE run_id = ?1 AND position = ?2";
/// In a paused run the stage is begun when the run is resumed.
const REVISED: &str = "UPDATE stages SET status = 'pending', ended_at = NULL, summary = NULL,
    data_digest = NULL, content_hash = NULL, feedback = ?4,
    human_wait_ms = human_wait_ms + MAX(0, ?3 - COALESCE(gate_since, ?3)), gate_since = NULL,
    ready_at = CASE WHEN NOT EXISTS
        (SELECT 1 FROM runs WHERE run_id = ?1 AND status = 'paused') THEN ?3 END
    WHERE run_id = ?1 AND position = ?2";
/// A result ended with its attempt; an attempt that waited for a budget ends here.
const GATE_REJECTED: &str = "UPDATE stages SET status = 'rejected',
    ended_at = COALESCE(ended_at, ?3),
    human_wait_ms = human_wait_ms + MAX(0, ?3 - COALESCE(gate_since, ?3)), gate_since = NULL
    WHERE run_id = ?1 AND position = ?2";
/// A next stage that was ready for an instant, until its run paused; or a stage that waited for its next attempt.
const PAUSED: &str = "UPDATE stages SET
    queue_ms = queue_ms + MAX(0, ?2 - COALESCE(ready_at, ?2)), ready_at = NULL, retry_at = NULL,
    status = CASE WHEN status = 'backing_off' THEN 'failed' ELSE status END
    WHERE run_id = ?1 AND (ready_at IS NOT NULL OR status = 'backing_off')";
/// The stage is begun, or goes on in an attempt that was allowed more budget during the pause. One whose attempt failed
/// is begun again.
const RESUMED: &str = "UPDATE stages SET
    status = CASE WHEN status = 'failed' THEN 'pending' ELSE status END,
    ready_at = CASE WHEN status <> 'running' THEN ?2 END,
    attempt_since = CASE WHEN status = 'running' THEN ?2 END
    WHERE run_id = ?1
    AND position = (SELECT current_position FROM runs
        WHERE run_id = ?1 AND status = 'paused' AND open_approval IS NULL)";
const RETRIED: &str = "UPDATE stages SET status = 'pending', ended_at = NULL, summary = NULL,
    data_digest = NULL, content_hash = NULL, fault_code = NULL, fault_message = NULL,
    fault_retryable = NULL, gate_since = NULL, attempt_since = NULL, retry_at = NULL,
    feedback = CASE WHEN position = ?2 THEN feedback END,
    ready_at = CASE WHEN position = ?2 THEN ?3 END
    WHERE run_id = ?1 AND position >= ?2";
const CANCELED: &str = "UPDATE stages SET
    status = CASE WHEN status IN ('running', 'waiting_approval', 'backing_off') THEN 'canceled'
        ELSE status END,
    ended_at = CASE WHEN status IN ('running', 'waiting_approval') THEN COALESCE(ended_at, ?2)
        ELSE ended_at END, retry_at = NULL,
    attempt_ms = attempt_ms + MAX(0, ?2 - COALESCE(attempt_since, ?2)), attempt_since = NULL,
    human_wait_ms = human_wait_ms + MAX(0, ?2 - COALESCE(gate_since, ?2)), gate_since = NULL,
    queue_ms = queue_ms + MAX(0, ?2 - COALESCE(ready_at, ?2)), ready_at = NULL
    WHERE run_id = ?1
    AND (status IN ('running', 'backing_off') OR gate_since IS NOT NULL OR ready_at IS NOT NULL)";

pub(crate) fn created(db: &Connection, entry: Entry<'_>, plan: &Plan) -> Result<(), Error> {
    let mut insert = db.prepare_cached(INSERT)?;
    for (position, stage) in (0u16..).zip(&plan.stages) {
        let gate = stage.gate.as_ref();
        let question = gate.and_then(|gate| gate.question.as_deref());
        let grant_count = gate.map_or(1, |gate| gate.policy.grant_count);
        let ready_at = (position == 0).then_some(entry.at_ms());
        insert.execute(params![
            entry.run_id(),
            position,
            stage.key.as_str(),
            stage.title,
            question,
            ready_at,
            grant_count
        ])?;
    }
    Ok(())
}

pub(crate) fn started(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    attempt: u32,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(STARTED)?;
    statement.execute(params![entry.run_id(), stage.0, attempt, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn finished(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    result: &StageResult,
) -> Result<(), Error> {
    db.prepare_cached(FINISHED)?.execute(params![
        entry.run_id(),
        stage.0,
        entry.at_ms(),
        result.summary,
        result.data.as_str(),
        result.content_hash.as_str(),
    ])?;
    ready(db, entry, stage.0.saturating_add(1))
}

pub(crate) fn failed(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    fault: &Fault,
) -> Result<(), Error> {
    db.prepare_cached(FAILED)?.execute(params![
        entry.run_id(),
        stage.0,
        entry.at_ms(),
        fault.kind.code(),
        fault.message,
        fault.kind.is_retryable(),
    ])?;
    Ok(())
}

pub(crate) fn retry_scheduled(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    at: Timestamp,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(RETRY_SCHEDULED)?;
    statement.execute(params![entry.run_id(), stage.0, at.as_unix_ms()])?;
    Ok(())
}

pub(crate) fn retry_due(db: &Connection, entry: Entry<'_>, stage: StageIdx) -> Result<(), Error> {
    let mut statement = db.prepare_cached(RETRY_DUE)?;
    statement.execute(params![entry.run_id(), stage.0, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn edited(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    content_hash: &Digest,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(EDITED)?;
    statement.execute(params![entry.run_id(), stage.0, content_hash.as_str()])?;
    Ok(())
}

/// Before the run's own row is changed: it says whether the run is paused.
pub(crate) fn revised(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    decision: &Decision,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(REVISED)?;
    // A revision without words is one all the same, as in the domain.
    let feedback = decision.comment.as_deref().unwrap_or_default();
    statement.execute(params![entry.run_id(), stage.0, entry.at_ms(), feedback])?;
    Ok(())
}

pub(crate) fn gate_opened(db: &Connection, entry: Entry<'_>, stage: StageIdx) -> Result<(), Error> {
    let mut statement = db.prepare_cached(GATE_OPENED)?;
    statement.execute(params![entry.run_id(), stage.0, entry.at_ms()])?;
    // The result had made the next stage ready; the gate stands before it.
    let none: Option<i64> = None;
    db.prepare_cached(READY)?.execute(params![entry.run_id(), stage.0.saturating_add(1), none])?;
    Ok(())
}

pub(crate) fn gate_granted(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(GATE_GRANTED)?;
    statement.execute(params![entry.run_id(), stage.0, entry.at_ms()])?;
    let next = stage.0.saturating_add(1);
    db.prepare_cached(READY_BEHIND_GATE)?.execute(params![entry.run_id(), next, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn gate_rejected(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(GATE_REJECTED)?;
    statement.execute(params![entry.run_id(), stage.0, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn budget_gate_opened(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(BUDGET_GATE_OPENED)?;
    statement.execute(params![entry.run_id(), stage.0, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn budget_granted(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(BUDGET_GRANTED)?;
    statement.execute(params![entry.run_id(), stage.0, entry.at_ms()])?;
    Ok(())
}

fn ready(db: &Connection, entry: Entry<'_>, position: u16) -> Result<(), Error> {
    db.prepare_cached(READY)?.execute(params![entry.run_id(), position, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn paused(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(PAUSED)?.execute(params![entry.run_id(), entry.at_ms()])?;
    Ok(())
}

/// Before the run's own row is changed: it says whether there was anything to resume.
pub(crate) fn resumed(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(RESUMED)?.execute(params![entry.run_id(), entry.at_ms()])?;
    Ok(())
}

pub(crate) fn retried(db: &Connection, entry: Entry<'_>, from: StageIdx) -> Result<(), Error> {
    let mut statement = db.prepare_cached(RETRIED)?;
    statement.execute(params![entry.run_id(), from.0, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn canceled(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(CANCELED)?.execute(params![entry.run_id(), entry.at_ms()])?;
    Ok(())
}
