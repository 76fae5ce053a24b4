//! What is written about requests.
use domain::http::{HttpError, HttpErrorKind, masked_url};
use domain::{RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::read::HttpRequestStatus;
use super::{HttpRequestAnswered, HttpRequestKey, HttpRequestStarted, texts};
use crate::calls::TextsKept;
use crate::column::{count, word};
use crate::{Error, Texts, prune, record, runs};

/// Most requests that are removed in one transaction: with their texts, some milliseconds.
const REMOVED_COUNT_MAX: usize = 100;

const FIND: &str = "SELECT seq, status FROM http_requests
    WHERE run_id = ?1 AND stage_key = ?2 AND attempt = ?3 AND ordinal = ?4";
const INSERT: &str =
    "INSERT INTO http_requests (run_id, stage_key, attempt, ordinal, status, method,
    url, request_digest, request_bytes, tries, asked_at, started_at, texts)
    VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?6, ?7, ?8, 0, ?9, ?9, ?10)";
const SENT: &str = "UPDATE http_requests SET tries = tries + 1, started_at = ?2, status = 'open',
    ended_at = NULL, error_code = NULL, error_message = NULL WHERE seq = ?1";
const ENDED: &str = "UPDATE http_requests SET status = ?2, ended_at = ?3, answer_status = ?4,
    answer_bytes = ?5, error_code = ?6, error_message = ?7 WHERE seq = ?1";
const INSERT_REQUEST: &str = "INSERT INTO http_request_texts (seq, request) VALUES (?1, ?2)";
const INSERT_ANSWER: &str =
    "INSERT OR REPLACE INTO http_answer_texts (seq, answer) VALUES (?1, ?2)";
const CANCEL: &str = "UPDATE http_requests SET status = 'canceled', ended_at = :at
    WHERE run_id = :run AND status = 'open'";

const OF_RUN: &str = "SELECT seq FROM http_requests WHERE run_id = ?1 LIMIT ?2";
const PARTS: [&str; 3] = [
    "DELETE FROM http_request_texts WHERE seq = ?1",
    "DELETE FROM http_answer_texts WHERE seq = ?1",
    "DELETE FROM http_requests WHERE seq = ?1",
];

/// What must be found by a key, however many requests there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 3] = [FIND, CANCEL, OF_RUN];

/// Keeps what is known about a request before it is sent, and says whether it may be.
pub(crate) fn started(
    db: &Connection,
    request: &HttpRequestStarted,
    texts: Texts,
) -> Result<bool, Error> {
    let run = &request.key.run;
    if runs::is_canceled(db, run)? || prune::was_removed(db, run)? {
        // It would stay open for ever.
        return Ok(false);
    }
    let seq = match find(db, &request.key)? {
        Some((_, HttpRequestStatus::Answered | HttpRequestStatus::Failed)) => return Ok(false),
        Some((seq, HttpRequestStatus::Open | HttpRequestStatus::Canceled)) => seq,
        None => insert(db, request)?,
    };
    db.prepare_cached(SENT)?.execute(params![seq, request.at.as_unix_ms()])?;
    texts::written(db, seq, &request.key, texts)?;
    Ok(true)
}

/// Keeps what came of a request. One that was refused before it was sent has no other record.
pub(crate) fn answered(
    db: &Connection,
    answer: &HttpRequestAnswered,
    texts: Texts,
) -> Result<(), Error> {
    let request = &answer.started;
    if prune::was_removed(db, &request.key.run)? {
        return Ok(());
    }
    let seq = match find(db, &request.key)? {
        Some((_, HttpRequestStatus::Answered | HttpRequestStatus::Failed)) => return Ok(()),
        Some((seq, HttpRequestStatus::Open | HttpRequestStatus::Canceled)) => seq,
        None => insert(db, request)?,
    };
    let response = answer.outcome.as_ref().ok();
    let error = answer.outcome.as_ref().err();
    let status = match error {
        None => HttpRequestStatus::Answered,
        Some(_) => HttpRequestStatus::Failed,
    };
    db.prepare_cached(ENDED)?.execute(params![
        seq,
        status.as_str(),
        answer.at.as_unix_ms(),
        response.map(|response| response.status),
        response.map(|response| count(response.size_bytes())),
        error.map(|HttpError { kind, .. }| HttpErrorKind::code(*kind)),
        error.map(|error| &error.message),
    ])?;
    if let Some(response) = response {
        let text = record::encode_http_response(response)?;
        db.prepare_cached(INSERT_ANSWER)?.execute(params![seq, text])?;
    }
    texts::written(db, seq, &request.key, texts)
}

/// Marks the open requests of a run as canceled: nobody sends them again.
pub(super) fn cancel_open(db: &Connection, run: &RunId, at: Timestamp) -> Result<(), Error> {
    let mut statement = db.prepare_cached(CANCEL)?;
    statement.execute(named_params! { ":run": run.as_str(), ":at": at.as_unix_ms() })?;
    Ok(())
}

/// Removes some requests of a removed run, and says whether there are more.
pub(crate) fn remove_some(db: &Connection, run: &RunId) -> Result<bool, Error> {
    let mut statement = db.prepare_cached(OF_RUN)?;
    let found = statement.query_map(params![run.as_str(), REMOVED_COUNT_MAX], |row| row.get(0))?;
    let found = found.collect::<Result<Vec<i64>, _>>()?;
    for seq in &found {
        for sql in PARTS {
            db.prepare_cached(sql)?.execute([seq])?;
        }
    }
    Ok(found.len() == REMOVED_COUNT_MAX)
}

fn find(db: &Connection, key: &HttpRequestKey) -> Result<Option<(i64, HttpRequestStatus)>, Error> {
    let HttpRequestKey { run, stage, attempt, ordinal } = key;
    let key = params![run.as_str(), stage.as_str(), attempt, ordinal];
    let found = db.prepare_cached(FIND)?.query_row(key, |row| {
        Ok((row.get("seq")?, word(row, "status", HttpRequestStatus::from_word)?))
    });
    Ok(found.optional()?)
}

fn insert(db: &Connection, started: &HttpRequestStarted) -> Result<i64, Error> {
    let HttpRequestKey { run, stage, attempt, ordinal } = &started.key;
    let request = &started.request;
    db.prepare_cached(INSERT)?.execute(params![
        run.as_str(),
        stage.as_str(),
        attempt,
        ordinal,
        request.method,
        masked_url(&request.url),
        started.request_digest.as_str(),
        count(request.size_bytes()),
        started.at.as_unix_ms(),
        // An attempt may be replayed until it has ended, whatever is kept afterwards.
        TextsKept::Whole.as_str(),
    ])?;
    let seq = db.last_insert_rowid();
    let text = record::encode_http_request(request)?;
    db.prepare_cached(INSERT_REQUEST)?.execute(params![seq, text])?;
    Ok(seq)
}
