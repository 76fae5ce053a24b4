//! The gateway against a real server on loopback that misbehaves on request.
mod answers;
mod anthropic;
mod cache;
mod checks;
mod failures;
mod fallback;
mod forms;
mod limits;
mod recorded;
mod registry;
mod retries;
mod secrets;
mod streaming;
mod support;
