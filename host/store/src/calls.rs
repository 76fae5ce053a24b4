//! The journal of model calls: the tables `llm_calls`, `llm_requests` and `llm_answers`.
//!
//! A call of an attempt is keyed (run, stage, attempt, ordinal) and has one row, however often it is asked. An answer that
//! is kept is never replaced: only a call that is open or was canceled takes another outcome. A call is open only while
//! somebody may still ask it. This file has what is written; `calls::read` has what is asked.
mod read;

use std::sync::Arc;

use domain::model::{Completion, ModelError, ModelErrorKind, ModelRequest};
use domain::{CallId, Digest, RunId, StageKey, Timestamp};
use rusqlite::{Connection, named_params};

use crate::column::count;
use crate::record::usage_source_word;
use crate::{Error, record, runs};

#[cfg(test)]
pub(crate) use read::LISTS;
pub use read::{CallDetail, CallFilter, CallRow, CallStatus, Journaled, StageSpent, UsageSum};
pub(crate) use read::{journaled, last_model, list, one, spent, usage, usage_by_stage};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOrigin {
    /// An attempt at a stage.
    Stage {
        run: RunId,
        stage: StageKey,
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
    },
    /// Somebody who talks to a model outside of any run.
    Chat { session_id: Option<String> },
}

/// A question that is about to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct CallStarted {
    pub call: CallId,
    pub origin: CallOrigin,
    pub request: Arc<ModelRequest>,
    /// Digest over the whole request; tells a replay whether it asks the same.
    pub request_digest: Digest,
    pub provider: String,
    pub model: String,
    pub at: Timestamp,
}

/// A question with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallAnswered {
    pub started: CallStarted,
    /// [`ModelErrorKind::Canceled`] is not an answer: a replay asks again.
    pub outcome: Result<Completion, ModelError>,
    pub timing: CallTiming,
    pub at: Timestamp,
}

/// How long a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallTiming {
    /// To the first text; `None` if there was none.
    pub first_token_ms: Option<u64>,
    /// All tries and the waits between them.
    pub total_ms: u64,
    /// 1 if the first try did it.
    pub tries: u32,
}

const INSERT: &str = "INSERT INTO llm_calls (call_id, run_id, stage_key, attempt, ordinal,
    session_id, status, label, provider, model, request_digest, started_at)
    VALUES (:call, :run, :stage, :attempt, :ordinal,
    :session, 'open', :label, :provider, :model, :request_digest, :at)
    ON CONFLICT (call_id) DO NOTHING";
const INSERT_REQUEST: &str = "INSERT OR IGNORE INTO llm_requests (seq, request)
    SELECT seq, ?2 FROM llm_calls WHERE call_id = ?1";
const INSERT_ANSWER: &str = "INSERT OR IGNORE INTO llm_answers (seq, answer)
    SELECT seq, ?2 FROM llm_calls WHERE call_id = ?1";
const EXISTS: &str = "SELECT 1 FROM llm_calls WHERE call_id = ?1";

const REOPEN: &str = "UPDATE llm_calls SET status = 'open', provider = :provider, model = :model,
    started_at = :at, ended_at = NULL, first_token_ms = NULL, total_ms = NULL, tries = NULL,
    error_code = NULL, error_message = NULL, retry_after_ms = NULL
    WHERE call_id = :call AND status IN ('open', 'canceled')";
const ANSWER: &str = "UPDATE llm_calls SET status = 'answered', provider = :provider,
    model = :model, ended_at = :at, first_token_ms = :first_token_ms, total_ms = :total_ms,
    tries = :tries, answered_model = :answered_model, finish_reason = :finish_reason,
    input_tokens = :input_tokens, output_tokens = :output_tokens, cached_tokens = :cached_tokens,
    reasoning_tokens = :reasoning_tokens, usage_source = :usage_source,
    cost_nano_usd = :cost_nano_usd,
    error_code = NULL, error_message = NULL, retry_after_ms = NULL
    WHERE call_id = :call AND status IN ('open', 'canceled')";
const FAIL: &str = "UPDATE llm_calls SET status = :status, provider = :provider, model = :model,
    ended_at = :at, first_token_ms = :first_token_ms, total_ms = :total_ms, tries = :tries,
    error_code = :error_code, error_message = :error_message, retry_after_ms = :retry_after_ms
    WHERE call_id = :call AND status IN ('open', 'canceled')";
/// The plus sign keeps the planner from looking through all open calls.
const CANCEL_OF_RUN: &str = "UPDATE llm_calls SET status = 'canceled', ended_at = :at,
    error_code = :error_code, error_message = 'the run was canceled'
    WHERE run_id = :run AND +status = 'open'";
/// The plus sign keeps the planner from looking through all chats.
const CANCEL_CHATS: &str = "UPDATE llm_calls SET status = 'canceled', ended_at = :at,
    error_code = :error_code,
    error_message = 'the host stopped while the model was answering'
    WHERE +run_id IS NULL AND status = 'open'";

