//! What is written about calls.
//!
//! A call that is noted and answered in one transaction is one insert. What it used is counted in `usage_days` in the
//! same transaction as its outcome.
use domain::model::{Completion, FinishReason, ModelErrorKind};
use domain::{RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::state::State;
use super::{CallAnswered, CallOrigin, CallStarted, CallStatus, days, texts};
use crate::column::{count, word};
use crate::{Error, Texts, prune, runs};

/// Why the text of an answer ended that never became whole.
const BROKEN_OFF: &str = "broken_off";

/// A question about to be asked, with its text as it is to be kept.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) call: CallStarted,
    request: Option<String>,
}

impl Noted {
    /// Makes the text. By whoever asks, and not by the thread that writes: what every caller can do for itself must not
    /// be done one after another.
    pub(crate) fn new(call: CallStarted, texts: Texts) -> Result<Self, Error> {
        let request = texts::request_text(&call, texts)?;
        Ok(Self { call, request })
    }
}

/// What came of a call, with the text as it is to be kept.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: CallAnswered,
    text: Option<String>,
    texts: Texts,
}

impl Outcome {
    /// Makes the text; see [`Noted::new`].
    pub(crate) fn new(answer: CallAnswered, texts: Texts) -> Result<Self, Error> {
        let told = match (&answer.outcome, &answer.spent) {
            (Ok(completion), _) => Some(completion.clone()),
            (Err(_), Some(spent)) if !spent.content.is_empty() => Some(Completion {
                content: spent.content.clone(),
                finish_reason: FinishReason::Other(BROKEN_OFF.to_owned()),
                model: answer.model.clone(),
                usage: spent.usage,
                cost_nano_usd: spent.cost_nano_usd,
            }),
            (Err(_), _) => None,
        };
        let text = match told {
            Some(told) => texts::answer_text(&answer.started.origin, told, texts)?,
            None => None,
        };
        Ok(Self { answer, text, texts })
    }
}

const FIND: &str =
    "SELECT seq, status, started_at, provider, model FROM llm_calls WHERE call_id = ?1";

const INSERT: &str = "INSERT INTO llm_calls (call_id, run_id, stage_key, attempt, ordinal,
    session_id, client_id, conversation_id, conversation_ordinal, label, request_digest, texts,
    asked_at, started_at, status, provider, model, source, fallback_reason, ended_at, queue_ms,
    first_token_ms, total_ms, tries, answered_model, finish_reason, input_tokens, output_tokens,
    cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, cost_nano_usd, error_code,
    error_message, retry_after_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15, ?16, ?17, ?18,
    ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35)";
const UPDATE: &str = "UPDATE llm_calls SET started_at = ?2, status = ?3, source = ?4,
    fallback_reason = ?5, ended_at = ?6, queue_ms = ?7, first_token_ms = ?8, total_ms = ?9,
    tries = ?10, answered_model = ?11, finish_reason = ?12, input_tokens = ?13,
    output_tokens = ?14, cached_tokens = ?15, cache_write_tokens = ?16, reasoning_tokens = ?17,
    usage_source = ?18, cost_nano_usd = ?19, error_code = ?20, error_message = ?21,
    retry_after_ms = ?22 WHERE seq = ?1";
/// Apart, because SQLite writes the entries of an index anew whenever an update names their columns.
const MOVE: &str = "UPDATE llm_calls SET provider = ?2, model = ?3 WHERE seq = ?1";
const NEXT_IN_CONVERSATION: &str = "SELECT COALESCE(MAX(conversation_ordinal), 0) + 1
    FROM llm_calls WHERE conversation_id = ?1";

const INSERT_REQUEST: &str = "INSERT INTO llm_requests (seq, request) VALUES (?1, ?2)";
/// What a canceled call had got makes room for the answer.
const INSERT_ANSWER: &str = "INSERT OR REPLACE INTO llm_answers (seq, answer) VALUES (?1, ?2)";
const DELETE_ANSWER: &str = "DELETE FROM llm_answers WHERE seq = ?1";

/// The plus sign keeps the planner from looking through all open calls.
const CANCEL_OF_RUN: &str = "UPDATE llm_calls SET status = 'canceled', ended_at = :at,
    error_code = :error_code, error_message = 'the run was canceled'
    WHERE run_id = :run AND +status = 'open' RETURNING seq";
/// The plus sign keeps the planner from looking through all chats.
const CANCEL_CHATS: &str = "UPDATE llm_calls SET status = 'canceled', ended_at = :at,
    error_code = :error_code,
    error_message = 'the host stopped while the model was answering'
    WHERE +run_id IS NULL AND status = 'open' RETURNING seq";

/// What must be found by a key, however many calls there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 4] = [FIND, NEXT_IN_CONVERSATION, CANCEL_OF_RUN, CANCEL_CHATS];

/// The row that a call has.
struct Found {
    seq: i64,
    status: CallStatus,
    started_at: i64,
    provider: String,
    model: String,
}

