//! Calls as they are listed.
//!
//! A list is driven by the index of one filter, the one that fewest calls are likely to have; the other filters look at
//! the rows that this gives. All lists but that of a conversation are ordered by the time at which a call was first
//! asked, so a range of times is a range of the index.
use domain::{RunId, StageKey, Timestamp};
use rusqlite::{Connection, named_params};

use super::{CallRow, CallStatus, read};
use crate::Error;
use crate::cursor::{self, Listed, Page};

/// Which calls are wanted; `None` wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFilter {
    pub run: Option<RunId>,
    pub stage: Option<StageKey>,
    pub status: Option<CallStatus>,
    /// Who answered, or was asked last.
    pub provider: Option<String>,
    /// The model that was asked, for the last time.
    pub model: Option<String>,
    pub conversation_id: Option<String>,
    pub session_id: Option<String>,
    pub client_id: Option<String>,
    pub label: Option<String>,
    /// Asked, for the first time, at this time or later.
    pub since: Option<Timestamp>,
    /// Asked, for the first time, before this time.
    pub until: Option<Timestamp>,
}

macro_rules! filters {
    () => {
        " AND (:run IS NULL OR run_id = :run) AND (:stage IS NULL OR stage_key = :stage)
        AND (:status IS NULL OR status = :status)
        AND (:provider IS NULL OR provider = :provider) AND (:model IS NULL OR model = :model)
        AND (:conversation IS NULL OR conversation_id = :conversation)
        AND (:session IS NULL OR session_id = :session)
        AND (:client IS NULL OR client_id = :client) AND (:label IS NULL OR label = :label)
        AND +asked_at >= :since AND +asked_at < :until"
    };
}
/// Newest first. An index takes one bound on each side, so the end of the range of times is in the place, where a page
/// starts; the plus signs above keep the planner from taking it twice.
macro_rules! by_time {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT *, asked_at AS place FROM llm_calls INDEXED BY ",
            $index,
            " WHERE ",
            $where,
            " AND (asked_at, seq) < (:place, :seq) AND asked_at >= :since",
            filters!(),
            " ORDER BY asked_at DESC, seq DESC LIMIT :limit"
        )
    };
}

const OF_RUN: &str = concat!(
    "SELECT *, asked_at AS place FROM llm_calls INDEXED BY llm_calls_by_run
    WHERE run_id = :run AND (asked_at, seq) > (:place, :seq)",
    filters!(),
    " ORDER BY asked_at, seq LIMIT :limit"
);
const OF_CONVERSATION: &str = concat!(
    "SELECT *, conversation_ordinal AS place FROM llm_calls INDEXED BY llm_calls_by_conversation
    WHERE conversation_id = :conversation AND (conversation_ordinal, seq) < (:place, :seq)",
    filters!(),
    " ORDER BY conversation_ordinal DESC, seq DESC LIMIT :limit"
);
const BY_SESSION: &str = by_time!("llm_calls_by_session", "session_id = :session");
const BY_CLIENT: &str = by_time!("llm_calls_by_client", "client_id = :client");
const BY_LABEL: &str = by_time!("llm_calls_by_label", "label = :label");
const BY_STAGE: &str = by_time!("llm_calls_by_stage", "stage_key = :stage");
const BY_STATUS: &str = by_time!("llm_calls_by_status", "status = :status");
const BY_MODEL: &str = by_time!("llm_calls_by_model", "model = :model");
const BY_PROVIDER: &str = by_time!("llm_calls_by_provider", "provider = :provider");
const BY_TIME: &str = by_time!("llm_calls_by_time", "TRUE");

#[cfg(test)]
pub(crate) const LISTS: [(&str, &str); 10] = [
    ("of a run", OF_RUN),
    ("of a conversation", OF_CONVERSATION),
    ("by session", BY_SESSION),
    ("by client", BY_CLIENT),
    ("by label", BY_LABEL),
    ("by stage", BY_STAGE),
    ("by status", BY_STATUS),
    ("by model", BY_MODEL),
    ("by provider", BY_PROVIDER),
    ("by time", BY_TIME),
];

/// The order of a list; its word stands in its cursors, so that none is taken for one of another order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    InConversation,
    NewestFirst,
}

impl Order {
    fn as_str(self) -> &'static str {
        match self {
            Order::OldestFirst => "calls of a run",
            Order::InConversation => "calls of a conversation",
            Order::NewestFirst => "calls",
        }
    }
}

fn statement_for(filter: &CallFilter) -> (&'static str, Order) {
    let few = filter.status.is_some_and(|status| status != CallStatus::Answered);
    if filter.run.is_some() {
        (OF_RUN, Order::OldestFirst)
    } else if filter.conversation_id.is_some() {
        (OF_CONVERSATION, Order::InConversation)
    } else if filter.session_id.is_some() {
        (BY_SESSION, Order::NewestFirst)
    } else if few {
        (BY_STATUS, Order::NewestFirst)
    } else if filter.label.is_some() {
        (BY_LABEL, Order::NewestFirst)
    } else if filter.stage.is_some() {
        (BY_STAGE, Order::NewestFirst)
    } else if filter.client_id.is_some() {
        (BY_CLIENT, Order::NewestFirst)
    } else if filter.model.is_some() {
        (BY_MODEL, Order::NewestFirst)
    } else if filter.provider.is_some() {
        (BY_PROVIDER, Order::NewestFirst)
    } else if filter.status.is_some() {
        (BY_STATUS, Order::NewestFirst)
    } else {
        (BY_TIME, Order::NewestFirst)
    }
}

/// Calls of a run, oldest first; or calls of all runs and chats, newest first.
pub(crate) fn list(
    db: &Connection,
    filter: &CallFilter,
    page: &Page,
) -> Result<Listed<CallRow>, Error> {
    let (sql, order) = statement_for(filter);
    let since = filter.since.map_or(i64::MIN, Timestamp::as_unix_ms);
    let until = filter.until.map_or(i64::MAX, Timestamp::as_unix_ms);
    let (place, seq) = match (&page.cursor, order) {
        (Some(cursor), _) => decoded(order, cursor)?,
        (None, Order::OldestFirst) => (since, i64::MIN),
        (None, Order::InConversation) => (i64::MAX, i64::MAX),
        (None, Order::NewestFirst) => (until, i64::MIN),
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(
        named_params! {
            ":run": filter.run.as_ref().map(RunId::as_str),
            ":stage": filter.stage.as_ref().map(StageKey::as_str),
            ":status": filter.status.map(CallStatus::as_str),
            ":provider": filter.provider,
            ":model": filter.model,
            ":conversation": filter.conversation_id,
            ":session": filter.session_id,
            ":client": filter.client_id,
            ":label": filter.label,
            ":since": since,
            ":until": until,
            ":place": place,
            ":seq": seq,
            ":limit": page.rows_to_read(),
        },
        |row| Ok(((row.get("place")?, row.get("seq")?), read::read(row)?)),
    )?;
    let items = rows.collect::<Result<Vec<((i64, i64), CallRow)>, _>>()?;
    let cursor = |((place, seq), _): &((i64, i64), CallRow)| {
        cursor::encode(order.as_str(), *place, &seq.to_string())
    };
    let listed = Listed::from_rows(items, page, cursor);
    let items = listed.items.into_iter().map(|(_, row)| row).collect();
    Ok(Listed { items, next_cursor: listed.next_cursor })
}

fn decoded(order: Order, cursor: &str) -> Result<(i64, i64), Error> {
    let (place, seq) = cursor::decode(order.as_str(), cursor)?;
    Ok((place, seq.parse().map_err(|_| Error::BadCursor)?))
}
