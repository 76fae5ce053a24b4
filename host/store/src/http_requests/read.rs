//! Looks requests up.
use domain::http::{HttpError, HttpErrorKind, HttpResponse, masked_url};
use domain::{Digest, RunId, StageKey, Timestamp};
use rusqlite::{Connection, Row, params};

use super::HttpRequestKey;
use crate::calls::TextsKept;
use crate::column::{parsed, time, time_or_none, word};
use crate::{Error, Listed, Page, cursor, record};

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpRequestStatus {
    /// It was sent, and nothing came yet.
    Open,
    /// There is an answer, of any status.
    Answered,
    /// There will be none.
    Failed,
    /// Nobody waits for an answer any more.
    Canceled,
}

impl HttpRequestStatus {
    /// All of them.
    pub const ALL: [HttpRequestStatus; 4] = [
        HttpRequestStatus::Open,
        HttpRequestStatus::Answered,
        HttpRequestStatus::Failed,
        HttpRequestStatus::Canceled,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            HttpRequestStatus::Open => "open",
            HttpRequestStatus::Answered => "answered",
            HttpRequestStatus::Failed => "failed",
            HttpRequestStatus::Canceled => "canceled",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What a list shows of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequestRow {
    pub key: HttpRequestKey,
    pub status: HttpRequestStatus,
    pub method: String,
    /// Secrets in it are masked. Only scheme and host where no texts are kept.
    pub url: String,
    pub request_bytes: u64,
    /// How often it was sent.
    pub tries: u32,
    /// For the last time.
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub answer_status: Option<u16>,
    pub answer_bytes: Option<u64>,
    pub error: Option<HttpError>,
    pub texts: TextsKept,
}

/// A request of an attempt, for its replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpJournaled {
    pub ordinal: u32,
    pub method: String,
    /// Secrets in it are masked: the digest says whether a request is the same.
    pub url: String,
    pub request_digest: Digest,
    /// How often it was sent.
    pub tries: u32,
    /// `None`: it was on its way.
    pub outcome: Option<Result<HttpResponse, HttpError>>,
}

const JOURNALED: &str = "SELECT h.*, a.answer FROM http_requests h
    LEFT JOIN http_answer_texts a ON a.seq = h.seq
    WHERE h.run_id = ?1 AND h.stage_key = ?2 AND h.attempt = ?3 ORDER BY h.ordinal";
/// By the row's number: in the order in which they were sent for the first time. The plus sign keeps the planner from
/// walking through the requests of all runs.
const LIST: &str = "SELECT * FROM http_requests WHERE run_id = ?1 AND +seq > ?2
    AND (?3 IS NULL OR stage_key = ?3) ORDER BY +seq LIMIT ?4";

/// The name of the list in its cursors.
const LIST_NAME: &str = "http_requests";

/// What must be found by a key, however many requests there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 2] = [JOURNALED, LIST];

/// The requests of an attempt by their ordinal.
pub(crate) fn journaled(
    db: &Connection,
    run: &RunId,
    stage: &StageKey,
    attempt: u32,
) -> Result<Vec<HttpJournaled>, Error> {
    let mut statement = db.prepare_cached(JOURNALED)?;
    let mut rows = statement.query(params![run.as_str(), stage.as_str(), attempt])?;
    let mut requests = Vec::new();
    while let Some(row) = rows.next()? {
        let found = read(row)?;
        let answer: Option<String> = row.get("answer")?;
        let outcome = match (found.status, answer, found.error) {
            (HttpRequestStatus::Answered, Some(answer), _) => {
                Some(Ok(record::decode_http_response(&answer)?))
            }
            (HttpRequestStatus::Failed, _, Some(error)) => Some(Err(error)),
            (HttpRequestStatus::Open | HttpRequestStatus::Canceled, ..) => None,
            (HttpRequestStatus::Answered, None, _) | (HttpRequestStatus::Failed, _, None) => {
                let (run, ordinal) = (found.key.run, found.key.ordinal);
                let detail = format!("the outcome of request {ordinal} of `{run}` is missing");
                return Err(Error::damaged(detail));
            }
        };
        requests.push(HttpJournaled {
            ordinal: found.key.ordinal,
            method: found.method,
            url: found.url,
            request_digest: parsed(row, "request_digest")?,
            tries: found.tries,
            outcome,
        });
    }
    Ok(requests)
}

/// The requests of a run, or of one of its stages, in the order in which they were first sent.
pub(crate) fn list(
    db: &Connection,
    run: &RunId,
    stage: Option<&StageKey>,
    page: &Page,
) -> Result<Listed<HttpRequestRow>, Error> {
    let behind = match &page.cursor {
        Some(cursor) => cursor::decode(LIST_NAME, cursor)?.0,
        None => 0,
    };
    let mut statement = db.prepare_cached(LIST)?;
    let stage = stage.map(StageKey::as_str);
    let rows = statement
        .query_map(params![run.as_str(), behind, stage, page.rows_to_read()], |row| {
            Ok((row.get::<_, i64>("seq")?, read(row)?))
        })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let Listed { items, next_cursor } =
        Listed::from_rows(rows, page, |(seq, _)| cursor::encode(LIST_NAME, *seq, ""));
    Ok(Listed { items: items.into_iter().map(|(_, row)| row).collect(), next_cursor })
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<HttpRequestRow> {
    let error = match row.get::<_, Option<String>>("error_code")? {
        None => None,
        Some(_) => Some(HttpError {
            kind: word(row, "error_code", HttpErrorKind::from_code)?,
            message: row.get("error_message")?,
        }),
    };
    Ok(HttpRequestRow {
        key: HttpRequestKey {
            run: parsed(row, "run_id")?,
            stage: parsed(row, "stage_key")?,
            attempt: row.get("attempt")?,
            ordinal: row.get("ordinal")?,
        },
        status: word(row, "status", HttpRequestStatus::from_word)?,
        method: row.get("method")?,
        // Once more: rows that an older host wrote have it as it was sent.
        url: masked_url(&row.get::<_, String>("url")?),
        request_bytes: row.get("request_bytes")?,
        tries: row.get("tries")?,
        started_at: time(row, "started_at")?,
        ended_at: time_or_none(row, "ended_at")?,
        answer_status: row.get("answer_status")?,
        answer_bytes: row.get("answer_bytes")?,
        error,
        texts: word(row, "texts", TextsKept::from_word)?,
    })
}
