//! What an author of a plugin does on their own machine: begin a project, build it, check the component, try it, test it
//! against fixtures, and replay a recorded attempt.
//!
//! Everything here works without a server, a data folder, a key and a network, but for what a language's own tools fetch
//! when they build; compiled code is kept in the data folder, if there is one, or in the project. It does not know runs,
//! profiles or the store: an attempt that is taken from a run comes in as a recording.
//!
//! Invariant: a component is run by the same sandbox, with the same limits, as in a run.
pub mod check;
pub mod context;
mod difference;
mod error;
pub mod exchange;
mod failure;
pub mod fixtures;
mod language;
pub mod project;
pub mod recording;
#[cfg(test)]
mod tests;
pub mod trial;

pub use error::Error;
pub use failure::Failure;
pub use language::Language;
