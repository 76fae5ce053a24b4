//! The engine over a real store, the scripted provider and a server that misbehaves on request, with stages that are
//! plain Rust.
mod budget_gates;
mod budgets;
mod chats;
mod days;
mod gates;
mod housekeeping;
mod journal;
mod lifecycle;
mod recovery;
mod retries;
mod routes;
mod shutdown;
mod stopping;
mod streams;
mod support;
mod timers;
