//! Talking to a model outside of any run.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CallUsageDto, CostDto, RoleDto};

/// A conversation to go on with. Either `message` or `messages`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
}

/// A piece of an answer, as the data of a `text` or `reasoning` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatDeltaDto {
    /// The piece.
    pub text: String,
}
