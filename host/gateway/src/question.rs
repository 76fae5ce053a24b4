//! One question to a provider, what is told while it is worked on, and what came of it.
use std::sync::Arc;
use std::time::Duration;

use domain::port::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use domain::model::AnswerSource;
use domain::model::{Completion, ModelError, ModelRequest, Usage};
use domain::plan::Caching;

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
    /// Who is asked instead, in this order, when the one before is not available. Only before an answer has begun.
    pub alternatives: Vec<Route>,
    /// What is asked.
    pub request: Arc<ModelRequest>,
    /// Longest time for the whole call: all tries and the waits between them. The provider's own bound holds too.
    pub time_max: Duration,
    /// The same for each try, and for the same call after a restart, so that a provider that knows such keys does not
    /// do the work twice. A try in another form has the form appended, because providers tie a key to the body.
    pub idempotency_key: String,
    /// Whether an answer may come from the cache.
    pub caching: Caching,
    /// Fires when nobody wants the answer any more: the connection is closed at once, and what was used up to there is
    /// in [`Answered::broken_off`].
    pub stop: CancellationToken,
}

/// Hears an answer while it is written.
pub trait Listener: Send + Sync {
    /// Hears what has just happened. Must not block.
    fn hear(&self, delta: Delta);

    /// Waited for before more is read from the provider: a slow listener slows the provider down. The wait counts for
    /// the deadline of the call, and not as the provider's silence.
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A closure hears, and slows nobody down.
impl<F: Fn(Delta) + Send + Sync> Listener for F {
    fn hear(&self, delta: Delta) {
        self(delta);
    }
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
    /// Somebody else is asked. Never after a piece of text or reasoning.
    FallingBack {
        /// Who is asked now.
        to: Route,
        /// Why the one before was not available.
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
    /// For an answer that broke off, ran out of time or was stopped after a provider had begun to work on it: what it used
    /// up to there, told or estimated. Providers charge for it.
    pub broken_off: Option<BrokenOff>,
    /// Who answered, or who was asked last.
    pub route: Route,
    /// Where the answer came from.
    pub source: AnswerSource,
    /// Who was asked or passed over before, and why each did not answer; in order.
    pub passed_over: Vec<PassedOver>,
}

/// A route that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The route.
    pub route: Route,
    /// Why.
    pub error: ModelError,
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
    /// Waits for a place within the limits of providers, over all tries.
    pub queue_ms: u64,
    /// From the question to the first piece of text or reasoning.
    pub first_token_ms: Option<u64>,
    /// From the question to the outcome.
    pub total_ms: u64,
    /// Requests that were sent, or attempted; 0 if nobody had to be asked.
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
    /// What all its models together may be asked.
    pub limits: crate::config::Limits,
    /// Whether a key is configured.
    pub has_key: bool,
    /// False for the built-in writer, which is no model.
    pub live: bool,
}

/// How a provider does at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderStatus {
    /// What is configured.
    pub info: ProviderInfo,
    /// What is going on; models that nobody has asked since the start are left out.
    pub models: Vec<ModelStatus>,
}

/// How one model of a provider does at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    /// Its name.
    pub model: String,
    /// Whether it is asked at all.
    pub breaker: BreakerState,
    /// Requests that are being answered.
    pub open_calls: u32,
    /// Questions that wait for a place within the limits.
    pub waiting_calls: u32,
}

/// Whether a model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerState {
    /// It is asked.
    Closed {
        /// Failures since the last answer.
        failure_count: u32,
    },
    /// It failed too often: it is not asked for a while.
    Open {
        /// Until it is tried again, in milliseconds.
        retry_in_ms: u64,
        /// The last failure.
        cause: String,
    },
    /// One question is let through, to see.
    HalfOpen,
}

impl BreakerState {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            BreakerState::Closed { .. } => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// What the cache holds and did since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatus {
    /// Answers that it holds, about.
    pub entry_count: u64,
    /// Their size in bytes, about.
    pub size_bytes: u64,
    /// Most bytes that it may hold; 0: it is off.
    pub bytes_max: u64,
    /// How long an answer is kept.
    pub time_max: Duration,
    /// Questions that it answered.
    pub hit_count: u64,
    /// Questions that it could have answered and did not hold.
    pub miss_count: u64,
}

/// Which answers the cache is to forget; `None` means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheFilter {
    /// Name of a provider.
    pub provider: Option<String>,
    /// Name of a model.
    pub model: Option<String>,
}

/// A provider that answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The model that answered, in the provider's words.
    pub model: String,
    /// From the chat's request to its whole answer.
    pub latency_ms: u64,
    /// What was found, for people.
    pub detail: String,
    /// The call that was made for it, which may cost something; `None` for the built-in writer.
    pub call: Option<CheckCall>,
}

/// The call of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckCall {
    /// What was asked.
    pub request: Arc<ModelRequest>,
    /// What was answered.
    pub completion: Completion,
    /// How long it took.
    pub timing: Timing,
}
