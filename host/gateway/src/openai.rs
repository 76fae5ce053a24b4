//! The connector for servers that speak OpenAI's chat completions.
//!
//! One call is at most a few tries within one deadline (`call`); a try sends a body (`wire`), and either reads an
//! answer (`answer`, fed by `transfer`) or classifies a refusal (`refusal`). What a server turned out not to understand
//! is left out the next time (`dialect`).
//!
//! Invariant: after a 2xx, and after the first piece was handed on, nothing is asked again.
mod answer;
mod call;
mod check;
mod dialect;
mod error;
mod refusal;
mod server;
mod transfer;
mod wait;
mod wire;

pub(crate) use call::ask;
pub(crate) use check::check;
pub(crate) use server::Server;

/// Largest answer, text and reasoning together, and largest single line of a stream or JSON body, in bytes. No model
/// writes a tenth of it; a server that does not stop must not fill the memory.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Largest stream, in bytes. The frame around a token of a few bytes has a few hundred.
pub const STREAM_BYTES_MAX: usize = 512 << 20;
/// Most bytes that are read of a refusal: enough for any message, too little for a flood of HTML.
pub const ERROR_BODY_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a provider's own words in an error message.
pub const PROVIDER_WORDS_BYTES_MAX: usize = 500;
/// Who is asking. Honest, also where a provider knows only certain clients.
pub const USER_AGENT: &str = concat!("stagewright/", env!("CARGO_PKG_VERSION"));
