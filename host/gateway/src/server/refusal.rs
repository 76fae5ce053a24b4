//! What a server says when it does not answer, and what that means.
use std::time::Duration;

use domain::model::ModelErrorKind;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;

use super::attempt::{Again, TryFailed};
use super::{Protocol, Server, wait};

/// How servers say that they do not know a part of a request. `is allowed for this model` is how Kimi and
/// OpenAI's reasoning models refuse every value but their own (`invalid temperature: only 1 is allowed for this model`),
/// and the last two are Anthropic's.
const UNSUPPORTED_PHRASES: &[&str] = &[
    "unsupported",
    "not support",
    "doesn't support",
    "unknown",
    "unrecognized",
    "unexpected keyword",
    "not permitted",
    "is allowed for this model",
    "extra inputs",
    "deprecated for this model",
];
const UNSUPPORTED_CODES: &[&str] =
    &["unsupported_parameter", "unsupported_value", "unknown_parameter"];

/// How providers say in plain words that there is no money left. It decides even where a wait is named: Anthropic sends
/// some of these as rate limits. The first is Anthropic's for prepaid accounts, the next four are about its spend limits,
/// then Kimi's plan and DeepSeek.
const SPENT_PHRASES: &[&str] = &[
    "credit balance is too low",
    "specified api usage limits",
    "spend limit",
    "spending limit",
    "extra usage is required",
    "usage limit for this billing cycle",
    "insufficient balance",
];

/// What a server said about a refusal, in whatever form.
#[derive(Debug, Default)]
pub(crate) struct ProviderWords {
    message: String,
    /// `type` and `code`, which say the same in different places.
    codes: Vec<String>,
    /// The part of the request that it is about.
    param: String,
}

