//! Performs what the state machine of `domain` asks: runs stages, asks models, opens gates, goes on after a crash.
//!
//! A command (from HTTP, the terminal, or the engine itself) goes to `Run::decide`; its events are appended to the log
//! together with what they produced; `Run::next_effect` says what to do; what came of it is the next command. A start
//! replays unfinished runs into the same loop, so there is no other path for recovery.
//!
//! Time, identifiers and randomness are made here and handed down. What this crate does not do: it does not know
//! WebAssembly (a stage is run through [`domain::port::StageRunner`]), HTTP, or how anything looks.
#![warn(clippy::wildcard_enum_match_arm)]

mod ask;
mod attempt;
mod chat;
mod clock;
mod commands;
mod drive;
mod error;
mod files;
mod live;
mod models;
mod preview;
mod registry;
mod start;
mod tasks;

pub use ask::{ChatAsk, GateDecision, Settings, StartRun};
pub use chat::{ChatAnswer, ChatDelta};
pub use clock::Clock;
pub use error::Error;
pub use live::{Live, Subscription};
pub use preview::PromptPreview;
pub use start::Started;
