//! HTTP requests of stages.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CallStatusDto, TextsDto};

/// The record of an HTTP request that a stage sent, or wanted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HttpRequestDto {
    /// The stage.
    pub stage: String,
    /// The attempt at the stage.
    pub attempt: u32,
    /// 1 for the first request of the attempt.
    pub ordinal: u32,
    /// Where the request is. It is `answered` whatever the status of the answer, and `failed` if there is none.
    pub status: CallStatusDto,
    /// For example `GET`.
    pub method: String,
    /// Where it went, with `***` in place of secrets; only scheme and host if the records keep no texts.
    pub url: String,
    /// How often it was sent; 0 if it was refused before.
    pub tries: u32,
    /// Bytes that were to be sent.
    pub request_bytes: u64,
    /// Status of the answer.
    pub answer_status: Option<u16>,
    /// Bytes of the answer, headers included.
    pub answer_bytes: Option<u64>,
    /// Stable code of what went wrong.
    pub error_code: Option<String>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// When it was sent, for the last time (RFC 3339).
    pub started_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// Whether the records keep its texts whole.
    pub texts: TextsDto,
}
