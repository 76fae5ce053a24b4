//! Questions to people: the table `approvals`.
use domain::run::{BudgetBound, Decision, GateSubject, GateTiming, Status};
use domain::{ApprovalId, Digest, Mode, RunId, StageIdx, StageKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use crate::column::{parsed, time, time_or_none, unreadable, word};
use crate::cursor::{self, Listed, Page};
use crate::project::Entry;
use crate::{Error, record};

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApprovalStatus {
    /// Nobody has decided.
    Pending,
    /// Somebody said yes.
    Granted,
    /// Somebody said no.
    Rejected,
    /// Somebody wants another version.
    Revised,
    /// The run ended before anybody decided.
    Closed,
}

impl ApprovalStatus {
    /// All, in the order of an approval's life.
    pub const ALL: [ApprovalStatus; 5] = [
        ApprovalStatus::Pending,
        ApprovalStatus::Granted,
        ApprovalStatus::Rejected,
        ApprovalStatus::Revised,
        ApprovalStatus::Closed,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ApprovalStatus::Pending => "pending",
            ApprovalStatus::Granted => "granted",
            ApprovalStatus::Rejected => "rejected",
            ApprovalStatus::Revised => "revised",
            ApprovalStatus::Closed => "closed",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    pub id: ApprovalId,
    pub run: RunId,
    pub stage: StageKey,
    pub status: ApprovalStatus,
    /// What the decision is bound to.
    pub content_hash: Digest,
    /// What is asked.
    pub subject: GateSubject,
    /// The profile's words; `None` for the usual question.
    pub question: Option<String>,
    pub opened_at: Timestamp,
    /// When it was decided or closed.
    pub decided_at: Option<Timestamp>,
    pub actor: Option<String>,
    pub comment: Option<String>,
    /// Grants that it takes.
    pub grant_count: u8,
    /// When the outcome of the deadline comes about, or would have. None any more when it has escalated.
    pub deadline_at: Option<Timestamp>,
    /// When people are reminded next; never of what is decided.
    pub remind_at: Option<Timestamp>,
    /// Reminders so far.
    pub reminder_count: u16,
    /// Why the last reminder did not reach its webhook.
    pub reminder_failure: Option<String>,
    /// Whether the deadline has passed, and others may decide as well.
    pub is_escalated: bool,
    /// What was asked of the run.
    pub request_text: String,
    pub requested_mode: Mode,
    pub effective_mode: Mode,
    pub run_status: Status,
}

/// Which questions are wanted; `None` wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApprovalFilter {
    pub status: Option<ApprovalStatus>,
    pub run: Option<RunId>,
}

const LIST: &str = "approvals";

/// The profile's words ask about the result.
const OPENED: &str = "INSERT INTO approvals
    (approval_id, run_id, position, status, content_hash, subject, question, opened_at, grant_count,
        deadline_at, remind_at)
    SELECT ?1, run_id, position, 'pending', ?4, ?6, CASE WHEN ?6 IS NULL THEN gate_question END, ?5,
        CASE WHEN ?6 IS NULL THEN grant_count ELSE 1 END, ?7, ?8
    FROM stages WHERE run_id = ?2 AND position = ?3";
const IS_FOR_BUDGET: &str =
    "SELECT 1 FROM approvals WHERE approval_id = ?1 AND subject IS NOT NULL";
/// Nobody is reminded of what is decided; the deadline stays, for whoever asks why.
const DECIDED: &str = "UPDATE approvals SET status = ?2, decided_at = ?3, actor = ?4, comment = ?5,
    remind_at = NULL WHERE approval_id = ?1";
const GRANT_ADDED: &str =
    "INSERT INTO approval_grants (approval_id, run_id, ordinal, actor, comment, at)
    SELECT ?1, ?2, COALESCE(MAX(ordinal), 0) + 1, ?3, ?4, ?5 FROM approval_grants
    WHERE approval_id = ?1";
const GRANTS: &str = "SELECT actor, comment, at FROM approval_grants
    WHERE approval_id = ?1 ORDER BY ordinal";
const EDITED: &str = "UPDATE approvals SET content_hash = ?2 WHERE approval_id = ?1";
const GRANTS_VOID: &str = "DELETE FROM approval_grants WHERE approval_id = ?1";
const REMINDED: &str = "UPDATE approvals SET reminder_count = ?2, remind_at = ?3,
    reminder_failure = ?4 WHERE approval_id = ?1";
const ESCALATED: &str = "UPDATE approvals SET escalated = 1, deadline_at = NULL
    WHERE approval_id = ?1";
/// The run's row still names the question that is open.
const CLOSED: &str = "UPDATE approvals SET status = 'closed', decided_at = ?2, remind_at = NULL
    WHERE approval_id = (SELECT open_approval FROM runs WHERE run_id = ?1)";

macro_rules! approval_select {
    () => {
        "SELECT a.*, s.stage_key, q.request_text, r.requested_mode, r.effective_mode,
            r.status AS run_status
        FROM approvals a"
    };
}
macro_rules! approval_joins {
    () => {
        " JOIN stages s ON s.run_id = a.run_id AND s.position = a.position
        JOIN requests q ON q.run_id = a.run_id
        JOIN runs r ON r.run_id = a.run_id "
    };
}
macro_rules! approval_list {
    ($index:literal, $where:literal) => {
        concat!(
            approval_select!(),
            " INDEXED BY ",
            $index,
            approval_joins!(),
            " WHERE ",
            $where,
            " AND (a.opened_at, a.approval_id) < (:before, :before_id)
            AND (:status IS NULL OR a.status = :status)
            AND (:run IS NULL OR a.run_id = :run)
            ORDER BY a.opened_at DESC, a.approval_id DESC LIMIT :limit"
        )
    };
}

const ONE: &str = concat!(approval_select!(), approval_joins!(), " WHERE a.approval_id = ?1");
const BY_TIME: &str = approval_list!("approvals_by_time", "TRUE");
const BY_STATUS: &str = approval_list!("approvals_by_status", "a.status = :status");
const BY_RUN: &str = approval_list!("approvals_by_run", "a.run_id = :run");

#[cfg(test)]
pub(crate) const LISTS: [(&str, &str); 3] =
    [("by time", BY_TIME), ("by status", BY_STATUS), ("by run", BY_RUN)];

/// A question that is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened<'a> {
    pub(crate) approval: &'a ApprovalId,
    pub(crate) content_hash: &'a Digest,
    /// The attempt that waits, and the budget. `None`: the question is whether the result is good.
    pub(crate) budget: Option<(u32, &'a BudgetBound)>,
    pub(crate) timing: GateTiming,
}

/// One grant of several that a gate takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    pub actor: String,
    pub comment: Option<String>,
    pub at: Timestamp,
}

