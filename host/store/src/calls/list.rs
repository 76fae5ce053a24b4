//! Calls as they are listed.
//!
//! A list is driven by the index of one filter, the one that fewest calls are likely to have; the other filters look at
//! the rows that this gives. All lists but that of a conversation are ordered by the time at which a call was first
//! asked, so a range of times is a range of the index.
//!
//! Invariant: a page takes milliseconds however many calls there are. Where calls that have what one filter wants have
//! not what the others want, a page ends after a bound of calls that were looked at, with fewer rows than it has room for
//! and with the place where the next one starts.
use domain::{RunId, StageKey, Timestamp};
use rusqlite::{Connection, named_params};

use super::{CallRow, CallStatus, read};
use crate::Error;
use crate::cursor::{self, Listed, Page};

/// Most calls that are looked at for one page: 12 ms on an idle machine with the database in memory, 50 ms on a busy one.
/// Fewer would make empty pages of a long search.
const LOOKED_AT_COUNT_MAX: u32 = 50_000;

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
        Statement {
            list: concat!(
                "SELECT *, asked_at AS place FROM llm_calls INDEXED BY ",
                $index,
                " WHERE ",
                $where,
                " AND (asked_at, seq) < (:place, :seq) AND asked_at >= :since",
                filters!(),
                " ORDER BY asked_at DESC, seq DESC LIMIT :limit"
            ),
            floor: Some(concat!(
                "SELECT asked_at FROM llm_calls INDEXED BY ",
                $index,
                " WHERE ",
                $where,
                " AND (asked_at, seq) < (:place, :seq) AND asked_at >= :since",
                " ORDER BY asked_at DESC, seq DESC LIMIT 1 OFFSET :looked_at"
            )),
            order: Order::NewestFirst,
        }
    };
}

