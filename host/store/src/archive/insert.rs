//! Keeps an archive that was checked, and runs its rows through the same statements while it is checked.
use domain::http::masked_url;
use domain::run::{Event, Recorded};
use domain::{RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::entries::{BODY_BYTES_MAX, Kind, LINE_BYTES_MAX};
use super::record::{AttemptColumns, CallLine, EventLine, HttpLine};
use super::{ArchiveError, CALLS, CheckedArchive, EVENTS, Entries, detail_of};
use crate::events::Encoded;
use crate::project::{Entry, project};
use crate::{Error, approvals, artifacts, calls, events, record, runs};

const SET_VERSION: &str = "UPDATE runs SET version = ?2, updated_at = ?3 WHERE run_id = ?1";
const IS_BEING_REMOVED: &str = "SELECT 1 FROM pruned_runs WHERE run_id = ?1 AND rest = 'rows'";
const WAS_REMOVED: &str = "DELETE FROM pruned_runs WHERE run_id = ?1";
const HAS_CALL: &str = "SELECT 1 FROM llm_calls WHERE call_id = ?1";
const INSERT_REQUEST: &str = "INSERT INTO llm_requests (seq, request) VALUES (?1, ?2)";
const INSERT_ANSWER: &str = "INSERT INTO llm_answers (seq, answer) VALUES (?1, ?2)";

const INSERT_HTTP_REQUEST: &str = "INSERT INTO http_request_texts (seq, request) VALUES (?1, ?2)";
const INSERT_HTTP_ANSWER: &str = "INSERT INTO http_answer_texts (seq, answer) VALUES (?1, ?2)";

/// What a database has that a run's rows are put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// Nothing is counted.
    Off,
    /// Usage is counted by day.
    On,
    /// The run was here before, and its usage is counted already.
    Already,
}

/// Keeps the run of an archive, with events that follow those that it has. The caller undoes what a failure leaves
/// behind.
pub(crate) fn insert(
    db: &Connection,
    archive: &CheckedArchive,
    following: &[Event],
    at: Timestamp,
) -> Result<Vec<Recorded>, ArchiveError> {
    let run = archive.run.id();
    if runs::one(db, run)?.is_some() || exists(db, IS_BEING_REMOVED, run.as_str())? {
        return Err(ArchiveError::RunExists(run.clone()));
    }
    let counting = if was_removed(db, run)? { Counting::Already } else { Counting::On };
    Entries::of(&archive.file)?.each(|entry| match Kind::of(entry)? {
        Kind::Manifest | Kind::Plugin(_) => Ok(()),
        Kind::Events => {
            entry.lines(LINE_BYTES_MAX, |number, line| {
                event(db, run, number, &parsed(EVENTS, number, line)?).map(drop)
            })?;
            follow(db, run, archive.event_count, following, at)
        }
        Kind::Attempts => {
            let name = entry.name().to_owned();
            entry.lines(LINE_BYTES_MAX, |number, line| {
                attempt(db, run, &parsed(&name, number, line)?)
            })
        }
        Kind::Calls => {
            let name = entry.name().to_owned();
            entry.lines(LINE_BYTES_MAX, |number, line| {
                call(db, run, &parsed(&name, number, line)?, counting)
            })
        }
        Kind::HttpRequests => {
            let name = entry.name().to_owned();
            entry.lines(LINE_BYTES_MAX, |number, line| {
                http_request(db, run, parsed(&name, number, line)?)
            })
        }
        Kind::Body(digest) => {
            let text = entry.text(BODY_BYTES_MAX)?;
            Ok(artifacts::insert_body(db, run, &digest, &text)?)
        }
    })?;
    Ok(events::after(db, run, archive.event_count, following.len())?)
}

/// Whether the run was here before; what is noted of that is taken back.
fn was_removed(db: &Connection, run: &RunId) -> Result<bool, Error> {
    Ok(db.prepare_cached(WAS_REMOVED)?.execute([run.as_str()])? > 0)
}

fn follow(
    db: &Connection,
    run: &RunId,
    event_count: u64,
    following: &[Event],
    at: Timestamp,
) -> Result<(), ArchiveError> {
    for (version, event) in (event_count + 1..).zip(following) {
        let encoded = Encoded { event: event.clone(), payload: record::encode_event(event)? };
        append(db, run, version, at, &encoded)?;
    }
    Ok(())
}

