//! The engine over a real store and the scripted provider, with stages that are plain Rust.
mod budgets;
mod journal;
mod lifecycle;
mod recovery;
mod support;
