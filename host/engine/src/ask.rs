//! What the engine is asked for, as it was said: checked by the engine, all problems of one request together.
use std::collections::BTreeMap;
use std::time::Duration;

use domain::model::{Message, ModelOptions};
use domain::plan::Caching;
use domain::run::Verdict;
use domain::{ApprovalId, Digest};
use gateway::Webhook;
use profile::FallbackPolicy;

use crate::HttpSettings;

/// Longest request text, in bytes: with the artifacts of five stages it still fits into the context of the models that
/// are in use.
pub const REQUEST_TEXT_BYTES_MAX: usize = 256 << 10;
/// Longest thread, brand or project identifier, in bytes.
pub const BELONGING_BYTES_MAX: usize = 200;
/// Most context variables at the start of a run.
pub const VARIABLE_COUNT_MAX: usize = 64;
/// Largest value of a context variable at the start of a run, in bytes of JSON.
pub const VARIABLE_BYTES_MAX: usize = 64 << 10;
/// Longest name of somebody who acts, in bytes.
pub const ACTOR_BYTES_MAX: usize = 200;
/// Longest comment or reason, in bytes.
pub const COMMENT_BYTES_MAX: usize = 16 << 10;
/// Most edits of one decision: as many as a stage may make artifacts, by any profile.
pub(crate) const EDIT_COUNT_MAX: usize = 256;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Most messages of one chat.
pub const CHAT_MESSAGE_COUNT_MAX: usize = 1_000;
/// Largest chat, in bytes of all messages.
pub const CHAT_BYTES_MAX: usize = 4 << 20;

/// Most texts that end the answer of a chat.
pub const CHAT_STOP_COUNT_MAX: usize = 8;
/// Longest text that ends the answer of a chat, and longest name of its schema, in bytes.
pub const CHAT_WORD_BYTES_MAX: usize = 200;

/// How the engine works.
#[derive(Clone)]
pub struct Settings {
    /// Attempts that may run at the same time, waiting for a model included.
    pub attempt_count_max: usize,
    /// How long open model calls may go on when the host shuts down.
    pub shutdown_grace: Duration,
    /// Longest time for one model call, its retries included, where a profile says nothing.
    pub model_call_time_max: Duration,
    /// What to do with modes that have no profile.
    pub fallback: FallbackPolicy,
    /// Provider for what names none.
    pub default_provider: String,
    /// What happens to unfinished runs at the start.
    pub drive_on_start: DriveOnStart,
    /// What may be used up in a day, by runs and chats together.
    pub budgets: DayBudgets,
    /// Who is in which group: the actors by the group's name.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Where reminders go: an address by the webhook's name.
    pub webhooks: BTreeMap<String, Webhook>,
    /// Which hosts stages may reach, if a profile grants it.
    pub http: HttpSettings,
}

/// What may be used up in a day (UTC). Where a budget holds, of a day or of a plan, an answer for which nobody sets
/// `max_tokens` is bound to 16,384 tokens: that much is held back while it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayBudgets {
    /// All providers together.
    pub all: DayBudget,
    /// One provider, by its name.
    pub by_provider: BTreeMap<String, DayBudget>,
    /// Percent of a budget, 1 to 99, from which on it is warned. `None`: never.
    pub warn_percent: Option<u8>,
}

/// `None`: not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayBudget {
    /// Input and output.
    pub tokens: Option<u64>,
    /// Billionths of a US dollar.
    pub nano_usd: Option<u64>,
}

/// What happens to unfinished runs when the engine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveOnStart {
    /// They go on.
    UnfinishedRuns,
    /// They stay where they are until somebody asks something of them: for commands that only read.
    Nothing,
}

/// Begin a run.
#[derive(Debug, Clone, Default)]
pub struct StartRun {
    /// What is asked for; not blank, at most [`REQUEST_TEXT_BYTES_MAX`].
    pub request_text: String,
    /// Name of a profile.
    pub mode: String,
    /// The conversation that the run is part of.
    pub thread_id: Option<String>,
    /// The brand that it is about.
    pub brand_id: Option<String>,
    /// The project that it is part of.
    pub project_id: Option<String>,
    /// JSON object: texts of skills to replace.
    pub skill_overrides: Option<serde_json::Value>,
    /// JSON object: what is different for a stage.
    pub stage_overrides: Option<serde_json::Value>,
    /// Context variables to begin with.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Who starts it.
    pub actor: Option<String>,
    /// The same key with the same request gives the same run.
    pub idempotency_key: Option<String>,
}

/// Decide a gate.
#[derive(Debug, Clone)]
pub struct GateDecision {
    /// The question that is decided.
    pub approval: ApprovalId,
    /// Which way.
    pub verdict: Verdict,
    /// Who decides.
    pub actor: String,
    /// In which words.
    pub comment: Option<String>,
    /// What was looked at. `None`: whatever is there.
    pub content_hash: Option<Digest>,
    /// What is put in place of artifacts that were looked at. Goes with a grant only.
    pub edits: Vec<ArtifactEdit>,
}

/// A reviewer's text in place of a stage's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactEdit {
    /// Name of an artifact of the stage's result.
    pub name: String,
    /// The whole new text.
    pub body: String,
}

/// Talk to a model, outside of any run.
#[derive(Debug, Clone)]
pub struct ChatAsk {
    /// At least one; at most [`CHAT_MESSAGE_COUNT_MAX`] with [`CHAT_BYTES_MAX`].
    pub messages: Vec<Message>,
    /// Name of a configured provider.
    pub provider: Option<String>,
    /// Name of one of its models.
    pub model: Option<String>,
    /// The session that the records count it to.
    pub session_id: Option<String>,
    /// Names the program that asks, in its own words; at most [`BELONGING_BYTES_MAX`].
    pub client_id: Option<String>,
    /// The conversation that the records count it to; at most [`BELONGING_BYTES_MAX`]. `None`: the session's, or one of
    /// its own.
    pub conversation_id: Option<String>,
    /// A name for the call in the records; at most [`BELONGING_BYTES_MAX`].
    pub label: Option<String>,
    /// How to answer.
    pub options: ModelOptions,
    /// Whether the answer may come from the cache.
    pub caching: Caching,
}
