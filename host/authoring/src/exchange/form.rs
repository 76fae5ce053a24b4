//! A question and its answer as they are written down. Names of fields are those of the control API.
use std::path::Path;

use domain::Digest;
use domain::model::{
    Completion, FinishReason, Message, ModelError, ModelErrorKind, ModelOptions, ModelRequest,
    ResponseFormat, Role, Usage, UsageSource,
};
use profile::{Place, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Answer, Exchange};
use crate::Error;

/// Understands the JSON of the file at `path`.
pub(crate) fn parse_json<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        let path = path.display().to_string();
        let message = error.to_string();
        let message = message.rfind(" at line ").map_or(message.as_str(), |end| &message[..end]);
        let clamped = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let place = match error.line() {
            0 => Place::FileOnly { path },
            line => {
                Place::File { path, line: clamped(line), column: clamped(error.column().max(1)) }
            }
        };
        Error::Problems(Problem { place, message: message.to_owned(), hint: None }.into())
    })
}

/// A question with what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeForm {
    request: RequestForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_digest: Option<String>,
    answer: AnswerForm,
}

impl From<Exchange> for ExchangeForm {
    fn from(exchange: Exchange) -> Self {
        Self {
            request: RequestForm::from(&exchange.request),
            request_digest: exchange.request_digest.map(|digest| digest.to_string()),
            answer: AnswerForm::from(exchange.answer),
        }
    }
}

impl TryFrom<ExchangeForm> for Exchange {
    type Error = String;

    fn try_from(form: ExchangeForm) -> Result<Self, String> {
        let parse = |text: String| {
            text.parse::<Digest>().map_err(|problem| format!("`request_digest`: {problem}"))
        };
        Ok(Self {
            request: form.request.into(),
            request_digest: form.request_digest.map(parse).transpose()?,
            answer: form.answer.try_into()?,
        })
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleForm {
    System,
    User,
    Assistant,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageForm {
    role: RoleForm,
    content: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum FormatForm {
    #[default]
    Text,
    Json,
    /// The schema stands as its text, because a stage may depend on each of its bytes.
    JsonSchema {
        name: String,
        schema: String,
    },
}

impl FormatForm {
    fn is_text(&self) -> bool {
        *self == FormatForm::Text
    }
}

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    messages: Vec<MessageForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(default, skip_serializing_if = "FormatForm::is_text")]
    response_format: FormatForm,
}

impl From<&ModelRequest> for RequestForm {
    fn from(request: &ModelRequest) -> Self {
        let message = |message: &Message| MessageForm {
            role: match message.role {
                Role::System => RoleForm::System,
                Role::User => RoleForm::User,
                Role::Assistant => RoleForm::Assistant,
            },
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
                ResponseFormat::Text => FormatForm::Text,
                ResponseFormat::Json => FormatForm::Json,
                ResponseFormat::JsonSchema { name, schema } => {
                    FormatForm::JsonSchema { name: name.clone(), schema: schema.clone() }
                }
            },
        }
    }
}

impl From<RequestForm> for ModelRequest {
    fn from(form: RequestForm) -> Self {
        let message = |message: MessageForm| Message {
            role: match message.role {
                RoleForm::System => Role::System,
                RoleForm::User => Role::User,
                RoleForm::Assistant => Role::Assistant,
            },
            content: message.content,
        };
        Self {
            messages: form.messages.into_iter().map(message).collect(),
            options: ModelOptions {
                max_tokens: form.max_tokens,
                temperature: form.temperature,
                top_p: form.top_p,
                stop: form.stop,
                seed: form.seed,
                response_format: match form.response_format {
                    FormatForm::Text => ResponseFormat::Text,
                    FormatForm::Json => ResponseFormat::Json,
                    FormatForm::JsonSchema { name, schema } => {
                        ResponseFormat::JsonSchema { name, schema }
                    }
                },
            },
            label: form.label,
        }
    }
}

/// What came of a question: `content` and what belongs to it, or `error`, or neither, if it was open at the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<ReasonForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_nano_usd: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<String>,
}

