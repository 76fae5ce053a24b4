//! Talking to a model outside of any run.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AnswerSourceDto, CallUsageDto, CostDto, ResponseFormatDto, RoleDto};

/// A conversation to go on with. Either `message` or `messages`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// One message of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The whole conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<ChatMessageDto>>,
    /// Name of one of the provider's models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name of a configured provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The session that the records count the call to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The conversation that the records count the call to; the session's if left out, or one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Names the program that asks, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// A name for the call in the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Upper bound of the answer, in tokens, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0.0 to 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// More than 0.0, at most 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Asks for a repeatable answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The form of the answer; free text if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormatDto>,
    /// Whether the answer to the same question may come from the host's cache; no if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<bool>,
    /// Answer as server-sent events. So does `Accept: text/event-stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatMessageDto {
    /// Who says it.
    pub role: RoleDto,
    /// What is said.
    pub content: String,
}

/// The model's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatResponseDto {
    /// The text.
    pub content: String,
    /// The model that answered, in the provider's words.
    pub model: String,
    /// The provider.
    pub provider: String,
    /// Why the answer ended: `stop`, `length`, `content_filter`, or the provider's word.
    pub finish_reason: String,
    /// What was used.
    pub usage: CallUsageDto,
    /// What it cost; null if the price is not known.
    pub cost: Option<CostDto>,
    /// Names the record of the call.
    pub call_id: String,
    /// The conversation that the records count the call to.
    pub conversation_id: String,
    /// Where the answer came from.
    pub source: AnswerSourceDto,
    /// Why somebody else was asked than the one of the question; null if nobody else was.
    pub fallback_reason: Option<String>,
    /// How long it took.
    pub timing: ChatTimingDto,
}

/// How long a call took, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatTimingDto {
    /// Waiting for a place within the limits of providers.
    pub queue_ms: u64,
    /// Until the first piece of the answer.
    pub first_token_ms: Option<u64>,
    /// Until the end, all tries and the waits between them included.
    pub total_ms: u64,
    /// Requests that it took; 0 if nobody was asked.
    pub tries: u32,
}

/// A try failed and another follows, as the data of a `retrying` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatRetryingDto {
    /// Number of the try that follows; the first is 1.
    pub try_number: u32,
    /// How long it is waited for, in milliseconds.
    pub wait_ms: u64,
    /// Why the try before failed.
    pub cause: String,
}

/// Somebody else is asked, as the data of a `falling_back` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatFallingBackDto {
    /// The provider that is asked.
    pub provider: String,
    /// The model that is asked.
    pub model: String,
    /// Why the one before was not available.
    pub cause: String,
}

/// A piece of an answer, as the data of a `text` or `reasoning` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatDeltaDto {
    /// The piece.
    pub text: String,
}
