//! Bodies as they go over the wire: what is sent, and what may come back.
//!
//! Reading is lenient where servers differ: a field that is missing, null or of another type is a field that was not
//! sent.
use domain::model::{ModelRequest, ResponseFormat, Role, Usage, UsageSource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::server::dialect::{BadSchema, Dialect, FormatSupport, TokenBound};
use crate::server::lenient::{believed, lenient};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<WireFormat<'a>>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: WireSchema<'a> },
}

#[derive(Serialize)]
struct WireSchema<'a> {
    name: &'a str,
    schema: Box<RawValue>,
}

/// The body of a request.
pub(crate) fn body(
    request: &ModelRequest,
    model: &str,
    dialect: Dialect,
) -> Result<Vec<u8>, BadSchema> {
    let options = &request.options;
    let instructions = format_instructions(request, dialect);
    let body = Body {
        model,
        messages: messages(request, instructions.as_deref()),
        stream: true,
        stream_options: dialect.stream_options.then_some(StreamOptions { include_usage: true }),
        max_tokens: options.max_tokens.filter(|_| dialect.bound == TokenBound::MaxTokens),
        max_completion_tokens: options
            .max_tokens
            .filter(|_| dialect.bound == TokenBound::MaxCompletionTokens),
        temperature: options.temperature.filter(|_| dialect.temperature),
        top_p: options.top_p.filter(|_| dialect.top_p),
        stop: &options.stop,
        seed: options.seed,
        response_format: response_format(&options.response_format, dialect.format)?,
    };
    Ok(serde_json::to_vec(&body).expect("a body of texts and numbers is JSON"))
}

fn messages<'a>(request: &'a ModelRequest, instructions: Option<&'a str>) -> Vec<WireMessage<'a>> {
    let asked = request
        .messages
        .iter()
        .map(|message| WireMessage { role: message.role.as_str(), content: &message.content });
    let mut messages: Vec<WireMessage<'a>> = asked.collect();
    if let Some(content) = instructions {
        // After the last instruction that is there, so that a provider's cache still finds the beginning.
        let system = Role::System.as_str();
        let position = messages.iter().take_while(|message| message.role == system).count();
        messages.insert(position, WireMessage { role: system, content });
    }
    messages
}

fn response_format<'a>(
    format: &'a ResponseFormat,
    support: FormatSupport,
) -> Result<Option<WireFormat<'a>>, BadSchema> {
    Ok(match (format, support) {
        (ResponseFormat::Text, _) | (_, FormatSupport::Instructions) => None,
        (ResponseFormat::Json, _) | (ResponseFormat::JsonSchema { .. }, FormatSupport::Object) => {
            Some(WireFormat::JsonObject)
        }
        (ResponseFormat::JsonSchema { name, schema }, FormatSupport::Schema) => {
            let schema = RawValue::from_string(schema.clone())
                .map_err(|error| BadSchema { name: name.clone(), detail: error.to_string() })?;
            Some(WireFormat::JsonSchema { json_schema: WireSchema { name, schema } })
        }
    })
}

/// What has to be said in words because the server does not take it as a setting.
fn format_instructions(request: &ModelRequest, dialect: Dialect) -> Option<String> {
    match (&request.options.response_format, dialect.format) {
        (ResponseFormat::Text, _) | (ResponseFormat::JsonSchema { .. }, FormatSupport::Schema) => {
            None
        }
        (ResponseFormat::Json, support) => {
            // OpenAI refuses `json_object` unless a message speaks of JSON.
            let speaks_of_json = request.messages.iter().any(|message| {
                message.content.contains("JSON") || message.content.contains("json")
            });
            (support == FormatSupport::Instructions || !speaks_of_json)
                .then(|| "Answer with one JSON object and nothing else.".to_owned())
        }
        (ResponseFormat::JsonSchema { schema, .. }, _) => Some(format!(
            "Answer with one JSON object and nothing else. It follows this JSON Schema:\n{schema}"
        )),
    }
}

/// A chunk of a stream, or a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk {
    #[serde(deserialize_with = "lenient")]
    pub(super) model: Option<String>,
    pub(super) choices: Option<Vec<Choice>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<WireUsage>,
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    #[serde(deserialize_with = "lenient")]
    pub(super) index: Option<u64>,
    /// Set in a chunk of a stream.
    #[serde(deserialize_with = "lenient")]
    pub(super) delta: Option<Piece>,
    /// Set in a whole answer.
    #[serde(deserialize_with = "lenient")]
    pub(super) message: Option<Piece>,
    #[serde(deserialize_with = "lenient")]
    pub(super) finish_reason: Option<String>,
    /// Moonshot puts the usage of a stream here.
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<WireUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece {
    #[serde(deserialize_with = "lenient")]
    pub(super) content: Option<Content>,
    /// Reasoning as Kimi, DeepSeek and llama.cpp send it.
    #[serde(deserialize_with = "lenient")]
    pub(super) reasoning_content: Option<String>,
    /// Reasoning as vLLM, Ollama and OpenRouter send it.
    #[serde(deserialize_with = "lenient")]
    pub(super) reasoning: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) refusal: Option<String>,
}

/// The text of a piece.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    #[serde(deserialize_with = "lenient")]
    text: Option<String>,
}

impl Content {
    pub(super) fn into_text(self) -> String {
        match self {
            Content::Text(text) => text,
            Content::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

/// Counts as servers send them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireUsage {
    #[serde(deserialize_with = "lenient")]
    prompt_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    completion_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(deserialize_with = "lenient")]
    completion_tokens_details: Option<CompletionDetails>,
    /// Kimi.
    #[serde(deserialize_with = "lenient")]
    cached_tokens: Option<u64>,
    /// DeepSeek.
    #[serde(deserialize_with = "lenient")]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "lenient")]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "lenient")]
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    pub(super) fn into_usage(self) -> Usage {
        // The same count may stand in several places; it is one count.
        let detailed = self.prompt_tokens_details.and_then(|details| details.cached_tokens);
        let reasoning = self.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        Usage {
            cache_write_tokens: None,
            input_tokens: believed(self.prompt_tokens),
            output_tokens: believed(self.completion_tokens),
            cached_tokens: believed(detailed)
                .or(believed(self.cached_tokens))
                .or(believed(self.prompt_cache_hit_tokens)),
            reasoning_tokens: believed(reasoning),
            source: UsageSource::Provider,
        }
    }
}
