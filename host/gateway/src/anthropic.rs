//! Anthropic's Messages: how a question is written (`wire`), how an answer is read (`answer`), and what a refusal asks
//! to leave out (`change`).
//!
//! The protocol lacks two things that a question may ask for. There is no `seed`, so it is not sent. There is no
//! setting for JSON without a schema, so that is asked for in the instructions. A temperature above 1, which is the
//! highest that the protocol knows, is sent as 1.
mod answer;
mod change;
mod schema;
mod wire;

pub(crate) use answer::{take_event, take_whole};
pub(crate) use change::change_after;
pub(crate) use wire::body;

/// Tokens that an answer may have where the question sets no bound, because the protocol demands one: some 12,000
/// words, more than any document of a stage. A model with less room refuses, names its own bound, and gets that.
pub(crate) const ANSWER_TOKENS_MAX: u32 = 16_384;
