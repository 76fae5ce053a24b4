//! What a caller is told when something did not happen: the one error of this crate.
//!
//! Invariant: what the server itself did wrong leaves the process as the fixed text of its [`Code`] and a request id.
//! The cause goes to the log, once, under the same id, when the problem is answered.
mod from_engine;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::Code;
use crate::dto::{ProblemDto, ProblemItemDto};

/// Content type of problems (RFC 9457).
pub(crate) const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
/// What the `type` of a problem is, before its code.
pub(crate) const PROBLEM_TYPE_PREFIX: &str = "urn:stagewright:problem:";

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.code.as_str(), .0.detail)]
pub struct Problem(Box<Said>); // Boxed, because nearly every function here may return one.

#[derive(Debug)]
struct Said {
    code: Code,
    detail: String,
    hint: Option<String>,
    items: Vec<ProblemItemDto>,
    /// For the log only.
    cause: Option<String>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem that the caller may know all about.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Said {
            code,
            detail: detail.into(),
            hint: None,
            items: Vec::new(),
            cause: None,
            header: None,
        }))
    }

    /// A problem whose cause is for the log: the caller gets the title of the code.
    pub(crate) fn hidden(code: Code, cause: impl Into<String>) -> Self {
        let mut problem = Self::new(code, code.title());
        problem.0.cause = Some(cause.into());
        problem
    }

    /// A request with something wrong in it; every problem of it. One at least.
    pub(crate) fn invalid(items: Vec<ProblemItemDto>) -> Self {
        let sentences: Vec<String> = items.iter().map(ProblemItemDto::sentence).collect();
        Self::new(Code::RequestInvalid, sentences.join("; ")).with_items(items)
    }

    /// The same with a cure that fits better than the usual one.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_items(mut self, items: Vec<ProblemItemDto>) -> Self {
        self.0.items = items;
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// The stable name of the cause.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.0.code.hint())
    }

    /// The problem as it is sent. Logs what a caller does not see; so it takes the problem.
    pub(crate) fn into_dto(self) -> ProblemDto {
        // The id names a line of the log, not anything in the log of events: it is the one identifier that is not
        // made by the engine, which may be what failed.
        let code = self.0.code;
        let request_id = (code.status() >= 500).then(|| format!("req_{}", Uuid::now_v7().simple()));
        if let Some(request_id) = &request_id {
            self.log(request_id);
        }
        ProblemDto {
            problem_type: format!("{PROBLEM_TYPE_PREFIX}{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            hint: self.hint().to_owned(),
            code: code.as_str().to_owned(),
            retryable: code.is_retryable(),
            detail: self.0.detail,
            request_id,
            problems: self.0.items,
        }
    }

    fn log(&self, request_id: &str) {
        let code = self.0.code.as_str();
        match &self.0.cause {
            Some(cause) => {
                tracing::error!(request.id = request_id, code, "request failed: {cause}");
            }
            None => {
                let detail = &self.0.detail;
                tracing::info!(request.id = request_id, code, "request failed: {detail}");
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status =
            StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let extra = self.0.header.take();
        // `Json` says what it is, and a tuple's headers are set after it; so the type is the one of problems.
        let content_type = [(header::CONTENT_TYPE, PROBLEM_MEDIA_TYPE)];
        let mut response = (status, content_type, Json(self.into_dto())).into_response();
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl ProblemItemDto {
    /// Something wrong in the body, by its JSON pointer.
    pub(crate) fn at_pointer(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let pointer = pointer.into();
        Self { pointer: Some(pointer.clone()), ..Self::at(pointer, message) }
    }

    /// Something wrong outside of the body.
    pub(crate) fn at(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            pointer: None,
            file: None,
            line: None,
            column: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn sentence(&self) -> String {
        if self.place.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.place, self.message)
        }
    }
}
