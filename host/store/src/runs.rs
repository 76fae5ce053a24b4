//! Runs: the tables `runs`, `requests` and `run_modes`.
//!
//! This file has what events change; `runs::list` has what is asked.
mod list;
mod wakes;

use domain::run::Created;
use domain::{ApprovalId, Fault, RunId, StageIdx, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Error;
use crate::project::Entry;
use crate::record::fallback_word;

#[cfg(test)]
pub(crate) use list::LISTS;
pub use list::{FaultRow, RunFilter, RunRow};
pub(crate) use list::{list, one, read_fault};
#[cfg(test)]
pub(crate) use wakes::WAKES;
pub(crate) use wakes::wakes;
pub use wakes::{Wake, WakeCause};

const INSERT: &str = "INSERT INTO runs (run_id, version, status, requested_mode, effective_mode,
    fallback, profile_version, title, thread_id, brand_id, project_id, created_at, updated_at,
    stage_count, current_position, started_by)
    VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, 0, ?13)";
const INSERT_REQUEST: &str = "INSERT INTO requests (run_id, request_text) VALUES (?1, ?2)";
const INSERT_MODE: &str =
    "INSERT OR IGNORE INTO run_modes (mode, created_at, run_id) VALUES (?1, ?2, ?3)";

/// The optimistic lock: changes one row or none.
const ADVANCE: &str =
    "UPDATE runs SET version = ?3, updated_at = ?4 WHERE run_id = ?1 AND version = ?2";
const VERSION: &str = "SELECT version FROM runs WHERE run_id = ?1";

const STAGE_STARTED: &str =
    "UPDATE runs SET status = 'running', current_position = ?2, begun = 1 WHERE run_id = ?1";
const STAGE_FINISHED: &str = "UPDATE runs SET stages_done = ?2 + 1,
    status = CASE WHEN ?2 + 1 < stage_count THEN 'running' ELSE 'completed' END,
    current_position = CASE WHEN ?2 + 1 < stage_count THEN ?2 + 1 END
    WHERE run_id = ?1";
const GATE_OPENED: &str = "UPDATE runs SET status = 'waiting_approval', current_position = ?2,
    open_approval = ?3 WHERE run_id = ?1";
/// A paused run stays paused, unless the gate was the last thing to wait for.
const GATE_GRANTED: &str = "UPDATE runs SET open_approval = NULL, wakes_at = NULL,
    status = CASE WHEN ?2 + 1 >= stage_count THEN 'completed'
                  WHEN status = 'paused' THEN 'paused' ELSE 'running' END,
    current_position = CASE WHEN ?2 + 1 < stage_count THEN ?2 + 1 END
    WHERE run_id = ?1";
/// The attempt goes on; in a paused run, when the run does.
const BUDGET_GRANTED: &str = "UPDATE runs SET open_approval = NULL,
    status = CASE WHEN status = 'paused' THEN 'paused' ELSE 'running' END WHERE run_id = ?1";
const GATE_REJECTED: &str = "UPDATE runs SET status = 'failed', current_position = ?2,
    open_approval = NULL, wakes_at = NULL, ended_at = ?3 WHERE run_id = ?1";
const GATE_REVISED: &str = "UPDATE runs SET open_approval = NULL, wakes_at = NULL,
    status = CASE WHEN status = 'paused' THEN 'paused' ELSE 'running' END,
    current_position = ?2, stages_done = MIN(stages_done, ?2)
    WHERE run_id = ?1";
/// An end of the attempt itself; the run's row says why it waits.
const RETRIES_SPENT: &str = "UPDATE runs SET status = 'paused', current_position = ?2,
    fault_code = ?3, fault_message = ?4, fault_retryable = ?5 WHERE run_id = ?1";
const WAKES_AT: &str = "UPDATE runs SET wakes_at = ?2 WHERE run_id = ?1";
/// The earlier of the two times of its gate.
const WAKES_WITH_GATE: &str = "UPDATE runs SET wakes_at =
    (SELECT COALESCE(MIN(deadline_at, remind_at), deadline_at, remind_at) FROM approvals
        WHERE approval_id = open_approval)
    WHERE run_id = ?1";
/// A wait before a retry is over with the pause; the times of a gate stay.
const PAUSED: &str = "UPDATE runs SET status = 'paused',
    wakes_at = CASE WHEN open_approval IS NOT NULL THEN wakes_at END
    WHERE run_id = ?1 AND status NOT IN ('completed', 'failed', 'canceled')";
