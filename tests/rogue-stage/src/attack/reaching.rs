//! Reaching for what the contract does not name. Each attempt is told as JSON: `ok` with what came, or `error`.
use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

/// Tells one run from the next, if the host lets them share memory.
static RUNS: AtomicU64 = AtomicU64::new(0);

fn told<T: Debug, E: Display>(outcome: Result<T, E>) -> Value {
    match outcome {
        Ok(found) => json!({ "ok": format!("{found:?}") }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

pub(super) fn stdin() -> Value {
    let mut text = String::new();
    json!({ "read": told(std::io::stdin().read_to_string(&mut text).map(|_| text)) })
}

pub(super) fn files(path: &str) -> Value {
    let listed = |folder: &str| told(std::fs::read_dir(folder).map(|entries| entries.count()));
    json!({
        "read": told(std::fs::read_to_string(or(path, "/etc/passwd"))),
        "root": listed("/"),
        "here": listed("."),
    })
}

pub(super) fn written_file(path: &str) -> Value {
    json!({ "written": told(std::fs::write(or(path, "evil.txt"), "Written by the rogue stage.")) })
}

pub(super) fn environment() -> Value {
    let variables: Vec<String> = std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .collect();
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.display().to_string()).collect();
    json!({ "variables": variables, "arguments": arguments, "folder": told(std::env::current_dir()) })
}

pub(super) fn socket(address: &str) -> Value {
    json!({ "connected": told(TcpStream::connect(or(address, "127.0.0.1:80"))) })
}

pub(super) fn name(name: &str) -> Value {
    let found = (or(name, "localhost"), 80).to_socket_addrs();
    json!({ "addresses": told(found.map(|addresses| addresses.collect::<Vec<_>>())) })
}

#[expect(clippy::disallowed_methods, reason = "the point is to see which clock the host shows")]
fn wall_clock_ns() -> String {
    // Nanoseconds do not fit into a JSON number.
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
        .to_string()
}

pub(super) fn clocks() -> Value {
    let start = Instant::now();
    let wall = [wall_clock_ns(), wall_clock_ns()];
    json!({ "wall_ns": wall, "elapsed_ns": start.elapsed().as_nanos().to_string() })
}

pub(super) fn moving_clock(reading_count: u64) -> Value {
    let first = wall_clock_ns();
    let moved_at = (1..=reading_count).find(|_| wall_clock_ns() != first);
    json!({ "moved": moved_at.is_some(), "readings": moved_at.unwrap_or(reading_count) })
}

/// Rust's own source of chance: the keys of its hash maps come from the host.
pub(super) fn random_numbers() -> Value {
    let numbers: Vec<String> =
        (0..4u64).map(|number| format!("{:016x}", RandomState::new().hash_one(number))).collect();
    json!({ "numbers": numbers })
}

pub(super) fn runs_before() -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed)
}
