//! Model calls as they are replayed and shown.
use domain::model::{Completion, FinishReason, ModelError, ModelRequest, Usage};
use domain::{CallId, Digest, RunId, StageKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{AnswerSource, CallOrigin, CallTiming, UsedBefore, sums};
use crate::column::{parsed, parsed_or_none, time, time_or_none, word};
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
    /// The conversation that it belongs to.
    pub conversation_id: String,
    /// 1 for the first call of its conversation.
    pub conversation_ordinal: u32,
    pub status: CallStatus,
    pub label: Option<String>,
    pub source: AnswerSource,
    /// Why somebody else was asked than the one of the question.
    pub fallback_reason: Option<String>,
    /// Who answered, or was asked last.
    pub provider: String,
    /// The model that was asked, for the last time.
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
    /// What it had used when it was asked before; `None`: it was asked once. Not told where a replay reads it.
    pub used_before: Option<UsedBefore>,
}

/// A model call with its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct CallDetail {
    pub row: CallRow,
    /// `None` if the records keep no texts.
    pub request: Option<ModelRequest>,
    /// What came back: the whole answer, or the part of it that had come when the call broke off.
    pub answer: Option<Completion>,
    /// Whether texts were shortened, or left out, by the host's configuration.
    pub texts: TextsKept,
}

/// How much of the texts of a call is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextsKept {
    /// All of them.
    #[default]
    Whole,
    /// Each only up to a length.
    Trimmed,
    /// None of them.
    Off,
}

impl TextsKept {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            TextsKept::Whole => "whole",
            TextsKept::Trimmed => "trimmed",
            TextsKept::Off => "off",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [TextsKept::Whole, TextsKept::Trimmed, TextsKept::Off]
            .into_iter()
            .find(|kept| kept.as_str() == word)
    }
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

const ONE: &str = "SELECT c.*, q.request, a.answer FROM llm_calls c
    LEFT JOIN llm_requests q ON q.seq = c.seq
    LEFT JOIN llm_answers a ON a.seq = c.seq
    WHERE c.call_id = ?1";
const JOURNALED: &str = "SELECT c.*, q.request, a.answer FROM llm_calls c
    LEFT JOIN llm_requests q ON q.seq = c.seq
    LEFT JOIN llm_answers a ON a.seq = c.seq
    WHERE c.run_id = ?1 AND c.stage_key = ?2 AND c.attempt = ?3 ORDER BY c.ordinal";

const LAST_MODEL: &str = "SELECT provider, COALESCE(answered_model, model) FROM llm_calls
    WHERE run_id = ?1 AND stage_key = ?2 AND attempt = ?3 ORDER BY ordinal DESC LIMIT 1";

/// What must be found by a key, however many calls there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 3] = [ONE, JOURNALED, LAST_MODEL];

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
            // Only calls of attempts that have ended can be without their texts, and those are not replayed.
            request: detail.request.ok_or_else(|| Error::damaged("the question is missing"))?,
            request_digest: detail.row.request_digest,
            outcome,
        });
    }
    Ok(calls)
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

pub(crate) fn one(db: &Connection, call: &CallId) -> Result<Option<CallDetail>, Error> {
    // One moment of the database, as for a list.
    let db = &*db.unchecked_transaction()?;
    let mut statement = db.prepare_cached(ONE)?;
    let mut rows = statement.query([call.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut detail = read_detail(row)?;
    add_used_before(db, row.get("seq")?, &mut detail.row)?;
    Ok(Some(detail))
}

/// Adds to a row what its call had used before.
pub(super) fn add_used_before(db: &Connection, seq: i64, call: &mut CallRow) -> Result<(), Error> {
    if let CallOrigin::Stage { run, .. } = &call.origin {
        call.used_before = sums::used_before(db, run, seq)?;
    }
    Ok(())
}

fn read_detail(row: &Row<'_>) -> Result<CallDetail, Error> {
    let request: Option<String> = row.get("request")?;
    let answer: Option<String> = row.get("answer")?;
    Ok(CallDetail {
        row: read(row)?,
        request: request.map(|request| record::decode_request(&request)).transpose()?,
        answer: answer.map(|answer| record::decode_completion(&answer)).transpose()?,
        texts: word(row, "texts", TextsKept::from_word)?,
    })
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let finish_reason: Option<String> = row.get("finish_reason")?;
    Ok(CallRow {
        call: parsed(row, "call_id")?,
        origin: read_origin(row)?,
        conversation_id: row.get("conversation_id")?,
        conversation_ordinal: row.get("conversation_ordinal")?,
        source: word(row, "source", AnswerSource::from_word)?,
        fallback_reason: row.get("fallback_reason")?,
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
        used_before: None,
    })
}

fn read_origin(row: &Row<'_>) -> rusqlite::Result<CallOrigin> {
    let Some(run) = parsed_or_none(row, "run_id")? else {
        let (session_id, client_id) = (row.get("session_id")?, row.get("client_id")?);
        return Ok(CallOrigin::Chat { session_id, client_id });
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
    Ok(Some(CallTiming {
        queue_ms: row.get("queue_ms")?,
        first_token_ms: row.get("first_token_ms")?,
        total_ms,
        tries: row.get("tries")?,
    }))
}

fn read_usage(row: &Row<'_>) -> rusqlite::Result<Option<Usage>> {
    if row.get::<_, Option<String>>("usage_source")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Usage {
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cached_tokens: row.get("cached_tokens")?,
        cache_write_tokens: row.get("cache_write_tokens")?,
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
