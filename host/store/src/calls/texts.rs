//! How much of the texts of calls is kept.
//!
//! Chats are written as the configuration says from the start. The calls of an attempt are kept whole until the attempt
//! has ended, because it may be interrupted and replayed; their texts are shortened or removed in the transaction that
//! ends it. What is said here holds for calls that are written from now on: it does not go through older records.
use std::borrow::Cow;

use domain::model::{Completion, ModelError, ModelErrorKind};
use domain::run::{CallOutcome, Event};
use domain::{Fault, FaultKind, RunId, StageKey};
use rusqlite::{Connection, OptionalExtension, params};

use super::{CallOrigin, CallStarted, TextsKept};
use crate::{Error, Texts, record};

/// Stands for the words of an error where no texts are kept.
const WORDS_NOT_KEPT: &str = "what the provider said is not kept, because the records keep no texts; its code says what it was";

const WHOLE_OF_RUN: &str = "SELECT seq FROM llm_calls WHERE run_id = ?1 AND +texts = 'whole'";
const SET_TEXTS: &str = "UPDATE llm_calls SET texts = ?2 WHERE seq = ?1";
const REQUEST: &str = "SELECT request FROM llm_requests WHERE seq = ?1";
const ANSWER: &str = "SELECT answer FROM llm_answers WHERE seq = ?1";
const SET_REQUEST: &str = "UPDATE llm_requests SET request = ?2 WHERE seq = ?1";
const SET_ANSWER: &str = "UPDATE llm_answers SET answer = ?2 WHERE seq = ?1";
const WORDS: &str = "SELECT error_code, error_message, fallback_reason FROM llm_calls
    WHERE seq = ?1 AND (error_message IS NOT NULL OR fallback_reason IS NOT NULL)";
const SET_WORDS: &str =
    "UPDATE llm_calls SET error_message = ?2, fallback_reason = ?3 WHERE seq = ?1";
const DELETE_REQUEST: &str = "DELETE FROM llm_requests WHERE seq = ?1";
const DELETE_ANSWER: &str = "DELETE FROM llm_answers WHERE seq = ?1";
/// An attempt that waits at a gate for a budget has not ended.
const HAS_NOT_ENDED: &str = "SELECT 1 FROM stages
    WHERE run_id = ?1 AND stage_key = ?2 AND attempt = ?3
    AND (status = 'running' OR (status = 'waiting_approval' AND ended_at IS NULL))";

/// What must be found by a key, however many calls there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 3] = [WHOLE_OF_RUN, WORDS, HAS_NOT_ENDED];

/// What is kept of the texts of a call when it is first written.
pub(super) fn kept_at_first(origin: &CallOrigin, texts: Texts) -> TextsKept {
    match (origin, texts) {
        (CallOrigin::Stage { .. }, _) | (CallOrigin::Chat { .. }, Texts::Whole) => TextsKept::Whole,
        (CallOrigin::Chat { .. }, Texts::Trimmed { .. }) => TextsKept::Trimmed,
        (CallOrigin::Chat { .. }, Texts::Off) => TextsKept::Off,
    }
}

/// The text of a question as it is first written; `None`: none is.
pub(super) fn request_text(call: &CallStarted, texts: Texts) -> Result<Option<String>, Error> {
    match (kept_at_first(&call.origin, texts), texts) {
        (TextsKept::Off, _) => Ok(None),
        (TextsKept::Trimmed, Texts::Trimmed { bytes_max }) => {
            let mut request = call.request.as_ref().clone();
            request
                .messages
                .iter_mut()
                .for_each(|message| shorten(&mut message.content, bytes_max));
            record::encode_request(&request).map(Some)
        }
        (TextsKept::Whole | TextsKept::Trimmed, _) => {
            record::encode_request(&call.request).map(Some)
        }
    }
}

/// The text of an answer as it is first written; `None`: none is.
pub(super) fn answer_text(
    origin: &CallOrigin,
    mut answer: Completion,
    texts: Texts,
) -> Result<Option<String>, Error> {
    match (kept_at_first(origin, texts), texts) {
        (TextsKept::Off, _) => return Ok(None),
        (TextsKept::Trimmed, Texts::Trimmed { bytes_max }) => {
            shorten(&mut answer.content, bytes_max);
        }
        (TextsKept::Whole | TextsKept::Trimmed, _) => {}
    }
    record::encode_completion(&answer).map(Some)
}

