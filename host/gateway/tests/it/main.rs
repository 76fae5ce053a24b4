//! The gateway against a real server on loopback that misbehaves on request.
mod answers;
mod checks;
mod failures;
mod forms;
mod retries;
mod secrets;
mod support;
