//! Projections made again from the log: to compare, and to repair.
use domain::run::{Ending, PausedAt, Recorded, Run, RunState, StageProgress, Status};
use domain::{RunId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::column::parsed;
use crate::project::{Entry, project};
use crate::stages::StageRow;
use crate::{Error, RunRow, approvals, calls, database, events, record, runs, stages, variables};

/// The rows of one run in each projection, in an order that does not depend on when they were written.
const PROJECTIONS: [(&str, &str); 8] = [
    ("runs", "SELECT * FROM runs WHERE run_id = ?1"),
    ("requests", "SELECT * FROM requests WHERE run_id = ?1"),
    (
        "run_modes",
        "SELECT m.* FROM runs r JOIN run_modes m
            ON m.mode IN (r.requested_mode, r.effective_mode)
            AND m.created_at = r.created_at AND m.run_id = r.run_id
        WHERE r.run_id = ?1 ORDER BY mode",
    ),
    ("stages", "SELECT * FROM stages WHERE run_id = ?1 ORDER BY position"),
    ("approvals", "SELECT * FROM approvals WHERE run_id = ?1 ORDER BY approval_id"),
    (
        "approval_grants",
        "SELECT * FROM approval_grants WHERE run_id = ?1 ORDER BY approval_id, ordinal",
    ),
    ("variables", "SELECT * FROM variables WHERE run_id = ?1 ORDER BY position, ordinal"),
    ("artifacts", "SELECT * FROM artifacts WHERE run_id = ?1 ORDER BY position, name, version"),
];

/// Not a projection, although it stands in the table of one.
const KEPT_COLUMN: &str = "files_version";

const CLEAR: &str = "DELETE FROM runs; DELETE FROM requests; DELETE FROM run_modes;
    DELETE FROM stages; DELETE FROM approvals; DELETE FROM approval_grants;
    DELETE FROM variables; DELETE FROM artifacts;";
/// A run that is being removed has no projections any more.
const ALL_EVENTS: &str = "SELECT run_id, version, at, payload FROM events
    WHERE run_id NOT IN (SELECT run_id FROM pruned_runs WHERE rest = 'rows') ORDER BY seq";
const SET_VERSIONS: &str = "UPDATE runs SET (version, updated_at) =
    (SELECT version, at FROM events e WHERE e.run_id = runs.run_id
        ORDER BY version DESC LIMIT 1)";

/// Makes every projection again from the log, and the sums of usage from the journal. Files of runs count as stale afterwards.
pub(crate) fn rebuild(db: &Connection) -> Result<(), Error> {
    db.execute_batch(CLEAR)?;
    let mut statement = db.prepare(ALL_EVENTS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let run: RunId = parsed(row, "run_id")?;
        let payload: String = row.get("payload")?;
        let event = record::decode_event(&payload)?;
        let at = Timestamp::from_unix_ms(row.get("at")?);
        project(db, Entry { run: &run, version: row.get("version")?, at, event: &event })?;
    }
    db.execute(SET_VERSIONS, [])?;
    calls::rebuild_usage_days(db)
}

/// Compares the projections of a run with what its log says: with the same statements over an empty database, and with
/// the domain's own replay. The inner error says where they differ.
pub(crate) fn compare(db: &Connection, run: &RunId) -> Result<Result<(), String>, Error> {
    compare_with(db, &database::open_scratch()?, run)
}

/// The same, with an empty database that is empty again afterwards: to make one takes longer than to compare a run.
pub(crate) fn compare_with(
    db: &Connection,
    scratch: &Connection,
    run: &RunId,
) -> Result<Result<(), String>, Error> {
    // One moment of the database, however many statements read it.
    let db = db.unchecked_transaction()?;
    let compared = compare_in(&db, scratch, run);
    scratch.execute_batch(CLEAR)?;
    scratch.execute("DELETE FROM events", [])?;
    compared
}

fn compare_in(
    db: &Connection,
    scratch: &Connection,
    run: &RunId,
) -> Result<Result<(), String>, Error> {
    let log = events::after(db, run, 0, usize::MAX)?;
    for recorded in &log {
        let Recorded { version, at, event, seq: _ } = recorded;
        events::insert(
            scratch,
            run,
            *version,
            *at,
            &events::Encoded { event: event.clone(), payload: record::encode_event(event)? },
        )?;
        project(scratch, Entry { run, version: *version, at: *at, event })?;
    }
    scratch.execute(SET_VERSIONS, [])?;
    for (table, sql) in PROJECTIONS {
        let (is, should) = (dump(db, sql, run)?, dump(scratch, sql, run)?);
        if is != should {
            return Ok(Err(format!("table `{table}` has {is:?}, and should have {should:?}")));
        }
    }
    let events = log.iter().map(|recorded| &recorded.event);
    match Run::replay(run.clone(), events) {
        Some(replayed) => compare_with_domain(db, run, &replayed),
        None if log.is_empty() => Ok(Ok(())),
        None => Ok(Err("the log does not begin with the run's creation".to_owned())),
    }
}

fn dump(db: &Connection, sql: &str, run: &RunId) -> Result<Vec<Vec<(String, Value)>>, Error> {
    let mut statement = db.prepare(sql)?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let rows = statement.query_map(params![run.as_str()], |row| {
        let kept = names.iter().filter(|name| *name != KEPT_COLUMN);
        kept.map(|name| Ok((name.clone(), row.get(name.as_str())?))).collect()
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn compare_with_domain(
    db: &Connection,
    id: &RunId,
    run: &Run,
) -> Result<Result<(), String>, Error> {
    let Some(row) = runs::one(db, id)? else { return Ok(Err("the run has no row".to_owned())) };
    let stages = stages::list(db, id)?;
    let current = run.current_stage().and_then(|stage| run.plan().stage(stage));
    let done = run.progress().iter().filter(|stage| stage.result.is_some()).count();
    let is = format!(
        "{} at {:?}, {} done, gate {:?}, wakes {:?}, attempts {:?}, {:?}",
        row.status.as_str(),
        row.current_stage,
        row.stages_done,
        row.open_approval,
        // While the run is paused, the time means nothing.
        row.wakes_at.filter(|_| row.status != Status::Paused),
        stages.iter().map(|stage: &StageRow| stage.attempt).collect::<Vec<_>>(),
        variables::list(db, id)?,
    );
    let should = format!(
        "{} at {:?}, {} done, gate {:?}, wakes {:?}, attempts {:?}, {:?}",
        run.status().as_str(),
        current.map(|stage| stage.key.clone()),
        done,
        run.open_gate().map(|gate| gate.approval.clone()),
        run.wakes_at(),
        run.progress().iter().map(|stage| stage.attempts).collect::<Vec<_>>(),
        run.variables(),
    );
    if is != should {
        return Ok(Err(format!("the rows say {is}; the domain says {should}")));
    }
    if let Err(difference) = compare_waits(&row, &stages, run) {
        return Ok(Err(difference));
    }
    compare_gate(db, run)
}

/// What a stage waits for, and why the run does not go on.
fn compare_waits(row: &RunRow, stages: &[StageRow], run: &Run) -> Result<(), String> {
    let (retry_at, fault) = match run.state() {
        RunState::BackingOff { stage, until, .. } => (Some((stage.as_usize(), *until)), None),
        RunState::Paused { at: PausedAt::Spent { fault, .. } }
        | RunState::Finished(Ending::Failed { fault, .. }) => (None, Some(fault)),
        _ => (None, None),
    };
    let wishes = |stage: &StageProgress| stage.revision.as_ref().map(|wish| wish.feedback.clone());
    let should = (
        fault.map(|fault| (fault.kind.code(), fault.message.as_str())),
        (0..stages.len())
            .map(|idx| retry_at.filter(|(stage, _)| *stage == idx).map(|(_, at)| at))
            .collect::<Vec<_>>(),
        run.progress().iter().map(wishes).collect::<Vec<_>>(),
    );
    let is = (
        row.fault.as_ref().map(|fault| (fault.code.as_str(), fault.message.as_str())),
        stages.iter().map(|stage| stage.retry_at).collect::<Vec<_>>(),
        stages.iter().map(|stage| stage.feedback.clone()).collect::<Vec<_>>(),
    );
    if is == should {
        Ok(())
    } else {
        Err(format!(
            "the rows say fault, next attempts and wishes {is:?}; the domain says {should:?}"
        ))
    }
}

fn compare_gate(db: &Connection, run: &Run) -> Result<Result<(), String>, Error> {
    let Some(gate) = run.open_gate() else { return Ok(Ok(())) };
    let row = approvals::one(db, &gate.approval)?;
    let is_open = row.as_ref().is_some_and(|row| {
        row.status == approvals::ApprovalStatus::Pending
            && row.content_hash == gate.content_hash
            && row.subject == gate.subject
            && row.deadline_at == gate.timing.deadline_at
            && row.remind_at == gate.timing.remind_at
            && row.reminder_count == gate.reminder_count
            && row.is_escalated == gate.is_escalated
    });
    let approval = &gate.approval;
    if !is_open {
        return Ok(Err(format!("approval `{approval}` is {row:?}, and should be {gate:?}")));
    }
    let grants = approvals::grants(db, approval)?;
    let decisions = grants.into_iter().map(|grant| (grant.actor, grant.comment));
    let granted = gate.grants.iter().map(|grant| (grant.actor.clone(), grant.comment.clone()));
    Ok(if decisions.eq(granted) {
        Ok(())
    } else {
        Err(format!("the grants at `{approval}` are not {:?}", gate.grants))
    })
}
