//! The control API: HTTP, server-sent events, OpenAPI and problems.
//!
//! Start at [`router()`], which puts every handler behind its path. A request passes the checks of `access`, is taken
//! apart by `path`, `query` and `body` with all of its problems reported together, is asked of the engine or read from
//! the store, and is answered with a record of [`dto`]. `feed` is one watcher of one run. What goes wrong is a
//! [`Problem`] with a [`Code`].
//!
//! What this crate does not do: it decides nothing about runs, keeps nothing, writes no SQL, and binds no socket.
//!
//! Invariants: this crate alone names axum. No answer holds a secret or, for what the server itself did wrong, a cause.
//! Every body, page and stream is bounded.
mod access;
mod acting;
mod body;
mod code;
mod convert;
pub mod dto;
mod feed;
mod headers;
mod linger;
mod openapi;
mod path;
mod problem;
mod query;
mod router;
mod routes;
mod spool;
mod sse;
mod state;
#[cfg(test)]
mod tests;

pub use access::{Access, Token};
pub use acting::{ActorHeader, InvalidActorHeader};
pub use body::{BODY_BYTES_MAX, CHAT_BODY_BYTES_MAX, DECISION_BODY_BYTES_MAX};
pub use code::Code;
pub use problem::Problem;
pub use query::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
pub use router::router;
pub use state::{ApiState, STREAM_COUNT_MAX};
