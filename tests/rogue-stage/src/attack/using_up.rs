//! Taking more than there is: time, memory, stack; and ending without an answer.
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use stage_sdk::log;

/// One step of [`grow`]. Large enough to be quick, small enough to come close to the bound.
const GROW_BYTES: usize = 1 << 20;

/// How long a flooding line is. A log of the default size is full after some thousand of them.
const FLOOD_LINE: &str =
    "A line that says nothing, and says it at a length that is plausible for a log.";

pub(super) fn spin() -> ! {
    let mut number = 0u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

pub(super) fn grow() -> ! {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        // Not zeros: an allocator could hand those out without touching memory.
        kept.push(black_box(vec![1; GROW_BYTES]));
    }
}

#[cfg(target_arch = "wasm32")]
pub(super) fn grow_until_refused() -> Value {
    use core::arch::wasm32::{memory_grow, memory_size};
    while memory_grow::<0>(1) != usize::MAX {}
    json!({ "memory_bytes": memory_size::<0>() * 65_536 })
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn grow_until_refused() -> Value {
    json!({ "memory_bytes": null })
}

/// Keeps nothing in linear memory, so that the host's stack ends before the guest's own. The rotation keeps the compiler
/// from making a loop of it.
#[inline(never)]
pub(super) fn deep(depth: u64, end: u64) -> u64 {
    if depth == end {
        return depth;
    }
    deep(depth + 1, end).rotate_left(7) ^ depth
}

pub(super) fn panic(text: &str) -> ! {
    let text = if text.is_empty() { "the rogue stage panics" } else { text };
    panic!("{text}")
}

#[cfg(target_arch = "wasm32")]
pub(super) fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn trap() -> ! {
    std::process::abort()
}

#[expect(clippy::disallowed_methods, reason = "the point is to see what the host does about it")]
pub(super) fn exit(code: u64) -> ! {
    std::process::exit(i32::try_from(code).unwrap_or(i32::MAX))
}

pub(super) fn sleep(milliseconds: u64) -> Value {
    std::thread::sleep(Duration::from_millis(milliseconds));
    json!({ "slept_ms": milliseconds })
}

pub(super) fn flood_log(count: u64) -> Value {
    for number in 0..count {
        log::info(FLOOD_LINE, &[("number", &number.to_string())]);
    }
    json!({ "lines": count })
}

pub(super) fn flood(mut out: impl Write, count: u64) -> Value {
    let written =
        (0..count).take_while(|number| writeln!(out, "{FLOOD_LINE} {number}").is_ok()).count();
    json!({ "lines": written })
}