/// Why an answer ended: a word, or a provider's own words, which a person has to mark as such.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a `finish_reason` is a word, or `{ \"other\": \"...\" }` for a provider's own words"
)]
enum ReasonForm {
    Word(String),
    Other { other: String },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
    #[serde(default)]
    estimated: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorForm {
    kind: String,
    #[serde(default)]
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl From<Answer> for AnswerForm {
    fn from(answer: Answer) -> Self {
        let said = |partial: String| (!partial.is_empty()).then_some(partial);
        match answer {
            Answer::Complete(completion) => Self {
                content: Some(completion.content),
                finish_reason: Some(ReasonForm::from(completion.finish_reason)),
                model: Some(completion.model),
                usage: Some(UsageForm::from(completion.usage)),
                cost_nano_usd: completion.cost_nano_usd,
                ..Self::default()
            },
            Answer::Failed { error, partial } => Self {
                error: Some(ErrorForm::from(error)),
                partial: said(partial),
                ..Self::default()
            },
            Answer::Open { partial } => Self { partial: said(partial), ..Self::default() },
        }
    }
}

impl TryFrom<AnswerForm> for Answer {
    type Error = String;

    fn try_from(form: AnswerForm) -> Result<Self, String> {
        if let Some(idle) = form.idle_member() {
            return Err(format!("`{idle}` belongs to an answer with `content`, and there is none"));
        }
        let partial = form.partial;
        match (form.content, form.error) {
            (Some(_), Some(_)) => Err(
                "it has both `content`, which is an answer, and `error`, which says that there is none: keep one of the two"
                    .to_owned(),
            ),
            (None, Some(error)) => {
                let error = error.try_into()?;
                Ok(Answer::Failed { error, partial: partial.unwrap_or_default() })
            }
            (None, None) => Ok(Answer::Open { partial: partial.unwrap_or_default() }),
            (Some(_), None) if partial.is_some() => {
                Err("`partial` is what came before an error: `content` is the whole".to_owned())
            }
            (Some(content), None) => {
                let Answer::Complete(usual) = Answer::of_text(content) else {
                    unreachable!("a text is a complete answer")
                };
                let reason = form.finish_reason.map(FinishReason::try_from).transpose()?;
                Ok(Answer::Complete(Completion {
                    finish_reason: reason.unwrap_or(usual.finish_reason),
                    model: form.model.unwrap_or(usual.model),
                    usage: form.usage.map_or(usual.usage, Usage::from),
                    cost_nano_usd: form.cost_nano_usd,
                    content: usual.content,
                }))
            }
        }
    }
}

impl AnswerForm {
    /// Whether it is one, or that there is none. In a recording a question may be open; whoever writes an answer has one.
    pub(super) fn answers(&self) -> bool {
        self.content.is_some() || self.error.is_some()
    }

    /// A member of an answer that has no content, which nobody would see.
    fn idle_member(&self) -> Option<&'static str> {
        let members = [
            ("finish_reason", self.finish_reason.is_some()),
            ("model", self.model.is_some()),
            ("usage", self.usage.is_some()),
            ("cost_nano_usd", self.cost_nano_usd.is_some()),
        ];
        let idle = members.into_iter().find(|(_, is_said)| *is_said && self.content.is_none());
        idle.map(|(name, _)| name)
    }
}

impl From<FinishReason> for ReasonForm {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Other(other) if other != FinishReason::STOPPED_BY_STAGE => {
                ReasonForm::Other { other }
            }
            known => ReasonForm::Word(known.as_str().to_owned()),
        }
    }
}

impl TryFrom<ReasonForm> for FinishReason {
    type Error = String;

    /// Any other word is most likely a slip, which nobody would see: no stage fails for it.
    fn try_from(form: ReasonForm) -> Result<Self, String> {
        let word = match form {
            ReasonForm::Other { other } => return Ok(FinishReason::Other(other)),
            ReasonForm::Word(word) => word,
        };
        // The contract and the records write one of them differently; both are understood.
        match FinishReason::from_word(&word.replace('-', "_")) {
            FinishReason::Other(known) if known != FinishReason::STOPPED_BY_STAGE => Err(format!(
                "no `finish_reason` `{word}`: there are `stop`, `length`, `content_filter`, `{}`, and `{{ \"other\": \"...\" }}` for a provider's own words",
                FinishReason::STOPPED_BY_STAGE
            )),
            known => Ok(known),
        }
    }
}

impl From<Usage> for UsageForm {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            estimated: usage.source == UsageSource::Estimated,
        }
    }
}

impl From<UsageForm> for Usage {
    fn from(form: UsageForm) -> Self {
        Self {
            input_tokens: form.input_tokens,
            output_tokens: form.output_tokens,
            cached_tokens: form.cached_tokens,
            cache_write_tokens: form.cache_write_tokens,
            reasoning_tokens: form.reasoning_tokens,
            source: if form.estimated { UsageSource::Estimated } else { UsageSource::Provider },
        }
    }
}

impl From<ModelError> for ErrorForm {
    fn from(error: ModelError) -> Self {
        let retry_after_ms = match error.kind {
            ModelErrorKind::RateLimited { retry_after_ms } => retry_after_ms,
            _ => None,
        };
        Self { kind: error_word(error.kind), message: error.message, retry_after_ms }
    }
}

impl TryFrom<ErrorForm> for ModelError {
    type Error = String;

    fn try_from(form: ErrorForm) -> Result<Self, String> {
        let word = form.kind.replace('_', "-");
        let kind = ModelErrorKind::ALL
            .into_iter()
            .find(|kind| error_word(*kind) == word || kind.code() == form.kind);
        let kind = match kind {
            Some(ModelErrorKind::RateLimited { .. }) => {
                ModelErrorKind::RateLimited { retry_after_ms: form.retry_after_ms }
            }
            Some(_) if form.retry_after_ms.is_some() => {
                return Err(
                    "`retry_after_ms` belongs to errors of the kind `rate-limited`".to_owned()
                );
            }
            Some(other) => other,
            None => {
                let known: Vec<String> = ModelErrorKind::ALL.into_iter().map(error_word).collect();
                return Err(format!(
                    "no error of the kind `{}`: there are `{}`",
                    form.kind,
                    known.join("`, `")
                ));
            }
        };
        Ok(Self { kind, message: form.message })
    }
}

/// The word of the contract for a kind, e.g. `rate-limited`.
fn error_word(kind: ModelErrorKind) -> String {
    let code = kind.code();
    match kind {
        // Without its first word it would say that something is missing.
        ModelErrorKind::ModelNotFound => code.replace('_', "-"),
        _ => code.strip_prefix("model_").unwrap_or(code).replace('_', "-"),
    }
}
