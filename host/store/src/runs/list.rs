//! Runs as they are listed and shown.
//!
//! A list is driven by the index of its most selective filter; the other filters look at the rows that this gives. Each
//! index ends in (created_at, run_id), so no list sorts.
use domain::plan::Fallback;
use domain::run::Status;
use domain::stage::Belonging;
use domain::{ApprovalId, Mode, RunId, StageKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::Error;
use crate::column::{parsed, parsed_or_none, time, time_or_none, word};
use crate::cursor::{self, Listed, Page};
use crate::record::fallback_of;

/// A run without its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub id: RunId,
    /// Events so far.
    pub version: u64,
    pub status: Status,
    pub requested_mode: Mode,
    pub effective_mode: Mode,
    pub fallback: Option<Fallback>,
    pub profile_version: String,
    pub title: String,
    pub request_text: String,
    pub belonging: Belonging,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub stage_count: u32,
    pub stages_done: u32,
    /// The stage that the run has reached; `None` when it is completed.
    pub current_stage: Option<StageKey>,
    /// The question that waits for a person, also while the run is paused.
    pub open_approval: Option<ApprovalId>,
    /// When time next brings about something; means nothing while the run is paused.
    pub wakes_at: Option<Timestamp>,
    /// Who started it, if they said so.
    pub started_by: Option<String>,
    /// Why the run failed. A rejected run has none: its approval says who and why.
    pub fault: Option<FaultRow>,
}

/// The error triple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRow {
    pub code: String,
    pub message: String,
    pub retryable: bool,
}

/// Which runs are wanted; `None` wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    pub status: Option<Status>,
    pub thread_id: Option<String>,
    /// The requested or the effective mode.
    pub mode: Option<String>,
    /// Whether a gate is open.
    pub waiting: Option<bool>,
    /// Created at this time or later.
    pub since: Option<Timestamp>,
}

const LIST: &str = "runs";

macro_rules! run_columns {
    () => {
        "SELECT r.*, q.request_text, s.stage_key AS current_stage"
    };
}
macro_rules! run_joins {
    () => {
        " JOIN requests q ON q.run_id = r.run_id
        LEFT JOIN stages s ON s.run_id = r.run_id AND s.position = r.current_position "
    };
}
macro_rules! run_filters {
    () => {
        " AND (:status IS NULL OR r.status = :status)
        AND (:thread IS NULL OR r.thread_id = :thread)
        AND (:mode IS NULL OR r.requested_mode = :mode OR r.effective_mode = :mode)
        AND (:waiting IS NULL OR (r.open_approval IS NOT NULL) = :waiting) "
    };
}
macro_rules! run_page {
    () => {
        " AND (r.created_at, r.run_id) < (:before, :before_id) AND r.created_at >= :since"
    };
}
macro_rules! run_order {
    () => {
        " ORDER BY r.created_at DESC, r.run_id DESC LIMIT :limit"
    };
}
macro_rules! run_list {
    ($index:literal, $where:literal) => {
        concat!(
            run_columns!(),
            " FROM runs r INDEXED BY ",
            $index,
            run_joins!(),
            " WHERE ",
            $where,
            run_page!(),
            run_filters!(),
            run_order!()
        )
    };
}

const ONE: &str = concat!(run_columns!(), " FROM runs r", run_joins!(), " WHERE r.run_id = :run");
const BY_TIME: &str = run_list!("runs_by_time", "TRUE");
const BY_STATUS: &str = run_list!("runs_by_status", "r.status = :status");
const BY_THREAD: &str = run_list!("runs_by_thread", "r.thread_id = :thread");
const WAITING: &str = run_list!("runs_waiting", "r.open_approval IS NOT NULL");
const BY_MODE: &str = concat!(
    run_columns!(),
    " FROM run_modes m CROSS JOIN runs r ON r.run_id = m.run_id",
    run_joins!(),
    " WHERE m.mode = :mode
        AND (m.created_at, m.run_id) < (:before, :before_id) AND m.created_at >= :since",
    run_filters!(),
    " ORDER BY m.created_at DESC, m.run_id DESC LIMIT :limit"
);

#[cfg(test)]
pub(crate) const LISTS: [(&str, &str); 5] = [
    ("by time", BY_TIME),
    ("by status", BY_STATUS),
    ("by thread", BY_THREAD),
    ("waiting", WAITING),
    ("by mode", BY_MODE),
];

fn statement_for(filter: &RunFilter) -> &'static str {
    if filter.thread_id.is_some() {
        BY_THREAD
    } else if filter.waiting == Some(true) {
        WAITING
    } else if filter.status.is_some() {
        BY_STATUS
    } else if filter.mode.is_some() {
        BY_MODE
    } else {
        BY_TIME
    }
}

/// Runs, newest first.
pub(crate) fn list(
    db: &Connection,
    filter: &RunFilter,
    page: &Page,
) -> Result<Listed<RunRow>, Error> {
    let (before, before_id) = match &page.cursor {
        Some(cursor) => cursor::decode(LIST, cursor)?,
        None => (i64::MAX, String::new()),
    };
    let mut statement = db.prepare_cached(statement_for(filter))?;
    let rows = statement.query_map(
        named_params! {
            ":status": filter.status.map(Status::as_str),
            ":thread": filter.thread_id,
            ":mode": filter.mode,
            ":waiting": filter.waiting,
            ":since": filter.since.map_or(i64::MIN, Timestamp::as_unix_ms),
            ":before": before,
            ":before_id": before_id,
            ":limit": page.rows_to_read(),
        },
        read,
    )?;
    let items = rows.collect::<Result<Vec<_>, _>>()?;
    let cursor = |run: &RunRow| cursor::encode(LIST, run.created_at.as_unix_ms(), run.id.as_str());
    Ok(Listed::from_rows(items, page, cursor))
}

pub(crate) fn one(db: &Connection, run: &RunId) -> Result<Option<RunRow>, Error> {
    let mut statement = db.prepare_cached(ONE)?;
    Ok(statement.query_row(named_params! { ":run": run.as_str() }, read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let fallback: Option<String> = row.get("fallback")?;
    Ok(RunRow {
        id: parsed(row, "run_id")?,
        version: row.get("version")?,
        status: word(row, "status", Status::from_word)?,
        requested_mode: parsed(row, "requested_mode")?,
        effective_mode: parsed(row, "effective_mode")?,
        fallback: match fallback {
            None => None,
            Some(_) => Some(word(row, "fallback", fallback_of)?),
        },
        profile_version: row.get("profile_version")?,
        title: row.get("title")?,
        request_text: row.get("request_text")?,
        belonging: Belonging {
            thread_id: row.get("thread_id")?,
            brand_id: row.get("brand_id")?,
            project_id: row.get("project_id")?,
        },
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        ended_at: time_or_none(row, "ended_at")?,
        stage_count: row.get("stage_count")?,
        stages_done: row.get("stages_done")?,
        current_stage: parsed_or_none(row, "current_stage")?,
        open_approval: parsed_or_none(row, "open_approval")?,
        wakes_at: time_or_none(row, "wakes_at")?,
        started_by: row.get("started_by")?,
        fault: read_fault(row)?,
    })
}

/// The error triple of a run or a stage.
pub(crate) fn read_fault(row: &Row<'_>) -> rusqlite::Result<Option<FaultRow>> {
    let Some(code) = row.get("fault_code")? else { return Ok(None) };
    let message = row.get("fault_message")?;
    Ok(Some(FaultRow { code, message, retryable: row.get("fault_retryable")? }))
}
