//! The API over a real engine and a real store, called inside the process. Stages are plain Rust.
mod access;
mod approvals;
mod budgets;
mod calls;
mod chat;
mod chat_streams;
mod clients;
mod description;
mod events;
mod llm_cache;
mod metrics;
mod problems;
mod providers;
mod runs;
mod stages;
mod support;
mod usage;