/// After something was written about a call: one whose attempt has ended already is treated as the attempt's others were.
pub(super) fn written(
    db: &Connection,
    seq: i64,
    origin: &CallOrigin,
    texts: Texts,
) -> Result<(), Error> {
    match (origin, texts) {
        (CallOrigin::Chat { .. }, _) | (_, Texts::Whole) => Ok(()),
        (CallOrigin::Stage { run, stage, attempt, .. }, _) => {
            if has_ended(db, run, stage, *attempt)? { reduce(db, seq, texts) } else { Ok(()) }
        }
    }
}

/// Whether an attempt has ended, so that it is not replayed any more.
pub(crate) fn has_ended(
    db: &Connection,
    run: &RunId,
    stage: &StageKey,
    attempt: u32,
) -> Result<bool, Error> {
    let mut statement = db.prepare_cached(HAS_NOT_ENDED)?;
    Ok(!statement.exists(params![run.as_str(), stage.as_str(), attempt])?)
}

/// When an attempt of a run has ended, and so no attempt of the run is under way: shortens or removes what is whole.
pub(crate) fn attempts_ended(db: &Connection, run: &RunId, texts: Texts) -> Result<(), Error> {
    if texts == Texts::Whole {
        return Ok(());
    }
    let mut statement = db.prepare_cached(WHOLE_OF_RUN)?;
    let whole = statement.query_map([run.as_str()], |row| row.get(0))?;
    let whole = whole.collect::<Result<Vec<i64>, _>>()?;
    whole.into_iter().try_for_each(|seq| reduce(db, seq, texts))
}

fn reduce(db: &Connection, seq: i64, texts: Texts) -> Result<(), Error> {
    let kept = match texts {
        Texts::Whole => return Ok(()),
        Texts::Trimmed { bytes_max } => {
            trim_request(db, seq, bytes_max)?;
            trim_answer(db, seq, bytes_max)?;
            TextsKept::Trimmed
        }
        Texts::Off => {
            db.prepare_cached(DELETE_REQUEST)?.execute([seq])?;
            db.prepare_cached(DELETE_ANSWER)?.execute([seq])?;
            take_words(db, seq)?;
            TextsKept::Off
        }
    };
    db.prepare_cached(SET_TEXTS)?.execute(params![seq, kept.as_str()])?;
    Ok(())
}

/// The error of a call as it is to be kept. Providers repeat parts of what they were asked, or of what they answered, in
/// their errors: where no texts are kept, only what the host says itself is.
pub(super) fn error_as_kept(error: &ModelError, kept: TextsKept) -> Cow<'_, ModelError> {
    match kept {
        TextsKept::Off if !is_said_by_host(error.kind) => {
            Cow::Owned(ModelError { kind: error.kind, message: WORDS_NOT_KEPT.to_owned() })
        }
        TextsKept::Whole | TextsKept::Trimmed | TextsKept::Off => Cow::Borrowed(error),
    }
}