const RESUMED: &str = "UPDATE runs SET status = CASE
        WHEN open_approval IS NOT NULL THEN 'waiting_approval'
        WHEN begun = 1 THEN 'running' ELSE 'queued' END,
    fault_code = NULL, fault_message = NULL, fault_retryable = NULL
    WHERE run_id = ?1 AND status = 'paused'";
const RETRIED: &str =
    "UPDATE runs SET status = CASE WHEN begun = 1 THEN 'running' ELSE 'queued' END,
    current_position = ?2, stages_done = MIN(stages_done, ?2), open_approval = NULL,
    wakes_at = NULL, ended_at = NULL, fault_code = NULL, fault_message = NULL, fault_retryable = NULL
    WHERE run_id = ?1";
const COMPLETED: &str = "UPDATE runs SET status = 'completed', current_position = NULL,
    open_approval = NULL, wakes_at = NULL, ended_at = ?2 WHERE run_id = ?1";
const FAILED: &str = "UPDATE runs SET status = 'failed', current_position = ?2,
    open_approval = NULL, wakes_at = NULL, ended_at = ?3, fault_code = ?4, fault_message = ?5,
    fault_retryable = ?6 WHERE run_id = ?1";
const CANCELED: &str = "UPDATE runs SET status = 'canceled', open_approval = NULL, wakes_at = NULL,
    fault_code = NULL, fault_message = NULL, fault_retryable = NULL, ended_at = ?2,
    current_position = COALESCE(current_position, 0) WHERE run_id = ?1";

const FILES_WRITTEN: &str =
    "UPDATE runs SET files_version = MAX(files_version, ?2) WHERE run_id = ?1";
const IS_CANCELED: &str = "SELECT 1 FROM runs WHERE run_id = ?1 AND status = 'canceled'";
/// A run that waits for its next attempt is not among them.
pub(crate) const ACTIVE: &str =
    "SELECT run_id FROM runs WHERE status IN ('queued', 'running') AND wakes_at IS NULL";

pub(crate) fn created(db: &Connection, entry: Entry<'_>, created: &Created) -> Result<(), Error> {
    let plan = &created.plan;
    db.prepare_cached(INSERT)?.execute(params![
        entry.run_id(),
        entry.version,
        plan.requested_mode.as_str(),
        plan.effective_mode.as_str(),
        plan.fallback.map(fallback_word),
        plan.profile_version,
        plan.title,
        created.belonging.thread_id,
        created.belonging.brand_id,
        created.belonging.project_id,
        entry.at_ms(),
        plan.stages.len(),
        created.started_by,
    ])?;
    db.prepare_cached(INSERT_REQUEST)?.execute(params![entry.run_id(), created.request_text])?;
    let mut mode = db.prepare_cached(INSERT_MODE)?;
    mode.execute(params![plan.requested_mode.as_str(), entry.at_ms(), entry.run_id()])?;
    mode.execute(params![plan.effective_mode.as_str(), entry.at_ms(), entry.run_id()])?;
    Ok(())
}

/// Moves a run from one version to another.
///
/// # Errors
/// [`Error::Conflict`] if it is not at `expected`.
pub(crate) fn advance(
    db: &Connection,
    run: &RunId,
    expected: u64,
    version: u64,
    at: Timestamp,
) -> Result<(), Error> {
    let changed = db.prepare_cached(ADVANCE)?.execute(params![
        run.as_str(),
        expected,
        version,
        at.as_unix_ms()
    ])?;
    if changed == 1 { Ok(()) } else { Err(conflict(db, run, expected)?) }
}

/// Refuses a run that is there already.
pub(crate) fn expect_absent(db: &Connection, run: &RunId) -> Result<(), Error> {
    match version(db, run)? {
        None => Ok(()),
        Some(actual) => Err(Error::Conflict { run: run.clone(), expected: 0, actual }),
    }
}

/// Refuses a run that is at another version.
pub(crate) fn expect_version(db: &Connection, run: &RunId, expected: u64) -> Result<(), Error> {
    if version(db, run)? == Some(expected) { Ok(()) } else { Err(conflict(db, run, expected)?) }
}

fn conflict(db: &Connection, run: &RunId, expected: u64) -> Result<Error, Error> {
    let actual = version(db, run)?.unwrap_or(0);
    Ok(Error::Conflict { run: run.clone(), expected, actual })
}

fn version(db: &Connection, run: &RunId) -> Result<Option<u64>, Error> {
    let mut statement = db.prepare_cached(VERSION)?;
    Ok(statement.query_row([run.as_str()], |row| row.get(0)).optional()?)
}

pub(crate) fn stage_started(db: &Connection, entry: Entry<'_>, at: StageIdx) -> Result<(), Error> {
    db.prepare_cached(STAGE_STARTED)?.execute(params![entry.run_id(), at.0])?;
    Ok(())
}

