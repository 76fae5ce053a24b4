//! The API over a real engine and a real store, called inside the process. Stages are plain Rust.
mod access;
mod approvals;
mod chat;
mod clients;
mod description;
mod events;
mod problems;
mod runs;
mod stages;
mod support;
