//! Requests of stages to hosts that a profile grants and the operator allows. Performs none of them.
//!
//! Bodies are whole: a request is journaled with its answer, so that a replay gives the same one.
mod grant;
mod secret;

pub use grant::{HTTP_GRANT_COUNT_MAX, HttpGrant, HttpTarget, InvalidHttpGrant};
pub use secret::{is_secret, masked_url};

/// A request as a stage makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// For example `GET`.
    pub method: String,
    /// Absolute, `https` or `http`, without a fragment.
    pub url: String,
    /// In the order of the stage; names in small letters.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body; empty where there is none.
    pub body: Vec<u8>,
}

/// An answer, with any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// 100 to 999: servers also send some that no standard names. A redirect is an answer like every other: nobody
    /// follows it for the stage.
    pub status: u16,
    /// In the order of the server; names in small letters.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why a request has no answer. The stage is told, and may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// What kind of failure it is.
    pub kind: HttpErrorKind,
    /// What happened, and what to do.
    pub message: String,
}

/// Kinds of [`HttpError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpErrorKind {
    /// The profile or the operator does not allow the host, or the host has an address within the operator's network.
    Denied,
    /// No connection, or it broke off.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// The answer is larger than one call may be.
    TooLarge,
    /// The request itself cannot be sent.
    Invalid,
    /// The host stopped while the request was on its way, and it is not one that can be sent twice without harm: nobody
    /// knows whether it arrived.
    Interrupted,
}

impl HttpErrorKind {
    /// All of them.
    pub const ALL: [HttpErrorKind; 6] = [
        HttpErrorKind::Denied,
        HttpErrorKind::Unavailable,
        HttpErrorKind::Timeout,
        HttpErrorKind::TooLarge,
        HttpErrorKind::Invalid,
        HttpErrorKind::Interrupted,
    ];

    /// The stable code for it.
    pub fn code(self) -> &'static str {
        match self {
            HttpErrorKind::Denied => "http_denied",
            HttpErrorKind::Unavailable => "http_unavailable",
            HttpErrorKind::Timeout => "http_timeout",
            HttpErrorKind::TooLarge => "http_too_large",
            HttpErrorKind::Invalid => "http_invalid",
            HttpErrorKind::Interrupted => "http_interrupted",
        }
    }

    /// The one with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl HttpError {
    /// A stage has sent as many requests as one attempt may. The same every time, so that no journal need know of it.
    pub fn too_many_requests(request_count_max: u32) -> Self {
        let message = format!(
            "the stage may send {request_count_max} HTTP requests in one attempt; raise `limits.http_requests` in the profile"
        );
        Self { kind: HttpErrorKind::Denied, message }
    }
}

impl HttpRequest {
    /// The bytes over which the digest of a request is made, by which a replay recognizes it.
    ///
    /// Every part goes in with its length before it, so that no two requests run together; the order of the parts is part
    /// of the journal's format and must not change.
    pub fn digest_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        let mut part = |value: &[u8]| {
            bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            bytes.extend_from_slice(value);
        };
        part(self.method.as_bytes());
        part(self.url.as_bytes());
        part(&(self.headers.len() as u64).to_le_bytes());
        for (name, value) in &self.headers {
            part(name.as_bytes());
            part(value);
        }
        part(&self.body);
        bytes
    }

    /// Bytes of everything that is sent.
    pub fn size_bytes(&self) -> u64 {
        (self.method.len() + self.url.len() + headers_bytes(&self.headers) + self.body.len()) as u64
    }

    /// Whether it may be sent twice because it changes nothing (RFC 9110, 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

impl HttpResponse {
    /// Bytes of everything that came.
    pub fn size_bytes(&self) -> u64 {
        (headers_bytes(&self.headers) + self.body.len()) as u64
    }
}

fn headers_bytes(headers: &[(String, Vec<u8>)]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}
