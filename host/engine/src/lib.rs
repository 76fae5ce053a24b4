//! Performs what the state machine of `domain` asks: runs stages, asks models, opens gates, goes on after a crash.
//!
//! A command (from HTTP, the terminal, or the engine itself) goes to `Run::decide`; its events are appended to the log
//! together with what they produced; `Run::next_effect` says what to do; what came of it is the next command. A start
//! replays unfinished runs into the same loop, so there is no other path for recovery.
//!
//! Time, identifiers and randomness are made here and handed down. What this crate does not do: it does not know
//! WebAssembly (a stage is run through [`domain::port::StageRunner`]), HTTP, or how anything looks.
//!
//! Invariant: an event is durable before its effect is visible, and everything spawned is joined at shutdown.
#![warn(clippy::wildcard_enum_match_arm)]

mod ask;
mod attempt;
mod budget;
mod chat;
mod clock;
mod commands;
mod drive;
mod error;
mod files;
mod finishing;
mod housekeeping;
mod lifecycle;
mod live;
mod models;
mod outlet;
mod plugins;
mod preview;
mod recording;
mod registry;
mod reminders;
mod request;
mod start;
#[cfg(test)]
mod tests;
mod timers;
mod web;

pub use ask::{
    ACTOR_BYTES_MAX, ArtifactEdit, BELONGING_BYTES_MAX, CHAT_BYTES_MAX, CHAT_MESSAGE_COUNT_MAX,
    CHAT_STOP_COUNT_MAX, CHAT_WORD_BYTES_MAX, COMMENT_BYTES_MAX, ChatAsk, DayBudget, DayBudgets,
    DriveOnStart, GateDecision, IDEMPOTENCY_KEY_BYTES_MAX, REQUEST_TEXT_BYTES_MAX, Settings,
    StartRun, VARIABLE_BYTES_MAX, VARIABLE_COUNT_MAX,
};
pub use chat::{CHECK_CLIENT, ChatAnswer, ChatDelta};
pub use clock::Clock;
pub use commands::{Decided, text_misfit};
pub use error::Error;
pub use housekeeping::{
    IMPORT_ACTOR, Imported, PRUNED_RUN_COUNT_MAX, Prune, PruneDoing, Pruned, Retention,
};
pub use lifecycle::{Engine, Parts};
pub use live::{Live, Subscription};
pub use plugins::{InUse, PluginNeeds};
pub use preview::{PromptPreview, USUAL_ANSWER_TOKENS};
pub use recording::{RecordedAttempt, RecordedCall};
pub use start::{Existed, Started};
pub use web::HttpSettings;
