//! Chats: what is asked, and the answer.
use domain::model::{Message, ModelOptions, ResponseFormat, Role};
use domain::plan::Caching;
use engine::{ChatAnswer, ChatAsk};

use super::cost;
use crate::dto::{
    AnswerSourceDto, CallUsageDto, ChatMessageDto, ChatRequest, ChatResponseDto, ChatTimingDto,
    ResponseFormatDto, RoleDto,
};

/// A request with these messages. The engine judges it.
pub(crate) fn chat_ask(messages: Vec<Message>, request: ChatRequest) -> ChatAsk {
    let format = request.response_format.map(ResponseFormat::from);
    ChatAsk {
        messages,
        provider: request.provider,
        model: request.model,
        session_id: request.session_id,
        client_id: request.client_id,
        conversation_id: request.conversation_id,
        label: request.label,
        options: ModelOptions {
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            stop: request.stop,
            seed: request.seed,
            response_format: format.unwrap_or(ResponseFormat::Text),
        },
        caching: match request.cache {
            Some(true) => Caching::On,
            Some(false) | None => Caching::Off,
        },
    }
}

impl From<ChatMessageDto> for Message {
    fn from(message: ChatMessageDto) -> Self {
        let role = match message.role {
            RoleDto::System => Role::System,
            RoleDto::User => Role::User,
            RoleDto::Assistant => Role::Assistant,
        };
        Self { role, content: message.content }
    }
}

impl From<ResponseFormatDto> for ResponseFormat {
    fn from(format: ResponseFormatDto) -> Self {
        match format {
            ResponseFormatDto::Text => ResponseFormat::Text,
            ResponseFormatDto::Json => ResponseFormat::Json,
            ResponseFormatDto::JsonSchema { name, schema } => {
                ResponseFormat::JsonSchema { name, schema: schema.to_string() }
            }
        }
    }
}

impl From<ChatAnswer> for ChatResponseDto {
    fn from(answer: ChatAnswer) -> Self {
        let completion = answer.completion;
        Self {
            content: completion.content,
            model: completion.model,
            provider: answer.provider,
            finish_reason: completion.finish_reason.as_str().to_owned(),
            usage: CallUsageDto::from(&completion.usage),
            cost: completion.cost_nano_usd.map(cost),
            call_id: answer.call_id.to_string(),
            conversation_id: answer.conversation_id,
            source: AnswerSourceDto::from(answer.source),
            fallback_reason: answer.fallback_reason,
            timing: ChatTimingDto {
                queue_ms: answer.timing.queue_ms,
                first_token_ms: answer.timing.first_token_ms,
                total_ms: answer.timing.total_ms,
                tries: answer.timing.tries,
            },
        }
    }
}