pub(crate) fn stage_finished(db: &Connection, entry: Entry<'_>, at: StageIdx) -> Result<(), Error> {
    db.prepare_cached(STAGE_FINISHED)?.execute(params![entry.run_id(), at.0])?;
    Ok(())
}

pub(crate) fn gate_opened(
    db: &Connection,
    entry: Entry<'_>,
    after: StageIdx,
    approval: &ApprovalId,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(GATE_OPENED)?;
    statement.execute(params![entry.run_id(), after.0, approval.as_str()])?;
    Ok(())
}

pub(crate) fn gate_granted(
    db: &Connection,
    entry: Entry<'_>,
    after: StageIdx,
) -> Result<(), Error> {
    db.prepare_cached(GATE_GRANTED)?.execute(params![entry.run_id(), after.0])?;
    Ok(())
}

pub(crate) fn budget_granted(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(BUDGET_GRANTED)?.execute([entry.run_id()])?;
    Ok(())
}

pub(crate) fn gate_rejected(
    db: &Connection,
    entry: Entry<'_>,
    after: StageIdx,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(GATE_REJECTED)?;
    statement.execute(params![entry.run_id(), after.0, entry.at_ms()])?;
    Ok(())
}

pub(crate) fn gate_revised(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
) -> Result<(), Error> {
    db.prepare_cached(GATE_REVISED)?.execute(params![entry.run_id(), stage.0])?;
    Ok(())
}

pub(crate) fn retries_spent(
    db: &Connection,
    entry: Entry<'_>,
    at: StageIdx,
    fault: &Fault,
) -> Result<(), Error> {
    db.prepare_cached(RETRIES_SPENT)?.execute(params![
        entry.run_id(),
        at.0,
        fault.kind.code(),
        fault.message,
        fault.kind.is_retryable(),
    ])?;
    Ok(())
}

pub(crate) fn wakes_at(
    db: &Connection,
    entry: Entry<'_>,
    at: Option<Timestamp>,
) -> Result<(), Error> {
    let at = at.map(Timestamp::as_unix_ms);
    db.prepare_cached(WAKES_AT)?.execute(params![entry.run_id(), at])?;
    Ok(())
}

/// After the gate's own row was changed.
pub(crate) fn wakes_with_gate(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(WAKES_WITH_GATE)?.execute([entry.run_id()])?;
    Ok(())
}

pub(crate) fn paused(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(PAUSED)?.execute([entry.run_id()])?;
    Ok(())
}

pub(crate) fn resumed(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(RESUMED)?.execute([entry.run_id()])?;
    Ok(())
}

pub(crate) fn retried(db: &Connection, entry: Entry<'_>, from: StageIdx) -> Result<(), Error> {
    db.prepare_cached(RETRIED)?.execute(params![entry.run_id(), from.0])?;
    Ok(())
}

pub(crate) fn completed(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(COMPLETED)?.execute(params![entry.run_id(), entry.at_ms()])?;
    Ok(())
}

pub(crate) fn failed(
    db: &Connection,
    entry: Entry<'_>,
    at: StageIdx,
    fault: &Fault,
) -> Result<(), Error> {
    db.prepare_cached(FAILED)?.execute(params![
        entry.run_id(),
        at.0,
        entry.at_ms(),
        fault.kind.code(),
        fault.message,
        fault.kind.is_retryable(),
    ])?;
    Ok(())
}

pub(crate) fn canceled(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(CANCELED)?.execute(params![entry.run_id(), entry.at_ms()])?;
    Ok(())
}

/// Notes that the files of the run are those of this version.
pub(crate) fn files_written(db: &Connection, run: &RunId, version: u64) -> Result<(), Error> {
    db.prepare_cached(FILES_WRITTEN)?.execute(params![run.as_str(), version])?;
    Ok(())
}

/// Whether there is such a run and it was canceled.
pub(crate) fn is_canceled(db: &Connection, run: &RunId) -> Result<bool, Error> {
    Ok(db.prepare_cached(IS_CANCELED)?.exists([run.as_str()])?)
}

/// Runs that have something to do, by the time of their creation.
pub(crate) fn active(db: &Connection) -> Result<Vec<RunId>, Error> {
    let mut statement = db.prepare_cached(ACTIVE)?;
    let rows = statement.query_map([], |row| crate::column::parsed(row, "run_id"))?;
    let mut runs = rows.collect::<Result<Vec<RunId>, _>>()?;
    runs.sort(); // The identifiers sort by time.
    Ok(runs)
}