fn find(db: &Connection, call: &CallStarted) -> Result<Option<Found>, Error> {
    let found = db.prepare_cached(FIND)?.query_row([call.call.as_str()], |row| {
        Ok(Found {
            seq: row.get("seq")?,
            status: word(row, "status", CallStatus::from_word)?,
            started_at: row.get("started_at")?,
            provider: row.get("provider")?,
            model: row.get("model")?,
        })
    });
    Ok(found.optional()?)
}

/// Keeps what is known about a call before it is asked.
pub(crate) fn started(db: &Connection, noted: &Noted, texts: Texts) -> Result<(), Error> {
    let Noted { call, request } = noted;
    if let CallOrigin::Stage { run, .. } = &call.origin
        && runs::is_canceled(db, run)?
    {
        // The note came after the cancellation and would stay open for ever. An answer is kept whole without it.
        return Ok(());
    }
    match find(db, call)? {
        None if is_of_nobody(db, call)? => Ok(()),
        None => {
            let seq = insert(db, call, request.as_deref(), &State::open(call), texts)?;
            texts::written(db, seq, &call.origin, texts)
        }
        Some(Found { status: CallStatus::Answered | CallStatus::Failed, .. }) => Ok(()),
        Some(found) => {
            match found.status {
                CallStatus::Canceled => asked_again(db, found.seq)?,
                _ => begun_again(db, &found, call)?,
            }
            update(db, &found, call, &State::open(call), texts)
        }
    }
}

/// Keeps what came of a call; with the note about its start, where that is not stored yet.
pub(crate) fn answered(
    db: &Connection,
    outcome: &Outcome,
    noted: Option<&Noted>,
) -> Result<(), Error> {
    let Outcome { answer, text, texts } = outcome;
    let call = &answer.started;
    let state = State::of(answer);
    let seq = match find(db, call)? {
        Some(Found { status: CallStatus::Answered | CallStatus::Failed, .. }) => return Ok(()),
        Some(found) => {
            if found.status == CallStatus::Canceled {
                if noted.is_some() || found.started_at != call.at.as_unix_ms() {
                    asked_again(db, found.seq)?;
                } else {
                    // More is known now about what was counted already.
                    days::take(db, found.seq)?;
                }
            } else {
                begun_again(db, &found, call)?;
            }
            update(db, &found, call, &state, *texts)?;
            found.seq
        }
        None if is_of_nobody(db, call)? => return Ok(()),
        None => match noted {
            Some(noted) => insert(db, call, noted.request.as_deref(), &state, *texts)?,
            None => {
                let request = texts::request_text(call, *texts)?;
                insert(db, call, request.as_deref(), &state, *texts)?
            }
        },
    };
    if let Some(text) = text {
        db.prepare_cached(INSERT_ANSWER)?.execute(params![seq, text])?;
    }
    days::add(db, seq)?;
    texts::written(db, seq, &call.origin, *texts)
}

/// Whether the run of a call was removed: what came of a canceled call can be told later than that.
fn is_of_nobody(db: &Connection, call: &CallStarted) -> Result<bool, Error> {
    match &call.origin {
        CallOrigin::Stage { run, .. } => prune::was_removed(db, run),
        CallOrigin::Chat { .. } => Ok(false),
    }
}

/// Puts aside what a canceled call had used, because its row is about to tell of another time that it is asked.
fn asked_again(db: &Connection, seq: i64) -> Result<(), Error> {
    days::move_before(db, seq)?;
    db.prepare_cached(DELETE_ANSWER)?.execute([seq])?;
    Ok(())
}

/// Notes that an open call was asked before by a host that died, if it was: a provider may have been paid for it.
fn begun_again(db: &Connection, found: &Found, call: &CallStarted) -> Result<(), Error> {
    if found.started_at == call.at.as_unix_ms() {
        return Ok(());
    }
    days::note_before(db, found.seq)
}

/// Marks the open calls of a run that was canceled: nobody asks them again. How long they took is not known.
pub(crate) fn run_canceled(db: &Connection, run: &RunId, at: Timestamp) -> Result<(), Error> {
    let mut statement = db.prepare_cached(CANCEL_OF_RUN)?;
    let canceled = statement.query_map(
        named_params! {
            ":run": run.as_str(),
            ":at": at.as_unix_ms(),
            ":error_code": ModelErrorKind::Canceled.code(),
        },
        |row| row.get(0),
    )?;
    let canceled = canceled.collect::<Result<Vec<i64>, _>>()?;
    canceled.into_iter().try_for_each(|seq| days::add(db, seq))
}

/// Marks the open calls that belong to no run as canceled.
pub(crate) fn close_open_chats(db: &Connection, at: Timestamp) -> Result<(), Error> {
    let mut statement = db.prepare_cached(CANCEL_CHATS)?;
    let canceled = statement.query_map(
        named_params! {
            ":at": at.as_unix_ms(),
            ":error_code": ModelErrorKind::Canceled.code(),
        },
        |row| row.get(0),
    )?;
    let canceled = canceled.collect::<Result<Vec<i64>, _>>()?;
    canceled.into_iter().try_for_each(|seq| days::add(db, seq))
}