/// How a list is read.
struct Statement {
    list: &'static str,
    /// Finds the time of the call at which a page ends at the latest, from the index alone. `None` where the list itself
    /// is short: that of a run or of a conversation.
    floor: Option<&'static str>,
    order: Order,
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
const BY_SESSION: Statement = by_time!("llm_calls_by_session", "session_id = :session");
const BY_CLIENT: Statement = by_time!("llm_calls_by_client", "client_id = :client");
const BY_LABEL: Statement = by_time!("llm_calls_by_label", "label = :label");
const BY_STAGE: Statement = by_time!("llm_calls_by_stage", "stage_key = :stage");
const BY_STATUS: Statement = by_time!("llm_calls_by_status", "status = :status");
const BY_MODEL: Statement = by_time!("llm_calls_by_model", "model = :model");
const BY_PROVIDER: Statement = by_time!("llm_calls_by_provider", "provider = :provider");
const BY_TIME: Statement = by_time!("llm_calls_by_time", "TRUE");

#[cfg(test)]
const BY_TIMES: [(&str, Statement); 8] = [
    ("by session", BY_SESSION),
    ("by client", BY_CLIENT),
    ("by label", BY_LABEL),
    ("by stage", BY_STAGE),
    ("by status", BY_STATUS),
    ("by model", BY_MODEL),
    ("by provider", BY_PROVIDER),
    ("by time", BY_TIME),
];

/// Every list, and what finds its end.
#[cfg(test)]
pub(crate) fn lists() -> Vec<(&'static str, &'static str)> {
    let mut lists = vec![("of a run", OF_RUN), ("of a conversation", OF_CONVERSATION)];
    for (name, Statement { list, floor, .. }) in BY_TIMES {
        lists.push((name, list));
        lists.extend(floor.map(|floor| (name, floor)));
    }
    lists
}

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

fn statement_for(filter: &CallFilter) -> Statement {
    let few = filter.status.is_some_and(|status| status != CallStatus::Answered);
    if filter.run.is_some() {
        Statement { list: OF_RUN, floor: None, order: Order::OldestFirst }
    } else if filter.conversation_id.is_some() {
        Statement { list: OF_CONVERSATION, floor: None, order: Order::InConversation }
    } else if filter.session_id.is_some() {
        BY_SESSION
    } else if few {
        BY_STATUS
    } else if filter.label.is_some() {
        BY_LABEL
    } else if filter.stage.is_some() {
        BY_STAGE
    } else if filter.client_id.is_some() {
        BY_CLIENT
    } else if filter.model.is_some() {
        BY_MODEL
    } else if filter.provider.is_some() {
        BY_PROVIDER
    } else if filter.status.is_some() {
        BY_STATUS
    } else {
        BY_TIME
    }
}

/// Whether one index finds all that is wanted: then every call that is looked at is a row of the page.
fn has_one_filter(filter: &CallFilter) -> bool {
    let CallFilter { stage, status, provider, model, session_id, client_id, label, .. } = filter;
    let given = [
        stage.is_some(),
        status.is_some(),
        provider.is_some(),
        model.is_some(),
        session_id.is_some(),
        client_id.is_some(),
        label.is_some(),
    ];
    given.into_iter().filter(|given| *given).count() <= 1
}

/// Calls of a run, oldest first; or calls of all runs and chats, newest first.
pub(crate) fn list(
    db: &Connection,
    filter: &CallFilter,
    page: &Page,
) -> Result<Listed<CallRow>, Error> {
    list_looking_at(db, filter, page, LOOKED_AT_COUNT_MAX)
}

/// The same, with another bound on how many calls are looked at.
pub(crate) fn list_looking_at(
    db: &Connection,
    filter: &CallFilter,
    page: &Page,
    looked_at_max: u32,
) -> Result<Listed<CallRow>, Error> {
    let Statement { list, floor, order } = statement_for(filter);
    let since = filter.since.map_or(i64::MIN, Timestamp::as_unix_ms);
    let until = filter.until.map_or(i64::MAX, Timestamp::as_unix_ms);
    let (place, seq) = match (&page.cursor, order) {
        (Some(cursor), _) => decoded(order, cursor)?,
        (None, Order::OldestFirst) => (since, i64::MIN),
        (None, Order::InConversation) => (i64::MAX, i64::MAX),
        (None, Order::NewestFirst) => (until, i64::MIN),
    };
    // One moment of the database: what a call had used is moved out of its row when it is asked again.
    let db = &*db.unchecked_transaction()?;
    let floor = match floor.filter(|_| !has_one_filter(filter)) {
        Some(floor) => {
            let from = Span { place, seq, since };
            floor_of(db, floor, filter, from, looked_at_max)?
        }
        None => None,
    };
    let mut statement = db.prepare_cached(list)?;
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
            ":since": floor.unwrap_or(since),
            ":until": until,
            ":place": place,
            ":seq": seq,
            ":limit": page.rows_to_read(),
        },
        |row| Ok(((row.get("place")?, row.get("seq")?), read::read(row)?)),
    )?;
    let mut items = rows.collect::<Result<Vec<((i64, i64), CallRow)>, _>>()?;
    for ((_, seq), call) in &mut items {
        read::add_used_before(db, *seq, call)?;
    }
    let encoded =
        |(place, seq): (i64, i64)| cursor::encode(order.as_str(), place, &seq.to_string());
    let listed = Listed::from_rows(items, page, |(key, _)| encoded(*key));
    let items = listed.items.into_iter().map(|(_, row)| row).collect();
    // Behind every call of the time at which this page ended.
    let behind_floor = floor.map(|floor| encoded((floor, i64::MIN)));
    Ok(Listed { items, next_cursor: listed.next_cursor.or(behind_floor) })
}

/// The part of a list that is still to be given.
#[derive(Clone, Copy)]
struct Span {
    place: i64,
    seq: i64,
    since: i64,
}

/// The time at which a page ends at the latest; `None`: there are not that many calls.
fn floor_of(
    db: &Connection,
    sql: &str,
    filter: &CallFilter,
    from: Span,
    looked_at_max: u32,
) -> Result<Option<i64>, Error> {
    let mut statement = db.prepare_cached(sql)?;
    let words: [(&str, Option<&str>); 7] = [
        (":session", filter.session_id.as_deref()),
        (":client", filter.client_id.as_deref()),
        (":label", filter.label.as_deref()),
        (":stage", filter.stage.as_ref().map(StageKey::as_str)),
        (":status", filter.status.map(CallStatus::as_str)),
        (":model", filter.model.as_deref()),
        (":provider", filter.provider.as_deref()),
    ];
    // Each of these statements has one of the words.
    for (name, word) in words {
        if let Some(idx) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(idx, word)?;
        }
    }
    let Span { place, seq, since } = from;
    let looked_at = i64::from(looked_at_max);
    let numbers = [(":place", place), (":seq", seq), (":since", since), (":looked_at", looked_at)];
    for (name, number) in numbers {
        if let Some(idx) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(idx, number)?;
        }
    }
    let mut rows = statement.raw_query();
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

fn decoded(order: Order, cursor: &str) -> Result<(i64, i64), Error> {
    let (place, seq) = cursor::decode(order.as_str(), cursor)?;
    Ok((place, seq.parse().map_err(|_| Error::BadCursor)?))
}
