//! Requests of stages to hosts that a profile grants and the operator allows. Performs none of them.
//!
//! Bodies are whole: a request is journaled with its answer, so that a replay gives the same one.

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
    /// 100 to 599. A redirect is an answer like every other: nobody follows it for the stage.
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
}