/// Keeps what is known about a call before it is asked.
pub(crate) fn started(db: &Connection, call: &CallStarted) -> Result<(), Error> {
    if let CallOrigin::Stage { run, .. } = &call.origin
        && runs::is_canceled(db, run)?
    {
        // The note came after the cancellation and would stay open for ever. An answer is kept whole without it.
        return Ok(());
    }
    let reopened = db.prepare_cached(REOPEN)?.execute(named_params! {
        ":call": call.call.as_str(),
        ":provider": call.provider,
        ":model": call.model,
        ":at": call.at.as_unix_ms(),
    })?;
    if reopened == 0 { insert(db, call) } else { Ok(()) }
}

fn insert(db: &Connection, call: &CallStarted) -> Result<(), Error> {
    let (run, stage, attempt, ordinal, session) = match &call.origin {
        CallOrigin::Stage { run, stage, attempt, ordinal } => {
            (Some(run.as_str()), Some(stage.as_str()), Some(*attempt), Some(*ordinal), None)
        }
        CallOrigin::Chat { session_id } => (None, None, None, None, session_id.as_deref()),
    };
    db.prepare_cached(INSERT)?.execute(named_params! {
        ":call": call.call.as_str(),
        ":run": run,
        ":stage": stage,
        ":attempt": attempt,
        ":ordinal": ordinal,
        ":session": session,
        ":label": call.request.label,
        ":provider": call.provider,
        ":model": call.model,
        ":request_digest": call.request_digest.as_str(),
        ":at": call.at.as_unix_ms(),
    })?;
    let request = record::encode_request(&call.request)?;
    db.prepare_cached(INSERT_REQUEST)?.execute([call.call.as_str(), &request])?;
    Ok(())
}

/// Marks the open calls of a run that was canceled: nobody asks them again. How long they took is not known.
pub(crate) fn run_canceled(db: &Connection, run: &RunId, at: Timestamp) -> Result<(), Error> {
    db.prepare_cached(CANCEL_OF_RUN)?.execute(named_params! {
        ":run": run.as_str(),
        ":at": at.as_unix_ms(),
        ":error_code": ModelErrorKind::Canceled.code(),
    })?;
    Ok(())
}

/// Marks the open calls that belong to no run as canceled.
pub(crate) fn close_open_chats(db: &Connection, at: Timestamp) -> Result<(), Error> {
    db.prepare_cached(CANCEL_CHATS)?.execute(named_params! {
        ":at": at.as_unix_ms(),
        ":error_code": ModelErrorKind::Canceled.code(),
    })?;
    Ok(())
}

/// Keeps what came of a call.
pub(crate) fn answered(db: &Connection, answer: &CallAnswered) -> Result<(), Error> {
    let known = db.prepare_cached(EXISTS)?.exists([answer.started.call.as_str()])?;
    if !known {
        insert(db, &answer.started)?;
    }
    match &answer.outcome {
        Ok(completion) => succeeded(db, answer, completion),
        Err(error) => failed(db, answer, error),
    }
}

fn succeeded(db: &Connection, answer: &CallAnswered, completion: &Completion) -> Result<(), Error> {
    let CallAnswered { started, timing, at, .. } = answer;
    let usage = &completion.usage;
    let changed = db.prepare_cached(ANSWER)?.execute(named_params! {
        ":call": started.call.as_str(),
        ":provider": started.provider,
        ":model": started.model,
        ":at": at.as_unix_ms(),
        ":first_token_ms": timing.first_token_ms.map(count),
        ":total_ms": count(timing.total_ms),
        ":tries": timing.tries,
        ":answered_model": completion.model,
        ":finish_reason": completion.finish_reason.as_str(),
        ":input_tokens": usage.input_tokens.map(count),
        ":output_tokens": usage.output_tokens.map(count),
        ":cached_tokens": usage.cached_tokens.map(count),
        ":reasoning_tokens": usage.reasoning_tokens.map(count),
        ":usage_source": usage_source_word(usage.source),
        ":cost_nano_usd": completion.cost_nano_usd.map(count),
    })?;
    if changed == 1 {
        let text = record::encode_completion(completion)?;
        db.prepare_cached(INSERT_ANSWER)?.execute([started.call.as_str(), &text])?;
    }
    Ok(())
}

fn failed(db: &Connection, answer: &CallAnswered, error: &ModelError) -> Result<(), Error> {
    let CallAnswered { started, timing, at, .. } = answer;
    let (status, retry_after_ms) = match error.kind {
        ModelErrorKind::Canceled => (CallStatus::Canceled, None),
        ModelErrorKind::RateLimited { retry_after_ms } => (CallStatus::Failed, retry_after_ms),
        _ => (CallStatus::Failed, None),
    };
    db.prepare_cached(FAIL)?.execute(named_params! {
        ":status": status.as_str(),
        ":call": started.call.as_str(),
        ":provider": started.provider,
        ":model": started.model,
        ":at": at.as_unix_ms(),
        ":first_token_ms": timing.first_token_ms.map(count),
        ":total_ms": count(timing.total_ms),
        ":tries": timing.tries,
        ":error_code": error.kind.code(),
        ":error_message": error.message,
        ":retry_after_ms": retry_after_ms.map(count),
    })?;
    Ok(())
}
