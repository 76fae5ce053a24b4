//! Model calls as they are replayed, summed up, listed and shown.
use domain::model::{Completion, FinishReason, ModelError, ModelRequest, Usage};
use domain::{CallId, Digest, RunId, StageKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::{CallOrigin, CallTiming};
use crate::column::{parsed, parsed_or_none, time, time_or_none, word};
use crate::cursor::{self, Listed, Page};
use crate::record::{model_error_kind, usage_source_of};
use crate::{Error, record};

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// It was asked; nothing came of it yet.
    Open,
    /// There is an answer.
    Answered,
    /// The model did not answer.
    Failed,
    /// Nobody wanted the answer any more.
    Canceled,
}

impl CallStatus {
    /// All, in the order of a call's life.
    pub const ALL: [CallStatus; 4] =
        [CallStatus::Open, CallStatus::Answered, CallStatus::Failed, CallStatus::Canceled];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            CallStatus::Open => "open",
            CallStatus::Answered => "answered",
            CallStatus::Failed => "failed",
            CallStatus::Canceled => "canceled",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A model call without its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRow {
    pub call: CallId,
    pub origin: CallOrigin,
    pub status: CallStatus,
    pub label: Option<String>,
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered, in the provider's words.
    pub answered_model: Option<String>,
    pub request_digest: Digest,
    /// When it was asked, for the last time.
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub timing: Option<CallTiming>,
    pub finish_reason: Option<FinishReason>,
    pub usage: Option<Usage>,
    pub cost_nano_usd: Option<u64>,
    pub error: Option<ModelError>,
}

/// A model call with its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct CallDetail {
    pub row: CallRow,
    pub request: ModelRequest,
    pub answer: Option<Completion>,
}

/// Which calls are wanted; `None` wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFilter {
    pub run: Option<RunId>,
    pub stage: Option<StageKey>,
    pub status: Option<CallStatus>,
}

/// A call of an attempt, for its replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Journaled {
    pub ordinal: u32,
    pub call: CallId,
    pub request: ModelRequest,
    pub request_digest: Digest,
    /// `None`: it was in flight, or canceled.
    pub outcome: Option<Result<Completion, ModelError>>,
}

/// What a stage used up over all its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSpent {
    pub stage: StageKey,
    /// Input and output.
    pub tokens: u64,
    pub cost_nano_usd: u64,
}

/// What some calls used up together. What is not known counts 0, the cost excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageSum {
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    pub reasoning_tokens: u64,
    /// `None` if the price of any answered call is not known.
    pub cost_nano_usd: Option<u64>,
    pub model_wait_ms: u64,
}

impl Default for UsageSum {
    fn default() -> Self {
        Self {
            calls: 0,
            input_tokens: 0,
            output_tokens: 0,
            cached_tokens: 0,
            reasoning_tokens: 0,
            cost_nano_usd: Some(0),
            model_wait_ms: 0,
        }
    }
}

const LIST: &str = "calls";

macro_rules! call_list {
    ($where:literal, $bound:literal, $order:literal) => {
        concat!(
            "SELECT * FROM llm_calls WHERE ",
            $where,
            " AND seq ",
            $bound,
            " :cursor AND (:run IS NULL OR run_id = :run)
            AND (:stage IS NULL OR stage_key = :stage)
            AND (:status IS NULL OR status = :status)
            ORDER BY seq ",
            $order,
            " LIMIT :limit"
        )
    };
}

// The plus signs keep the planner from driving a run's few calls by an index of all runs' calls.
const OF_RUN: &str = "SELECT * FROM llm_calls INDEXED BY llm_calls_by_run
    WHERE run_id = :run AND seq > :cursor
    AND (:stage IS NULL OR +stage_key = :stage) AND (:status IS NULL OR +status = :status)
    ORDER BY seq LIMIT :limit";
const BY_STATUS: &str = call_list!("status = :status", "<", "DESC");
const BY_STAGE: &str = call_list!("stage_key = :stage", "<", "DESC");
const ALL: &str = call_list!("TRUE", "<", "DESC");

#[cfg(test)]
pub(crate) const LISTS: [(&str, &str); 4] =
    [("of a run", OF_RUN), ("by status", BY_STATUS), ("by stage", BY_STAGE), ("all", ALL)];

const ONE: &str = "SELECT c.*, q.request, a.answer FROM llm_calls c
    JOIN llm_requests q ON q.seq = c.seq
    LEFT JOIN llm_answers a ON a.seq = c.seq
    WHERE c.call_id = ?1";
const JOURNALED: &str = "SELECT c.*, q.request, a.answer FROM llm_calls c
    JOIN llm_requests q ON q.seq = c.seq
    LEFT JOIN llm_answers a ON a.seq = c.seq
    WHERE c.run_id = ?1 AND c.stage_key = ?2 AND c.attempt = ?3 ORDER BY c.ordinal";

