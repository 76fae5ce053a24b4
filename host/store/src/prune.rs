//! Removes runs that have ended, with everything that is theirs.
//!
//! The first transaction takes the run out of every list and notes it in `pruned_runs`; from then on nobody finds it.
//! The rest of its rows goes in bounded pieces, so that no other run waits long for the writer, and its files go last. A
//! process that dies in between goes on with that at its next start, before anybody can look. Sums of usage by day stay.
//!
//! The file of the database does not shrink: the room is used for what comes next.
mod plan;

use domain::run::{Event, Status};
use domain::{Digest, RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::column::{parsed, word};
use crate::{Error, calls, http_requests, record};

pub(crate) use plan::plan;
pub use plan::{KeepRule, PrunableRun, PrunePlan, PruneWish};

/// Most calls that are removed in one transaction: with their texts and a dozen indexes, some milliseconds.
const CALL_COUNT_MAX: usize = 100;
/// Most events, or attempts, that are removed in one transaction.
const ROW_COUNT_MAX: usize = 500;

/// What came of the wish to remove a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Gone,
    /// There is no such run.
    Unknown,
    /// It has not ended.
    NotEnded,
}

/// How far the removal of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// There are more rows.
    Rows,
    /// Only files are left.
    Files,
}

const FIND: &str = "SELECT status, effective_mode FROM runs WHERE run_id = ?1";
const NOTE: &str = "INSERT OR REPLACE INTO pruned_runs (run_id, mode, pruned_at, rest)
    VALUES (?1, ?2, ?3, 'rows')";
/// In this order: the later ones find their rows by the earlier ones' tables.
const HIDE: [&str; 9] = [
    "DELETE FROM start_keys WHERE run_id = ?1",
    "DELETE FROM approval_grants
        WHERE approval_id IN (SELECT approval_id FROM approvals WHERE run_id = ?1)",
    "DELETE FROM approvals WHERE run_id = ?1",
    "DELETE FROM stages WHERE run_id = ?1",
    "DELETE FROM variables WHERE run_id = ?1",
    "DELETE FROM artifacts WHERE run_id = ?1",
    "DELETE FROM requests WHERE run_id = ?1",
    "DELETE FROM run_modes WHERE (mode, created_at, run_id) IN (
        SELECT requested_mode, created_at, run_id FROM runs WHERE run_id = ?1
        UNION ALL SELECT effective_mode, created_at, run_id FROM runs WHERE run_id = ?1)",
    "DELETE FROM runs WHERE run_id = ?1",
];
const CALLS: &str = "SELECT seq FROM llm_calls WHERE run_id = ?1 LIMIT ?2";
const CALL_PARTS: [&str; 4] = [
    "DELETE FROM llm_requests WHERE seq = ?1",
    "DELETE FROM llm_answers WHERE seq = ?1",
    "DELETE FROM llm_calls_before
        WHERE run_id = (SELECT run_id FROM llm_calls WHERE seq = ?1) AND call_seq = ?1",
    "DELETE FROM llm_calls WHERE seq = ?1",
];
const EVENTS: &str = "SELECT seq, payload FROM events WHERE run_id = ?1 ORDER BY version LIMIT ?2";
const DELETE_EVENT: &str = "DELETE FROM events WHERE seq = ?1";
const DELETE_ATTEMPTS: &str = "DELETE FROM attempts WHERE rowid IN
    (SELECT rowid FROM attempts WHERE run_id = ?1 LIMIT ?2)";
const WAS_REMOVED: &str = "SELECT 1 FROM pruned_runs WHERE run_id = ?1";
const SET_FILES: &str = "UPDATE pruned_runs SET rest = 'files' WHERE run_id = ?1";
const SET_DONE: &str = "UPDATE pruned_runs SET rest = NULL WHERE run_id = ?1 AND rest = 'files'";
const WITH_REST: &str = "SELECT run_id FROM pruned_runs WHERE rest = ?1 LIMIT ?2";

const DISOWN: &str = "DELETE FROM body_owners WHERE digest = ?1 AND run_id = ?2";
const DELETE_BODY: &str = "DELETE FROM bodies WHERE digest = ?1 AND (run_id IS NULL OR run_id = ?2)
    AND NOT EXISTS (SELECT 1 FROM body_owners o WHERE o.digest = ?1)";
const FORGET_FIRST: &str = "UPDATE bodies SET run_id = NULL WHERE digest = ?1 AND run_id = ?2";

/// Takes a run that has ended out of everything that can be asked for.
pub(crate) fn hide(db: &Connection, run: &RunId, at: Timestamp) -> Result<Removal, Error> {
    let found = db.prepare_cached(FIND)?.query_row([run.as_str()], |row| {
        Ok((word(row, "status", Status::from_word)?, row.get::<_, String>("effective_mode")?))
    });
    let Some((status, mode)) = found.optional()? else { return Ok(Removal::Unknown) };
    if !status.is_final() {
        return Ok(Removal::NotEnded);
    }
    db.prepare_cached(NOTE)?.execute(params![run.as_str(), mode, at.as_unix_ms()])?;
    for sql in HIDE {
        db.prepare_cached(sql)?.execute([run.as_str()])?;
    }
    Ok(Removal::Gone)
}

/// Whether a run was removed here, and did not come back.
pub(crate) fn was_removed(db: &Connection, run: &RunId) -> Result<bool, Error> {
    Ok(db.prepare_cached(WAS_REMOVED)?.exists([run.as_str()])?)
}