fn insert(
    db: &Connection,
    call: &CallStarted,
    request: Option<&str>,
    state: &State<'_>,
    texts: Texts,
) -> Result<i64, Error> {
    let (run, stage, attempt, ordinal, session, client) = match &call.origin {
        CallOrigin::Stage { run, stage, attempt, ordinal } => {
            (Some(run.as_str()), Some(stage.as_str()), Some(*attempt), Some(*ordinal), None, None)
        }
        CallOrigin::Chat { session_id, client_id } => {
            (None, None, None, None, session_id.as_deref(), client_id.as_deref())
        }
    };
    let (conversation, conversation_ordinal) = conversation(db, call)?;
    let kept = texts::kept_at_first(&call.origin, texts);
    let error = state.error.map(|error| texts::error_as_kept(error, kept));
    db.prepare_cached(INSERT)?.execute(params![
        call.call.as_str(),
        run,
        stage,
        attempt,
        ordinal,
        session,
        client,
        conversation,
        conversation_ordinal,
        call.request.label,
        call.request_digest.as_str(),
        kept.as_str(),
        call.at.as_unix_ms(),
        state.status.as_str(),
        state.provider,
        state.model,
        state.source.as_str(),
        state.fallback_reason.map(|reason| texts::reason_as_kept(reason, kept)),
        state.ended_at(),
        state.queue_ms(),
        state.first_token_ms(),
        state.total_ms(),
        state.tries(),
        state.answered_model,
        state.finish_reason,
        state.tokens(|usage| usage.input_tokens),
        state.tokens(|usage| usage.output_tokens),
        state.tokens(|usage| usage.cached_tokens),
        state.tokens(|usage| usage.cache_write_tokens),
        state.tokens(|usage| usage.reasoning_tokens),
        state.usage_source(),
        state.cost_nano_usd.map(count),
        error.as_ref().map(|error| error.kind.code()),
        error.as_ref().map(|error| &error.message),
        state.retry_after_ms(),
    ])?;
    let seq = db.last_insert_rowid();
    if let Some(request) = request {
        db.prepare_cached(INSERT_REQUEST)?.execute(params![seq, request])?;
    }
    Ok(seq)
}

fn update(
    db: &Connection,
    found: &Found,
    call: &CallStarted,
    state: &State<'_>,
    texts: Texts,
) -> Result<(), Error> {
    let kept = texts::kept_at_first(&call.origin, texts);
    let error = state.error.map(|error| texts::error_as_kept(error, kept));
    db.prepare_cached(UPDATE)?.execute(params![
        found.seq,
        call.at.as_unix_ms(),
        state.status.as_str(),
        state.source.as_str(),
        state.fallback_reason.map(|reason| texts::reason_as_kept(reason, kept)),
        state.ended_at(),
        state.queue_ms(),
        state.first_token_ms(),
        state.total_ms(),
        state.tries(),
        state.answered_model,
        state.finish_reason,
        state.tokens(|usage| usage.input_tokens),
        state.tokens(|usage| usage.output_tokens),
        state.tokens(|usage| usage.cached_tokens),
        state.tokens(|usage| usage.cache_write_tokens),
        state.tokens(|usage| usage.reasoning_tokens),
        state.usage_source(),
        state.cost_nano_usd.map(count),
        error.as_ref().map(|error| error.kind.code()),
        error.as_ref().map(|error| &error.message),
        state.retry_after_ms(),
    ])?;
    if (found.provider.as_str(), found.model.as_str()) != (state.provider, state.model) {
        db.prepare_cached(MOVE)?.execute(params![found.seq, state.provider, state.model])?;
    }
    Ok(())
}

/// The conversation of a call that has no row yet, and its place there.
fn conversation(db: &Connection, call: &CallStarted) -> Result<(String, u32), Error> {
    match (&call.conversation_id, &call.origin) {
        (None, CallOrigin::Stage { run, stage, attempt, ordinal }) => {
            Ok((format!("{run}/{stage}/{attempt}"), *ordinal))
        }
        (Some(conversation), CallOrigin::Stage { ordinal, .. }) => {
            Ok((conversation.clone(), *ordinal))
        }
        // Nobody can have asked in a conversation that begins with this call.
        (None, CallOrigin::Chat { session_id: None, .. }) => Ok((call.call.to_string(), 1)),
        (Some(conversation), CallOrigin::Chat { .. })
        | (None, CallOrigin::Chat { session_id: Some(conversation), .. }) => {
            let mut next = db.prepare_cached(NEXT_IN_CONVERSATION)?;
            Ok((conversation.clone(), next.query_row([conversation], |row| row.get(0))?))
        }
    }
}
