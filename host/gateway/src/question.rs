//! One question to a provider, what is told while it is worked on, and what came of it.
use std::sync::Arc;
use std::time::Duration;

use domain::model::{Completion, ModelError, ModelRequest, Usage};

/// A provider and a model of it, both resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// Name of a configured provider.
    pub provider: String,
    /// Name of a model, in the provider's words.
    pub model: String,
}

/// Nobody of that name is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no provider `{asked}` is configured: there are {}", known.join(", "))]
pub struct UnknownProvider {
    /// The name that was asked for.
    pub asked: String,
    /// The names that there are.
    pub known: Vec<String>,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who is asked.
    pub route: Route,
    /// What is asked.
    pub request: Arc<ModelRequest>,
    /// Longest time for the whole call: all tries and the waits between them. The provider's own bound holds too.
    pub time_max: Duration,
    /// The same for each try, and for the same call after a restart, so that a provider that knows such keys does not
    /// do the work twice. A try in another form has the form appended, because providers tie a key to the body.
    pub idempotency_key: String,
}

/// What is told while a question is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// A piece of the answer.
    Text(String),
    /// A piece of the model's reasoning, which is not part of the answer.
    Reasoning(String),
    /// A try failed; another follows. Never after a piece of text or reasoning.
    Retrying {
        /// Number of the try that follows; the first try of a call is 1.
        try_number: u32,
        /// How long it is waited for.
        wait_ms: u64,
        /// Why the try before failed.
        cause: String,
    },
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The whole answer, or why there is none.
    pub outcome: Result<Completion, ModelError>,
    /// How long it took.
    pub timing: Timing,
    /// For an answer that broke off or ran out of time after it had begun: what it used up to there, as far as that is
    /// known. Providers charge for it.
    pub broken_off: Option<BrokenOff>,
}

/// An answer that never came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenOff {
    /// What had arrived.
    pub content: String,
    /// What it used.
    pub usage: Usage,
    /// What that costs; `None` if the price is unknown.
    pub cost_nano_usd: Option<u64>,
}

/// How long a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// From the question to the first piece of text or reasoning.
    pub first_token_ms: Option<u64>,
    /// From the question to the outcome.
    pub total_ms: u64,
    /// Requests that were sent, or attempted.
    pub tries: u32,
}

/// What may be known about a provider: no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderInfo {
    /// Its name.
    pub name: String,
    /// The word for how it is spoken to.
    pub kind: &'static str,
    /// Where it answers; `None` for the built-in writer.
    pub base_url: Option<String>,
    /// Model for questions that name none.
    pub model: String,
    /// What is known about its models.
    pub models: Vec<crate::config::Model>,
    /// Whether a key is configured.
    pub has_key: bool,
    /// False for the built-in writer, which is no model.
    pub live: bool,
}

/// A provider that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The model that answered, in the provider's words.
    pub model: String,
    /// From the chat's request to its whole answer.
    pub latency_ms: u64,
    /// What was found, for people.
    pub detail: String,
}
