//! What Linux says about a process.
use std::time::Duration;

/// Clock ticks in a second, as Linux shows them to every program.
const TICKS_PER_SECOND: u64 = 100;

/// Memory of a process in KiB.
pub(crate) struct Memory {
    /// At this moment.
    pub(crate) resident: u64,
    /// Of that, what is its own: neither code nor files that others have mapped as well.
    pub(crate) own: u64,
    /// The most so far.
    pub(crate) most: u64,
}

pub(crate) fn memory_kib(pid: u32) -> Memory {
    let status = proc(pid, "status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        value.expect("Linux tells the memory of a process")
    };
    Memory { resident: field("VmRSS:"), own: field("RssAnon:"), most: field("VmHWM:") }
}

/// What a process has computed so far, on all cores.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = proc(pid, "stat");
    // The name in parentheses may hold blanks; behind it, user and system time are the 12th and 13th.
    let (_, fields) = stat.rsplit_once(") ").expect("Linux tells the times of a process");
    let ticks = |place: usize| -> u64 {
        fields.split(' ').nth(place).and_then(|field| field.parse().ok()).expect("a count")
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 1_000 / TICKS_PER_SECOND)
}

fn proc(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the program runs")
}