pub(crate) fn opened(
    db: &Connection,
    entry: Entry<'_>,
    after: StageIdx,
    gate: Opened<'_>,
) -> Result<(), Error> {
    let subject = match gate.budget {
        Some((attempt, bound)) => Some(record::encode_budget_subject(attempt, bound)?),
        None => None,
    };
    db.prepare_cached(OPENED)?.execute(params![
        gate.approval.as_str(),
        entry.run_id(),
        after.0,
        gate.content_hash.as_str(),
        entry.at_ms(),
        subject,
        gate.timing.deadline_at.map(Timestamp::as_unix_ms),
        gate.timing.remind_at.map(Timestamp::as_unix_ms),
    ])?;
    Ok(())
}

pub(crate) fn grant_added(
    db: &Connection,
    entry: Entry<'_>,
    approval: &ApprovalId,
    decision: &Decision,
) -> Result<(), Error> {
    db.prepare_cached(GRANT_ADDED)?.execute(params![
        approval.as_str(),
        entry.run_id(),
        decision.actor,
        decision.comment,
        entry.at_ms(),
    ])?;
    Ok(())
}

/// Grants so far at a gate that takes several, the last one excepted, in their order.
pub(crate) fn grants(db: &Connection, approval: &ApprovalId) -> Result<Vec<GrantRow>, Error> {
    let mut statement = db.prepare_cached(GRANTS)?;
    let rows = statement.query_map([approval.as_str()], |row| {
        Ok(GrantRow {
            actor: row.get("actor")?,
            comment: row.get("comment")?,
            at: time(row, "at")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is looked at is another text: earlier grants are void.
pub(crate) fn edited(
    db: &Connection,
    approval: &ApprovalId,
    content_hash: &Digest,
) -> Result<(), Error> {
    db.prepare_cached(EDITED)?.execute(params![approval.as_str(), content_hash.as_str()])?;
    db.prepare_cached(GRANTS_VOID)?.execute([approval.as_str()])?;
    Ok(())
}

pub(crate) fn reminded(
    db: &Connection,
    approval: &ApprovalId,
    number: u16,
    next_at: Option<Timestamp>,
    failure: Option<&str>,
) -> Result<(), Error> {
    let next_at = next_at.map(Timestamp::as_unix_ms);
    db.prepare_cached(REMINDED)?.execute(params![approval.as_str(), number, next_at, failure])?;
    Ok(())
}

pub(crate) fn escalated(db: &Connection, approval: &ApprovalId) -> Result<(), Error> {
    db.prepare_cached(ESCALATED)?.execute([approval.as_str()])?;
    Ok(())
}

/// Whether this question is about a budget of an attempt that waits.
pub(crate) fn is_for_budget(db: &Connection, approval: &ApprovalId) -> Result<bool, Error> {
    Ok(db.prepare_cached(IS_FOR_BUDGET)?.exists([approval.as_str()])?)
}

pub(crate) fn decided(
    db: &Connection,
    entry: Entry<'_>,
    approval: &ApprovalId,
    status: ApprovalStatus,
    decision: &Decision,
) -> Result<(), Error> {
    db.prepare_cached(DECIDED)?.execute(params![
        approval.as_str(),
        status.as_str(),
        entry.at_ms(),
        decision.actor,
        decision.comment,
    ])?;
    Ok(())
}

/// Closes the question that is open when its run ends. Before the run's own row is changed: it names the question.
pub(crate) fn closed(db: &Connection, entry: Entry<'_>) -> Result<(), Error> {
    db.prepare_cached(CLOSED)?.execute(params![entry.run_id(), entry.at_ms()])?;
    Ok(())
}

/// Questions, newest first.
pub(crate) fn list(
    db: &Connection,
    filter: &ApprovalFilter,
    page: &Page,
) -> Result<Listed<ApprovalRow>, Error> {
    let (before, before_id) = match &page.cursor {
        Some(cursor) => cursor::decode(LIST, cursor)?,
        None => (i64::MAX, String::new()),
    };
    let sql = match (&filter.run, filter.status) {
        (Some(_), _) => BY_RUN,
        (None, Some(_)) => BY_STATUS,
        (None, None) => BY_TIME,
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(
        named_params! {
            ":status": filter.status.map(ApprovalStatus::as_str),
            ":run": filter.run.as_ref().map(RunId::as_str),
            ":before": before,
            ":before_id": before_id,
            ":limit": page.rows_to_read(),
        },
        read,
    )?;
    let items = rows.collect::<Result<Vec<_>, _>>()?;
    let cursor =
        |row: &ApprovalRow| cursor::encode(LIST, row.opened_at.as_unix_ms(), row.id.as_str());
    Ok(Listed::from_rows(items, page, cursor))
}

pub(crate) fn one(db: &Connection, approval: &ApprovalId) -> Result<Option<ApprovalRow>, Error> {
    Ok(db.prepare_cached(ONE)?.query_row([approval.as_str()], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    Ok(ApprovalRow {
        id: parsed(row, "approval_id")?,
        run: parsed(row, "run_id")?,
        stage: parsed(row, "stage_key")?,
        status: word(row, "status", ApprovalStatus::from_word)?,
        content_hash: parsed(row, "content_hash")?,
        subject: read_subject(row)?,
        question: row.get("question")?,
        opened_at: time(row, "opened_at")?,
        decided_at: time_or_none(row, "decided_at")?,
        actor: row.get("actor")?,
        comment: row.get("comment")?,
        grant_count: row.get("grant_count")?,
        deadline_at: time_or_none(row, "deadline_at")?,
        remind_at: time_or_none(row, "remind_at")?,
        reminder_count: row.get("reminder_count")?,
        reminder_failure: row.get("reminder_failure")?,
        is_escalated: row.get("escalated")?,
        request_text: row.get("request_text")?,
        requested_mode: parsed(row, "requested_mode")?,
        effective_mode: parsed(row, "effective_mode")?,
        run_status: word(row, "run_status", Status::from_word)?,
    })
}

fn read_subject(row: &Row<'_>) -> rusqlite::Result<GateSubject> {
    let Some(text) = row.get::<_, Option<String>>("subject")? else {
        return Ok(GateSubject::Result);
    };
    record::decode_budget_subject(&text).map_err(|error| unreadable(row, "subject", &error))
}
