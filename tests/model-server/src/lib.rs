//! A model provider for tests: a server on loopback that speaks OpenAI's chat completions and Anthropic's Messages,
//! counts, keeps what it was asked, replays what real providers send, and misbehaves on request.
//!
//! In process, start it with [`ModelServer::start`]; as a program of its own, `model-server` prints its address and is
//! driven through `/control/...`. Both ways do the same. It is no model: what it writes follows from the prompt.
//!
//! Invariant: a request is counted before it is answered, so that a test that sees the count can end the asking side
//! while the answer is open.
mod anthropic;
mod behavior;
mod connection;
mod control;
mod openai;
mod recording;
mod server;
mod shared;
mod stream;
mod writer;

pub use behavior::{After, Answer, Behavior, Replay, Split, UsageForm};
pub use recording::Recording;
pub use server::ModelServer;
pub use shared::Recorded;

/// The name under which the server answers.
pub const MODEL: &str = "test-model";
