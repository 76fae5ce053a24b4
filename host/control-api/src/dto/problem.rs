//! What a caller is told when something did not happen: RFC 9457, with a stable code and the cure.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An `application/problem+json` body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDto {
    /// Names the kind of problem: `urn:stagewright:problem:` and the code.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// The kind of problem for a person; the same for every problem with this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// Stable name of the cause; scripts match on it.
    pub code: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the same request may succeed later without anybody changing anything.
    pub retryable: bool,
    /// Under which the server's log has the cause. Set for every status from 500 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Everything that is wrong with the request, where it is more than one sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemItemDto>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemItemDto {
    /// The place in words: a JSON pointer, `file:line:column`, a header or a query parameter.
    pub place: String,
    /// JSON pointer into the body of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