/// Who did not answer, without the words in which they said so where no texts are kept: each line begins with the names.
pub(super) fn reason_as_kept(reason: &str, kept: TextsKept) -> Cow<'_, str> {
    match kept {
        TextsKept::Whole | TextsKept::Trimmed => Cow::Borrowed(reason),
        TextsKept::Off => {
            let names = |line: &str| line.split(": ").next().unwrap_or_default().to_owned();
            Cow::Owned(reason.lines().map(names).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// An event as it is to be kept: like the records of calls, the log keeps no words of providers where no texts are kept.
pub(crate) fn event_as_kept(event: Event, texts: Texts) -> Event {
    if texts != Texts::Off {
        return event;
    }
    match event {
        Event::ModelAnswered { stage, attempt, ordinal, call, outcome } => {
            let outcome = match outcome {
                CallOutcome::Failed { code, .. } => {
                    CallOutcome::Failed { code, message: WORDS_NOT_KEPT.to_owned() }
                }
                answered @ CallOutcome::Answered { .. } => answered,
            };
            Event::ModelAnswered { stage, attempt, ordinal, call, outcome }
        }
        Event::StageFailed { stage, attempt, fault } => {
            Event::StageFailed { stage, attempt, fault: fault_as_kept(fault) }
        }
        Event::RunFailed { stage, fault } => {
            Event::RunFailed { stage, fault: fault_as_kept(fault) }
        }
        other => other,
    }
}

fn fault_as_kept(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Model(kind) if !is_said_by_host(kind) => {
            Fault { kind: fault.kind, message: WORDS_NOT_KEPT.to_owned() }
        }
        _ => fault,
    }
}

/// Whether an error of this kind has only words of the host.
fn is_said_by_host(kind: ModelErrorKind) -> bool {
    match kind {
        ModelErrorKind::BudgetExhausted | ModelErrorKind::NotGranted | ModelErrorKind::Canceled => {
            true
        }
        ModelErrorKind::RateLimited { .. }
        | ModelErrorKind::Unavailable
        | ModelErrorKind::Timeout
        | ModelErrorKind::BadResponse
        | ModelErrorKind::Rejected
        | ModelErrorKind::Unauthorized
        | ModelErrorKind::ModelNotFound
        | ModelErrorKind::QuotaExhausted
        | ModelErrorKind::ContextTooLong => false,
    }
}

/// Takes the words of providers out of a row.
fn take_words(db: &Connection, seq: i64) -> Result<(), Error> {
    let mut statement = db.prepare_cached(WORDS)?;
    let words = statement.query_row([seq], |row| {
        let code: Option<String> = row.get("error_code")?;
        let message: Option<String> = row.get("error_message")?;
        let reason: Option<String> = row.get("fallback_reason")?;
        Ok((code, message, reason))
    });
    let Some((code, message, reason)) = words.optional()? else { return Ok(()) };
    let kind = code.and_then(|code| record::model_error_kind(&code, None));
    let message = message.map(|message| match kind {
        Some(kind) if is_said_by_host(kind) => message,
        Some(_) | None => WORDS_NOT_KEPT.to_owned(),
    });
    let reason = reason.as_deref().map(|reason| reason_as_kept(reason, TextsKept::Off));
    db.prepare_cached(SET_WORDS)?.execute(params![seq, message, reason])?;
    Ok(())
}

fn trim_request(db: &Connection, seq: i64, bytes_max: usize) -> Result<(), Error> {
    let Some(text) = text(db, REQUEST, seq)? else { return Ok(()) };
    let mut request = record::decode_request(&text)?;
    if request.messages.iter().all(|message| message.content.len() <= bytes_max) {
        return Ok(());
    }
    request.messages.iter_mut().for_each(|message| shorten(&mut message.content, bytes_max));
    let text = record::encode_request(&request)?;
    db.prepare_cached(SET_REQUEST)?.execute(params![seq, text])?;
    Ok(())
}

fn trim_answer(db: &Connection, seq: i64, bytes_max: usize) -> Result<(), Error> {
    let Some(text) = text(db, ANSWER, seq)? else { return Ok(()) };
    let mut answer = record::decode_completion(&text)?;
    if answer.content.len() <= bytes_max {
        return Ok(());
    }
    shorten(&mut answer.content, bytes_max);
    let text = record::encode_completion(&answer)?;
    db.prepare_cached(SET_ANSWER)?.execute(params![seq, text])?;
    Ok(())
}

fn text(db: &Connection, sql: &str, seq: i64) -> Result<Option<String>, Error> {
    Ok(db.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?)
}

/// Cuts a text behind a whole character, and says so.
fn shorten(text: &mut String, bytes_max: usize) {
    let all = text.len();
    if all > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        let kept = text.len();
        text.push_str(&format!("… [the first {kept} of {all} bytes are kept]"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        let cut = |text: &str, bytes_max| {
            let mut text = text.to_owned();
            shorten(&mut text, bytes_max);
            text
        };
        assert_eq!(cut("süß", 5), "süß");
        assert_eq!(cut("süß", 4), "sü… [the first 3 of 5 bytes are kept]");
        assert_eq!(cut("süß", 2), "s… [the first 1 of 5 bytes are kept]");
        assert_eq!(cut("süß", 0), "… [the first 0 of 5 bytes are kept]");
    }
}