/// A line as its record.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(
    entry: &str,
    number: u64,
    line: &str,
) -> Result<T, ArchiveError> {
    serde_json::from_str(line)
        .map_err(|error| ArchiveError::bad(entry, format!("line {number}: {error}")))
}

/// Appends an event as it was. Lines are numbered as versions are.
pub(super) fn event(
    db: &Connection,
    run: &RunId,
    number: u64,
    line: &EventLine,
) -> Result<Event, ArchiveError> {
    let bad = |detail: String| ArchiveError::bad(EVENTS, format!("line {number}: {detail}"));
    if line.version != number {
        return Err(bad(format!("it is event {}, and not {number}", line.version)));
    }
    let decoded = record::decode_event(&line.event).map_err(|error| bad(detail_of(error)))?;
    if matches!(decoded, Event::RunCreated(_)) != (number == 1) {
        return Err(bad("the first event of a run is its creation, and no other is".to_owned()));
    }
    if let Event::GateOpened { approval, .. } | Event::BudgetGateOpened { approval, .. } = &decoded
        && approvals::one(db, approval)?.is_some()
    {
        return Err(bad(format!("the approval `{approval}` is of another run, or opened twice")));
    }
    let encoded = Encoded { event: decoded, payload: line.event.clone() };
    append(db, run, number, Timestamp::from_unix_ms(line.at), &encoded)?;
    Ok(encoded.event)
}

fn append(
    db: &Connection,
    run: &RunId,
    version: u64,
    at: Timestamp,
    encoded: &Encoded,
) -> Result<(), ArchiveError> {
    events::insert(db, run, version, at, encoded)?;
    project(db, Entry { run, version, at, event: &encoded.event })?;
    let key = params![run.as_str(), version, at.as_unix_ms()];
    let mut statement = db.prepare_cached(SET_VERSION).map_err(Error::from)?;
    statement.execute(key).map_err(Error::from)?;
    Ok(())
}

pub(super) fn attempt(
    db: &Connection,
    run: &RunId,
    line: &AttemptColumns,
) -> Result<(), ArchiveError> {
    line.insert(db, run.as_str()).map_err(Error::from)?;
    Ok(())
}

pub(super) fn call(
    db: &Connection,
    run: &RunId,
    line: &CallLine,
    counting: Counting,
) -> Result<(), ArchiveError> {
    let call = &line.call.call_id;
    if exists(db, HAS_CALL, call)? {
        let detail = format!("the call `{call}` is of another run, or there twice");
        return Err(ArchiveError::bad(CALLS, detail));
    }
    Ok(insert_call(db, run, line, counting)?)
}

fn insert_call(
    db: &Connection,
    run: &RunId,
    line: &CallLine,
    counting: Counting,
) -> Result<(), Error> {
    let seq = line.call.insert(db, run.as_str())?;
    for used in &line.before {
        used.insert(db, run.as_str(), seq)?;
    }
    match counting {
        // What is only checked needs no texts.
        Counting::Off => return Ok(()),
        Counting::On => calls::add_brought(db, seq)?,
        Counting::Already => calls::take_pruned(db, seq)?,
    }
    if let Some(request) = &line.request {
        db.prepare_cached(INSERT_REQUEST)?.execute(params![seq, request])?;
    }
    if let Some(answer) = &line.answer {
        db.prepare_cached(INSERT_ANSWER)?.execute(params![seq, answer])?;
    }
    Ok(())
}

/// Keeps a request, its URL as it would be kept here: the archive may come from an older host.
pub(super) fn http_request(
    db: &Connection,
    run: &RunId,
    mut line: HttpLine,
) -> Result<(), ArchiveError> {
    line.sent.url = masked_url(&line.sent.url);
    Ok(insert_http_request(db, run, &line)?)
}

fn insert_http_request(db: &Connection, run: &RunId, line: &HttpLine) -> Result<(), Error> {
    let seq = line.sent.insert(db, run.as_str())?;
    if let Some(request) = &line.request {
        db.prepare_cached(INSERT_HTTP_REQUEST)?.execute(params![seq, request])?;
    }
    if let Some(answer) = &line.answer {
        db.prepare_cached(INSERT_HTTP_ANSWER)?.execute(params![seq, answer])?;
    }
    Ok(())
}

fn exists(db: &Connection, sql: &str, key: &str) -> Result<bool, Error> {
    let found = db.prepare_cached(sql)?.query_row([key], |_| Ok(())).optional()?;
    Ok(found.is_some())
}
