//! The body of a request.
use std::borrow::Cow;

use domain::model::{ModelRequest, ResponseFormat, Role};
use serde::Serialize;
use serde_json::value::RawValue;

use super::ANSWER_TOKENS_MAX;
use super::schema::closed;
use crate::server::dialect::{BadSchema, Dialect, FormatSupport};

/// The highest temperature that the protocol knows.
const TEMPERATURE_MAX: f32 = 1.0;
/// What stands between messages of one role that follow each other.
const BETWEEN: &str = "\n\n";
/// Said by the user where a conversation begins with the assistant, because the protocol wants the user to begin.
const OPENING: &str = "The conversation begins with what you said:";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Cow<'a, str>,
}

#[derive(Serialize)]
struct OutputConfig {
    format: WireFormat,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat {
    JsonSchema { schema: Box<RawValue> },
}

/// The body of a request.
pub(crate) fn body(
    request: &ModelRequest,
    model: &str,
    dialect: Dialect,
) -> Result<Vec<u8>, BadSchema> {
    let options = &request.options;
    let asked_max = options.max_tokens.unwrap_or(ANSWER_TOKENS_MAX);
    let instructions = format_instructions(request, dialect);
    let (system, messages) = conversation(request, instructions.as_deref());
    let body = Body {
        model,
        max_tokens: dialect.tokens_max.map_or(asked_max, |tokens_max| tokens_max.min(asked_max)),
        stream: true,
        system,
        messages,
        temperature: options
            .temperature
            .filter(|_| dialect.temperature)
            .map(|temperature| temperature.min(TEMPERATURE_MAX)),
        top_p: options.top_p.filter(|_| dialect.top_p),
        stop_sequences: &options.stop,
        output_config: output_config(&options.response_format, dialect.format)?,
    };
    Ok(serde_json::to_vec(&body).expect("a body of texts and numbers is JSON"))
}

/// The standing instructions, which are a field of their own here, and the messages: none empty, the user first, and
/// the roles in turn.
fn conversation<'a>(
    request: &'a ModelRequest,
    instructions: Option<&str>,
) -> (Option<String>, Vec<WireMessage<'a>>) {
    let said = request.messages.iter().filter(|message| !message.content.trim().is_empty());
    let (standing, spoken): (Vec<_>, Vec<_>) =
        said.partition(|message| message.role == Role::System);
    let standing = standing.iter().map(|message| message.content.as_str());
    let system: Vec<&str> = standing.chain(instructions).collect();
    let system = (!system.is_empty()).then(|| system.join(BETWEEN));
    let mut messages: Vec<WireMessage<'_>> = Vec::with_capacity(spoken.len());
    for message in spoken {
        let role = message.role.as_str();
        match messages.last_mut().filter(|last| last.role == role) {
            Some(last) => {
                let content = last.content.to_mut();
                content.push_str(BETWEEN);
                content.push_str(&message.content);
            }
            None => messages.push(WireMessage { role, content: Cow::from(&message.content) }),
        }
    }
    let user = Role::User.as_str();
    match messages.first() {
        // Instructions alone are a question, too.
        None => {
            let content = Cow::from(system.unwrap_or_else(|| OPENING.to_owned()));
            return (None, vec![WireMessage { role: user, content }]);
        }
        Some(first) if first.role != user => {
            messages.insert(0, WireMessage { role: user, content: Cow::from(OPENING) });
        }
        Some(_) => {}
    }
    if let Some(last) = messages.last_mut().filter(|last| last.role != user) {
        // An answer that is to be continued must not end with a blank.
        last.content = Cow::from(last.content.trim_end().to_owned());
    }
    (system, messages)
}

fn output_config(
    format: &ResponseFormat,
    support: FormatSupport,
) -> Result<Option<OutputConfig>, BadSchema> {
    let ResponseFormat::JsonSchema { name, schema } = format else {
        return Ok(None);
    };
    let schema = closed(schema)
        .map_err(|error| BadSchema { name: name.clone(), detail: error.to_string() })?;
    if support != FormatSupport::Schema {
        return Ok(None);
    }
    Ok(Some(OutputConfig { format: WireFormat::JsonSchema { schema } }))
}

/// What has to be said in words because the server does not take it as a setting.
fn format_instructions(request: &ModelRequest, dialect: Dialect) -> Option<String> {
    match &request.options.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::Json => Some("Answer with one JSON object and nothing else.".to_owned()),
        ResponseFormat::JsonSchema { .. } if dialect.format == FormatSupport::Schema => None,
        ResponseFormat::JsonSchema { schema, .. } => Some(format!(
            "Answer with one JSON object and nothing else. It follows this JSON Schema:\n{schema}"
        )),
    }
}
