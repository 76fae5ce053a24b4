//! A model provider for tests: an OpenAI-compatible server on loopback that counts, keeps what it was asked, and
//! misbehaves on request.
//!
//! In process, start it with [`ModelServer::start`]; as a program of its own, `model-server` prints its address and is
//! driven through `/control/...`. Both ways do the same. It is no model: what it writes follows from the prompt.
//!
//! Invariant: a request is counted before it is answered, so that a test that sees the count can end the asking side
//! while the answer is open.
mod behavior;
mod control;
mod server;
mod stream;
mod writer;

pub use behavior::{After, Answer, Behavior, UsageForm};
pub use server::{ModelServer, Recorded};

/// The name under which the server answers.
pub const MODEL: &str = "test-model";