impl ProviderWords {
    /// Reads a body: OpenAI's `{"error": {...}}`, the same in a list, `{"error": "text"}`, `{"message": ...}`,
    /// `{"detail": ...}`, or plain text.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of_value(&value),
            Err(_) => {
                Self { message: String::from_utf8_lossy(body).trim().to_owned(), ..Self::default() }
            }
        }
    }

    /// Reads a JSON value: a whole body, or the object under `error`.
    pub(crate) fn of_value(value: &Value) -> Self {
        let value = value.get(0).unwrap_or(value);
        let value = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = |name: &str| value.get(name).and_then(text_of);
        let message = text("message").or_else(|| text("detail")).or_else(|| text_of(value));
        Self {
            message: message.unwrap_or_else(|| value.to_string()),
            codes: ["type", "code", "status"].into_iter().filter_map(text).collect(),
            param: text("param").unwrap_or_default(),
        }
    }

    /// Whether the refusal mentions this part of the request.
    pub(crate) fn names(&self, part: &str) -> bool {
        self.param == part || self.message.contains(part)
    }

    /// Whether this part of the request, which the refusal is about, is one that the server or the model does not know
    /// at all, rather than one with a wrong value.
    pub(crate) fn calls_unsupported(&self, part: &str) -> bool {
        // `response_format.type` is a part of `response_format`.
        let about_another =
            !self.param.is_empty() && self.param.split(['.', '[']).next() != Some(part);
        // A schema that the server calls invalid says nothing about other schemas.
        let is_content = self.says(&["invalid schema"]);
        if about_another || is_content || !self.names(part) && self.param.is_empty() {
            return false;
        }
        self.says(UNSUPPORTED_PHRASES) || self.has_code(UNSUPPORTED_CODES)
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn says(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    /// The message, in lower case.
    pub(crate) fn lowered(&self) -> String {
        self.message.to_ascii_lowercase()
    }

    fn is_quota(&self) -> bool {
        self.says(SPENT_PHRASES)
            || self.has_code(&[
                "insufficient_quota",
                "exceeded_current_quota_error",
                "billing_hard_limit_reached",
                "billing_not_active",
                "billing_error",
            ])
    }

    fn is_context(&self) -> bool {
        self.has_code(&["context_length_exceeded", "exceed_context_size_error"])
            || self.says(&[
                "maximum context length",
                "context window",
                "exceeds the available context",
                "exceeded model token limit",
                "prompt is too long",
                "exceed context limit",
            ])
    }

    fn is_unknown_model(&self) -> bool {
        self.has_code(&["model_not_found", "model_not_exist"])
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Understands a response that is no 2xx.
pub(super) fn understand(
    server: &Server,
    status: StatusCode,
    headers: &HeaderMap,
    words: &ProviderWords,
) -> TryFailed {
    let asked_wait = wait::asked(headers);
    let kind = kind_of(status, words, asked_wait);
    let again = match kind {
        ModelErrorKind::RateLimited { .. } | ModelErrorKind::Unavailable => {
            Again::After(asked_wait)
        }
        _ => Again::Never,
    };
    let mut what = format!("answered {}", status.as_u16());
    if let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
        what.push_str(", a redirect to `");
        what.push_str(&server.quoted(&String::from_utf8_lossy(location.as_bytes())));
        what.push('`');
    }
    what.push_str(&said(server, words));
    let error = server.error(kind, &what, &cure(server, kind, Some(status), words));
    TryFailed { error, again }
}

/// Understands an error object inside of a 2xx. Such an answer may have been paid for; only Anthropic says for certain
/// that it did nothing, and only before the first piece.
pub(super) fn refused_in_answer(server: &Server, error: &Value, is_heard: bool) -> TryFailed {
    let words = ProviderWords::of_value(error);
    let kind = kind_of_words(&words).unwrap_or_else(|| kind_of_codes(&words));
    let what = format!("broke off its answer with an error{}", said(server, &words));
    let error = server.error(kind, &what, &cure(server, kind, None, &words));
    let did_nothing = server.protocol == Protocol::Anthropic
        && !is_heard
        && words.has_code(&["overloaded_error", "rate_limit_error"])
        && kind != ModelErrorKind::QuotaExhausted;
    TryFailed { error, again: if did_nothing { Again::After(None) } else { Again::Never } }
}

fn said(server: &Server, words: &ProviderWords) -> String {
    if words.message.is_empty() {
        return String::new();
    }
    format!(": {}", server.quoted(&words.message))
}

fn kind_of(
    status: StatusCode,
    words: &ProviderWords,
    asked_wait: Option<Duration>,
) -> ModelErrorKind {
    let from_words = kind_of_words(words);
    match status.as_u16() {
        // Kimi refuses a plan that is used up as it refuses a client that it does not know.
        403 if from_words == Some(ModelErrorKind::QuotaExhausted) => ModelErrorKind::QuotaExhausted,
        401 | 403 => ModelErrorKind::Unauthorized,
        402 => ModelErrorKind::QuotaExhausted,
        404 => ModelErrorKind::ModelNotFound,
        413 => ModelErrorKind::ContextTooLong,
        429 => from_words.unwrap_or_else(|| ModelErrorKind::RateLimited {
            retry_after_ms: asked_wait
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }),
        408 | 409 | 425 | 500..=599 => ModelErrorKind::Unavailable,
        _ => from_words.unwrap_or(ModelErrorKind::Rejected),
    }
}

/// What the words alone make certain.
fn kind_of_words(words: &ProviderWords) -> Option<ModelErrorKind> {
    if words.is_quota() {
        Some(ModelErrorKind::QuotaExhausted)
    } else if words.is_context() {
        Some(ModelErrorKind::ContextTooLong)
    } else if words.is_unknown_model() {
        Some(ModelErrorKind::ModelNotFound)
    } else {
        None
    }
}

/// What an error in the middle of an answer is, where no status says it.
fn kind_of_codes(words: &ProviderWords) -> ModelErrorKind {
    if words.has_code(&[
        "rate_limit_exceeded",
        "rate_limit_error",
        "rate_limit_reached_error",
        "429",
    ]) {
        ModelErrorKind::RateLimited { retry_after_ms: None }
    } else if words.has_code(&[
        "invalid_api_key",
        "authentication_error",
        "permission_error",
        "401",
        "403",
    ]) {
        ModelErrorKind::Unauthorized
    } else if words.has_code(&["not_found_error"]) {
        ModelErrorKind::ModelNotFound
    } else if words.has_code(&["request_too_large"]) {
        ModelErrorKind::ContextTooLong
    } else if words.has_code(&["invalid_request_error", "content_filter", "400"]) {
        ModelErrorKind::Rejected
    } else {
        ModelErrorKind::Unavailable
    }
}

fn cure(
    server: &Server,
    kind: ModelErrorKind,
    status: Option<StatusCode>,
    words: &ProviderWords,
) -> String {
    let (key, base_url, model) =
        (server.setting("key"), server.setting("base_url"), server.setting("model"));
    match kind {
        ModelErrorKind::Unauthorized if words.has_code(&["access_terminated_error"]) => format!(
            "the plan of this key does not admit this program: use a key of the provider's general platform with \
             {base_url} set to it, or set the headers that your plan asks for in `providers.{}.headers`",
            server.name
        ),
        ModelErrorKind::Unauthorized if server.has_key() => {
            format!("check the key in {key}, and that it belongs to the platform at {base_url}")
        }
        ModelErrorKind::Unauthorized => format!("set a key in {key}"),
        ModelErrorKind::ModelNotFound => {
            format!("check the name of the model ({model}, or the profile's), and {base_url}")
        }
        ModelErrorKind::QuotaExhausted => {
            "add credit at the provider, or choose another provider".to_owned()
        }
        ModelErrorKind::ContextTooLong => {
            "shorten the request, or choose a model with a larger context".to_owned()
        }
        ModelErrorKind::RateLimited { .. } | ModelErrorKind::Unavailable => {
            "try again later".to_owned()
        }
        ModelErrorKind::Rejected if status.is_some_and(|status| status.is_redirection()) => {
            format!("redirects are not followed: set {base_url} to the final address")
        }
        _ => "change the request as the message says, or choose another model".to_owned(),
    }
}

#[cfg(test)]
mod tests;
