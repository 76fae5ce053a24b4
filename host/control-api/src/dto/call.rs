//! Calls of language models: what was asked, what was answered, what was used.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{CostDto, TokenSumDto};

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallStatusDto {
    /// No answer yet.
    Open,
    /// There is an answer.
    Answered,
    /// There will be none.
    Failed,
    /// Nobody waits for an answer any more.
    Canceled,
}

/// Tokens of one call. Null means that it is not known; 0 means 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallUsageDto {
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: Option<u64>,
    /// The part of the input that was read from the provider's cache.
    pub cached_tokens: Option<u64>,
    /// The part of the input that was written into the provider's cache.
    #[serde(default)]
    pub cache_write_tokens: Option<u64>,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Whether the host counted, because the provider did not.
    pub estimated: bool,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerSourceDto {
    /// The provider.
    Provider,
    /// The host's cache. Nothing was used, and nothing is to be paid.
    Cache,
    /// Another call that asked the same at the same time. Nothing was used, and nothing is to be paid.
    SharedCall,
}

impl AnswerSourceDto {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerSourceDto::Provider => "provider",
            AnswerSourceDto::Cache => "cache",
            AnswerSourceDto::SharedCall => "shared_call",
        }
    }
}

/// How much of the texts of a call is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextsDto {
    /// All of them.
    Whole,
    /// Each only up to a length.
    Trimmed,
    /// None of them.
    Off,
}

/// The record of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallDto {
    /// Names the call.
    pub call_id: String,
    /// The run; null for a chat.
    pub run_id: Option<String>,
    /// The stage; null for a chat.
    pub stage: Option<String>,
    /// The attempt at the stage; null for a chat.
    pub attempt: Option<u32>,
    /// 1 for the first question of the attempt; null for a chat.
    pub ordinal: Option<u32>,
    /// The session of a chat.
    pub session_id: Option<String>,
    /// The program that asked, in its own words.
    pub client_id: Option<String>,
    /// The conversation that the call belongs to.
    pub conversation_id: String,
    /// 1 for the first call of its conversation.
    pub conversation_ordinal: u32,
    /// Where the call is.
    pub status: CallStatusDto,
    /// The provider that answered, or was asked last.
    pub provider: String,
    /// The model that answered, in the provider's words; the one that was asked if none did.
    pub model: String,
    /// The model that was asked, for the last time. Lists are filtered and usage is summed up by it.
    pub asked_model: String,
    /// Where the answer came from.
    pub source: AnswerSourceDto,
    /// Why somebody else was asked than the one of the question; null if nobody else was.
    pub fallback_reason: Option<String>,
    /// The name that the stage gave the call.
    pub label: Option<String>,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// Stable code of what went wrong.
    pub error_code: Option<String>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// What was used.
    pub usage: CallUsageDto,
    /// What it cost; null if the price is not known.
    pub cost: Option<CostDto>,
    /// Time that it waited for a place within the limits of providers, in milliseconds.
    pub queue_ms: Option<u64>,
    /// Time until the first token, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// Time until the end, in milliseconds.
    pub total_ms: Option<u64>,
    /// Requests that it took.
    pub tries: Option<u32>,
    /// When it began, for the last time (RFC 3339).
    pub started_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// What it had used when it was asked before; null if it was asked once. Usage and cost above are those of the last
    /// time alone: both together are what is to be paid, and what the sums of runs and days count.
    #[serde(default)]
    pub used_before: Option<UsedBeforeDto>,
}

/// What a call had used before it was asked again, because the host stopped while the model answered. What it used when
/// the host died is not known and counts 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsedBeforeDto {
    /// How often it was asked before.
    pub times: u64,
    /// Tokens.
    pub usage: TokenSumDto,
    /// What it cost; null if the price of any of it is not known.
    pub cost: Option<CostDto>,
    /// How long that took, in milliseconds.
    pub model_wait_ms: u64,
}

/// The record of a call with its texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallDetailDto {
    /// What a list shows of it.
    #[serde(flatten)]
    pub call: CallDto,
    /// What was asked; null if the records keep no texts.
    pub request: Option<ModelRequestDto>,
    /// What was answered, or the part of it that had come when the call broke off.
    pub answer: Option<ModelAnswerDto>,
    /// Whether the records keep these texts whole.
    pub texts: TextsDto,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelAnswerDto {
    /// The text.
    pub content: String,
    /// Why it ended.
    pub finish_reason: String,
    /// The model that answered, in the provider's words.
    pub model: String,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleDto {
    /// Standing instructions.
    System,
    /// What is asked.
    User,
    /// What the model answered earlier.
    Assistant,
}

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelMessageDto {
    /// Who says it.
    pub role: RoleDto,
    /// What is said.
    pub content: String,
}

/// The form that an answer has to take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormatDto {
    /// Free text.
    Text,
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    JsonSchema {
        /// Short name of the schema.
        name: String,
        /// The schema.
        schema: Value,
    },
}

/// A question to a model. Null options are left to the provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelRequestDto {
    /// The messages.
    pub messages: Vec<ModelMessageDto>,
    /// Upper bound of the answer, in tokens.
    pub max_tokens: Option<u32>,
    /// 0.0 to 2.0.
    pub temperature: Option<f32>,
    /// More than 0.0, at most 1.0.
    pub top_p: Option<f32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Asks for a repeatable answer.
    pub seed: Option<u64>,
    /// The form of the answer.
    pub response_format: ResponseFormatDto,
    /// A name for the call in the records.
    pub label: Option<String>,
}

/// What a stage would ask now; of one that is done, what it asked when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromptDto {
    /// The run.
    pub run_id: String,
    /// The stage.
    pub stage: String,
    /// Who would be asked.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// Tokens of the prompt, estimated.
    pub input_tokens: u64,
    /// Upper bound of the answer, in tokens; null if the provider decides.
    pub max_output_tokens: Option<u32>,
    /// About what it would cost; null if the price is not known.
    pub estimated_cost: Option<CostDto>,
    /// The question.
    pub request: ModelRequestDto,
}