const LAST_MODEL: &str = "SELECT provider, COALESCE(answered_model, model) FROM llm_calls
    WHERE run_id = ?1 AND stage_key = ?2 AND attempt = ?3 ORDER BY ordinal DESC LIMIT 1";

macro_rules! sums {
    () => {
        "COUNT(*) AS call_count,
        TOTAL(input_tokens) AS input_tokens, TOTAL(output_tokens) AS output_tokens,
        TOTAL(cached_tokens) AS cached_tokens, TOTAL(reasoning_tokens) AS reasoning_tokens,
        TOTAL(cost_nano_usd) AS cost_nano_usd, TOTAL(total_ms) AS model_wait_ms,
        COUNT(CASE WHEN status = 'answered' AND cost_nano_usd IS NULL THEN 1 END) AS unpriced
        FROM llm_calls WHERE run_id = ?1"
    };
}
const USAGE: &str = concat!("SELECT ", sums!());
const USAGE_BY_STAGE: &str = concat!("SELECT stage_key, ", sums!(), " GROUP BY stage_key");

/// The calls of an attempt by their ordinal.
pub(crate) fn journaled(
    db: &Connection,
    run: &RunId,
    stage: &StageKey,
    attempt: u32,
) -> Result<Vec<Journaled>, Error> {
    let mut statement = db.prepare_cached(JOURNALED)?;
    let mut rows = statement.query(params![run.as_str(), stage.as_str(), attempt])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        let detail = read_detail(row)?;
        let outcome = match (detail.row.status, detail.answer, detail.row.error) {
            (CallStatus::Answered, Some(answer), _) => Some(Ok(answer)),
            (CallStatus::Failed, _, Some(error)) => Some(Err(error)),
            (CallStatus::Open | CallStatus::Canceled, ..) => None,
            (CallStatus::Answered, None, _) | (CallStatus::Failed, _, None) => {
                let call = detail.row.call;
                return Err(Error::damaged(format!("the outcome of `{call}` is missing")));
            }
        };
        calls.push(Journaled {
            ordinal: row.get("ordinal")?,
            call: detail.row.call,
            request: detail.request,
            request_digest: detail.row.request_digest,
            outcome,
        });
    }
    Ok(calls)
}

pub(crate) fn spent(db: &Connection, run: &RunId) -> Result<Vec<StageSpent>, Error> {
    let spent = |(stage, sum): (StageKey, UsageSum)| StageSpent {
        stage,
        tokens: sum.input_tokens.saturating_add(sum.output_tokens),
        cost_nano_usd: sum.cost_nano_usd.unwrap_or(0),
    };
    // A price that is not known must not hide those that are.
    let sums = sums_by_stage(db, run)?;
    Ok(sums.into_iter().map(|(stage, sum)| spent((stage, sum.at_least()))).collect())
}

pub(crate) fn usage(db: &Connection, run: &RunId) -> Result<UsageSum, Error> {
    let mut statement = db.prepare_cached(USAGE)?;
    Ok(statement.query_row([run.as_str()], PricedSum::read)?.exact())
}

pub(crate) fn usage_by_stage(
    db: &Connection,
    run: &RunId,
) -> Result<Vec<(StageKey, UsageSum)>, Error> {
    let sums = sums_by_stage(db, run)?;
    Ok(sums.into_iter().map(|(stage, sum)| (stage, sum.exact())).collect())
}

