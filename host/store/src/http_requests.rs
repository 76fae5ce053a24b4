//! The journal of HTTP requests of stages: the tables `http_requests`, `http_request_texts` and `http_answer_texts`.
//!
//! A request is keyed (run, stage, attempt, ordinal) and has one row, however often it is sent. An outcome that is kept is
//! never replaced. A request is open only while its attempt may still go on.
//!
//! Secrets of stages are not kept: the values of a request's `authorization`, `cookie` and the like are replaced, as are
//! those of `api_key`, `token` and the like in its URL. A replay needs the request's digest and its answer, and no more.
mod check;
mod read;
mod texts;
mod write;

use domain::http::{HttpError, HttpRequest, HttpResponse};
use domain::{Digest, RunId, StageKey, Timestamp};

pub(crate) use check::unsound;
pub use read::{HttpJournaled, HttpRequestRow, HttpRequestStatus};
pub(crate) use read::{journaled, list};
pub(crate) use texts::attempts_ended;
pub(crate) use write::{answered, remove_some, started};

/// The place of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequestKey {
    pub run: RunId,
    pub stage: StageKey,
    pub attempt: u32,
    /// 1 for the first request of the attempt.
    pub ordinal: u32,
}

/// A request that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequestStarted {
    pub key: HttpRequestKey,
    pub request: HttpRequest,
    /// Digest over the whole request; tells a replay whether it is the same.
    pub request_digest: Digest,
    pub at: Timestamp,
}

/// A request with what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequestAnswered {
    pub started: HttpRequestStarted,
    pub outcome: Result<HttpResponse, HttpError>,
    pub at: Timestamp,
}

/// What must be found by a key, however many requests there are.
#[cfg(test)]
pub(crate) fn lookups() -> impl Iterator<Item = &'static str> {
    read::LOOKUPS.into_iter().chain(write::LOOKUPS).chain(texts::LOOKUPS)
}