/// Removes a piece of what a hidden run has left.
pub(crate) fn remove_some(db: &Connection, run: &RunId) -> Result<Rest, Error> {
    // Most runs are gone with one piece of each kind.
    if remove_calls(db, run)?
        || http_requests::remove_some(db, run)?
        || remove_events(db, run)?
        || remove_attempts(db, run)?
    {
        return Ok(Rest::Rows);
    }
    db.prepare_cached(SET_FILES)?.execute([run.as_str()])?;
    Ok(Rest::Files)
}

/// Removes what an earlier process left of runs that it was removing. Before anybody else uses the database.
pub(crate) fn finish(db: &Connection) -> Result<(), Error> {
    for run in with_rest(db, "rows")? {
        loop {
            let step = db.unchecked_transaction()?;
            let rest = remove_some(&step, &run)?;
            step.commit()?;
            if rest == Rest::Files {
                break;
            }
        }
    }
    Ok(())
}

/// Hidden runs whose files may still be there.
pub(crate) fn with_files(db: &Connection) -> Result<Vec<RunId>, Error> {
    with_rest(db, "files")
}

fn with_rest(db: &Connection, rest: &str) -> Result<Vec<RunId>, Error> {
    let mut statement = db.prepare_cached(WITH_REST)?;
    let rows = statement.query_map(params![rest, i64::MAX], |row| parsed(row, "run_id"))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that the files of a run are gone, too.
pub(crate) fn files_removed(db: &Connection, run: &RunId) -> Result<(), Error> {
    db.prepare_cached(SET_DONE)?.execute([run.as_str()])?;
    Ok(())
}

/// Says whether there are more; so do the next two.
fn remove_calls(db: &Connection, run: &RunId) -> Result<bool, Error> {
    let mut statement = db.prepare_cached(CALLS)?;
    let calls = statement.query_map(params![run.as_str(), CALL_COUNT_MAX], |row| row.get(0))?;
    let calls = calls.collect::<Result<Vec<i64>, _>>()?;
    for seq in &calls {
        calls::keep_sums(db, *seq)?;
        for sql in CALL_PARTS {
            db.prepare_cached(sql)?.execute([seq])?;
        }
    }
    Ok(calls.len() == CALL_COUNT_MAX)
}

fn remove_events(db: &Connection, run: &RunId) -> Result<bool, Error> {
    let mut statement = db.prepare_cached(EVENTS)?;
    let events = statement.query_map(params![run.as_str(), ROW_COUNT_MAX], |row| {
        Ok((row.get::<_, i64>("seq")?, row.get::<_, String>("payload")?))
    })?;
    let events = events.collect::<Result<Vec<_>, _>>()?;
    for (seq, payload) in &events {
        match record::decode_event(payload) {
            Ok(event) => {
                for digest in bodies_of(&event) {
                    release(db, digest, run)?;
                }
            }
            // The run is hidden already, and a start that fails over it, again and again, would help nobody.
            Err(error) => {
                tracing::warn!(run.id = %run, %error, "texts of an event of the removed run `{run}` are kept: it cannot be read");
            }
        }
        db.prepare_cached(DELETE_EVENT)?.execute([seq])?;
    }
    Ok(events.len() == ROW_COUNT_MAX)
}

fn remove_attempts(db: &Connection, run: &RunId) -> Result<bool, Error> {
    let mut statement = db.prepare_cached(DELETE_ATTEMPTS)?;
    Ok(statement.execute(params![run.as_str(), ROW_COUNT_MAX])? == ROW_COUNT_MAX)
}

/// The texts that an event names.
pub(crate) fn bodies_of(event: &Event) -> Vec<&Digest> {
    match event {
        Event::StageFinished { result, .. } => {
            let artifacts = result.artifacts.iter().map(|artifact| &artifact.digest);
            artifacts.chain([&result.data]).collect()
        }
        Event::ArtifactsEdited { artifacts, .. } => {
            artifacts.iter().map(|artifact| &artifact.digest).collect()
        }
        Event::RunCreated(_)
        | Event::StageStarted { .. }
        | Event::ModelAnswered { .. }
        | Event::StageFailed { .. }
        | Event::GateOpened { .. }
        | Event::BudgetWarned { .. }
        | Event::BudgetGateOpened { .. }
        | Event::GateGrantAdded { .. }
        | Event::GateReminded { .. }
        | Event::GateEscalated { .. }
        | Event::GateGranted { .. }
        | Event::GateRejected { .. }
        | Event::GateRevised { .. }
        | Event::RetryScheduled { .. }
        | Event::RetryDue { .. }
        | Event::RetriesSpent { .. }
        | Event::PauseRequested { .. }
        | Event::RunPaused
        | Event::RunResumed { .. }
        | Event::RunRetried { .. }
        | Event::RunCompleted
        | Event::RunFailed { .. }
        | Event::RunCanceled { .. } => Vec::new(),
    }
}

/// Takes a text away from a run, and removes it if nobody else has it.
fn release(db: &Connection, digest: &Digest, run: &RunId) -> Result<(), Error> {
    let key = params![digest.as_str(), run.as_str()];
    db.prepare_cached(DISOWN)?.execute(key)?;
    let deleted = db.prepare_cached(DELETE_BODY)?.execute(key)?;
    if deleted == 0 {
        db.prepare_cached(FORGET_FIRST)?.execute(key)?;
    }
    Ok(())
}