fn sums_by_stage(db: &Connection, run: &RunId) -> Result<Vec<(StageKey, PricedSum)>, Error> {
    let mut statement = db.prepare_cached(USAGE_BY_STAGE)?;
    let rows = statement
        .query_map([run.as_str()], |row| Ok((parsed(row, "stage_key")?, PricedSum::read(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A sum, and how many answered calls have no price.
struct PricedSum {
    sum: UsageSum,
    unpriced: u64,
}

impl PricedSum {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let sum = UsageSum {
            calls: row.get("call_count")?,
            input_tokens: whole(row, "input_tokens")?,
            output_tokens: whole(row, "output_tokens")?,
            cached_tokens: whole(row, "cached_tokens")?,
            reasoning_tokens: whole(row, "reasoning_tokens")?,
            cost_nano_usd: Some(whole(row, "cost_nano_usd")?),
            model_wait_ms: whole(row, "model_wait_ms")?,
        };
        Ok(Self { sum, unpriced: row.get("unpriced")? })
    }

    fn exact(self) -> UsageSum {
        let cost_nano_usd = self.sum.cost_nano_usd.filter(|_| self.unpriced == 0);
        UsageSum { cost_nano_usd, ..self.sum }
    }

    fn at_least(self) -> UsageSum {
        self.sum
    }
}

/// A total as a whole number. `TOTAL` adds in floating point, exact up to 2^53: nine million dollars in billionths.
fn whole(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let total: f64 = row.get(column)?;
    Ok(total as u64)
}

/// Provider and model of the newest call of an attempt.
pub(crate) fn last_model(
    db: &Connection,
    run: &RunId,
    stage: &StageKey,
    attempt: u32,
) -> Result<Option<(String, String)>, Error> {
    let mut statement = db.prepare_cached(LAST_MODEL)?;
    let key = params![run.as_str(), stage.as_str(), attempt];
    Ok(statement.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Calls of a run, oldest first; or calls of all runs and chats, newest first.
pub(crate) fn list(
    db: &Connection,
    filter: &CallFilter,
    page: &Page,
) -> Result<Listed<CallRow>, Error> {
    let sql = match filter {
        CallFilter { run: Some(_), .. } => OF_RUN,
        CallFilter { run: None, stage: Some(_), .. } => BY_STAGE,
        CallFilter { run: None, stage: None, status: Some(_) } => BY_STATUS,
        CallFilter { run: None, stage: None, status: None } => ALL,
    };
    let cursor = match &page.cursor {
        Some(cursor) => cursor::decode(LIST, cursor)?.0,
        None if filter.run.is_some() => i64::MIN,
        None => i64::MAX,
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(
        named_params! {
            ":run": filter.run.as_ref().map(RunId::as_str),
            ":stage": filter.stage.as_ref().map(StageKey::as_str),
            ":status": filter.status.map(CallStatus::as_str),
            ":cursor": cursor,
            ":limit": page.rows_to_read(),
        },
        |row| Ok((row.get::<_, i64>("seq")?, read(row)?)),
    )?;
    let items = rows.collect::<Result<Vec<_>, _>>()?;
    let listed = Listed::from_rows(items, page, |(seq, _)| cursor::encode(LIST, *seq, ""));
    let items = listed.items.into_iter().map(|(_, row)| row).collect();
    Ok(Listed { items, next_cursor: listed.next_cursor })
}

pub(crate) fn one(db: &Connection, call: &CallId) -> Result<Option<CallDetail>, Error> {
    let mut statement = db.prepare_cached(ONE)?;
    let mut rows = statement.query([call.as_str()])?;
    rows.next()?.map(read_detail).transpose()
}

fn read_detail(row: &Row<'_>) -> Result<CallDetail, Error> {
    let request: String = row.get("request")?;
    let answer: Option<String> = row.get("answer")?;
    Ok(CallDetail {
        row: read(row)?,
        request: record::decode_request(&request)?,
        answer: answer.map(|answer| record::decode_completion(&answer)).transpose()?,
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let finish_reason: Option<String> = row.get("finish_reason")?;
    Ok(CallRow {
        call: parsed(row, "call_id")?,
        origin: read_origin(row)?,
        status: word(row, "status", CallStatus::from_word)?,
        label: row.get("label")?,
        provider: row.get("provider")?,
        model: row.get("model")?,
        answered_model: row.get("answered_model")?,
        request_digest: parsed(row, "request_digest")?,
        started_at: time(row, "started_at")?,
        ended_at: time_or_none(row, "ended_at")?,
        timing: read_timing(row)?,
        finish_reason: finish_reason.as_deref().map(FinishReason::from_word),
        usage: read_usage(row)?,
        cost_nano_usd: row.get("cost_nano_usd")?,
        error: read_error(row)?,
    })
}

fn read_origin(row: &Row<'_>) -> rusqlite::Result<CallOrigin> {
    let Some(run) = parsed_or_none(row, "run_id")? else {
        return Ok(CallOrigin::Chat { session_id: row.get("session_id")? });
    };
    Ok(CallOrigin::Stage {
        run,
        stage: parsed(row, "stage_key")?,
        attempt: row.get("attempt")?,
        ordinal: row.get("ordinal")?,
    })
}

fn read_timing(row: &Row<'_>) -> rusqlite::Result<Option<CallTiming>> {
    let Some(total_ms) = row.get("total_ms")? else { return Ok(None) };
    let first_token_ms = row.get("first_token_ms")?;
    Ok(Some(CallTiming { first_token_ms, total_ms, tries: row.get("tries")? }))
}

fn read_usage(row: &Row<'_>) -> rusqlite::Result<Option<Usage>> {
    if row.get::<_, Option<String>>("usage_source")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Usage {
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cached_tokens: row.get("cached_tokens")?,
        reasoning_tokens: row.get("reasoning_tokens")?,
        source: word(row, "usage_source", usage_source_of)?,
    }))
}

fn read_error(row: &Row<'_>) -> rusqlite::Result<Option<ModelError>> {
    if row.get::<_, Option<String>>("error_code")?.is_none() {
        return Ok(None);
    }
    let retry_after_ms: Option<u64> = row.get("retry_after_ms")?;
    let kind = word(row, "error_code", |code| model_error_kind(code, retry_after_ms))?;
    Ok(Some(ModelError { kind, message: row.get("error_message")? }))
}
