//! A question to a model and its answer as they are stored.
use domain::model::{
    Completion, FinishReason, Message, ModelOptions, ModelRequest, ResponseFormat, Role, Usage,
    UsageSource,
};
use serde::{Deserialize, Serialize};

use super::Unreadable;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RequestRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    messages: Vec<MessageRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(default)]
    response_format: FormatRecord,
}

#[derive(Debug, Serialize, Deserialize)]
struct MessageRecord {
    role: String,
    content: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormatRecord {
    #[default]
    Text,
    Json,
    JsonSchema {
        name: String,
        schema: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompletionRecord {
    content: String,
    finish_reason: String,
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
    usage_source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_nano_usd: Option<u64>,
}

impl From<&ModelRequest> for RequestRecord {
    fn from(request: &ModelRequest) -> Self {
        let message = |message: &Message| MessageRecord {
            role: message.role.as_str().to_owned(),
            content: message.content.clone(),
        };
        let options = &request.options;
        Self {
            label: request.label.clone(),
            messages: request.messages.iter().map(message).collect(),
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            stop: options.stop.clone(),
            seed: options.seed,
            response_format: match &options.response_format {
                ResponseFormat::Text => FormatRecord::Text,
                ResponseFormat::Json => FormatRecord::Json,
                ResponseFormat::JsonSchema { name, schema } => {
                    FormatRecord::JsonSchema { name: name.clone(), schema: schema.clone() }
                }
            },
        }
    }
}

impl TryFrom<RequestRecord> for ModelRequest {
    type Error = Unreadable;

    fn try_from(record: RequestRecord) -> Result<Self, Unreadable> {
        let message = |message: MessageRecord| {
            Ok(Message { role: role_of(&message.role)?, content: message.content })
        };
        Ok(Self {
            messages: record
                .messages
                .into_iter()
                .map(message)
                .collect::<Result<_, Unreadable>>()?,
            options: ModelOptions {
                max_tokens: record.max_tokens,
                temperature: record.temperature,
                top_p: record.top_p,
                stop: record.stop,
                seed: record.seed,
                response_format: match record.response_format {
                    FormatRecord::Text => ResponseFormat::Text,
                    FormatRecord::Json => ResponseFormat::Json,
                    FormatRecord::JsonSchema { name, schema } => {
                        ResponseFormat::JsonSchema { name, schema }
                    }
                },
            },
            label: record.label,
        })
    }
}

fn role_of(word: &str) -> Result<Role, Unreadable> {
    [Role::System, Role::User, Role::Assistant]
        .into_iter()
        .find(|role| role.as_str() == word)
        .ok_or_else(|| Unreadable(format!("unknown role `{word}`")))
}

impl From<&Completion> for CompletionRecord {
    fn from(completion: &Completion) -> Self {
        let usage = &completion.usage;
        Self {
            content: completion.content.clone(),
            finish_reason: completion.finish_reason.as_str().to_owned(),
            model: completion.model.clone(),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            usage_source: usage_source_word(usage.source).to_owned(),
            cost_nano_usd: completion.cost_nano_usd,
        }
    }
}

impl TryFrom<CompletionRecord> for Completion {
    type Error = Unreadable;

    fn try_from(record: CompletionRecord) -> Result<Self, Unreadable> {
        let source = usage_source_of(&record.usage_source)
            .ok_or_else(|| Unreadable(format!("unknown source `{}`", record.usage_source)))?;
        Ok(Self {
            content: record.content,
            finish_reason: FinishReason::from_word(&record.finish_reason),
            model: record.model,
            usage: Usage {
                input_tokens: record.input_tokens,
                output_tokens: record.output_tokens,
                cached_tokens: record.cached_tokens,
                cache_write_tokens: record.cache_write_tokens,
                reasoning_tokens: record.reasoning_tokens,
                source,
            },
            cost_nano_usd: record.cost_nano_usd,
        })
    }
}

/// The word for who counted the tokens.
pub(crate) fn usage_source_word(source: UsageSource) -> &'static str {
    match source {
        UsageSource::Provider => "provider",
        UsageSource::Estimated => "estimated",
    }
}

/// Who counted the tokens, by the word for it.
pub(crate) fn usage_source_of(word: &str) -> Option<UsageSource> {
    [UsageSource::Provider, UsageSource::Estimated]
        .into_iter()
        .find(|source| usage_source_word(*source) == word)
}
