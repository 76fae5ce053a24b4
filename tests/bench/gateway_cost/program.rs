//! `stagewright serve`, the real process, and what the system says about it.
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Clock ticks in a second, as Linux shows them to every program.
const TICKS_PER_SECOND: u64 = 100;

/// A running server.
pub(crate) struct Program {
    child: Child,
    url: String,
}

/// Memory of a process in KiB.
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) most: u64,
}

impl Program {
    /// Starts it with one provider, and waits until it listens.
    pub(crate) fn start(folder: &Path, upstream: &str) -> Self {
        let config = format!(
            "provider: upstream\nproviders:\n  upstream:\n    base_url: {upstream}\n    model: instant\n"
        );
        std::fs::write(folder.join("stagewright.yaml"), config).expect("a configuration");
        let log = std::fs::File::create(folder.join("server.log")).expect("a log file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_stagewright"))
            .args(["serve", "--port", "0"])
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a first line");
        let Some((_, url)) = line.trim().split_once("listening on ") else {
            let log = std::fs::read_to_string(folder.join("server.log"));
            panic!("the server did not start: {line}{}", log.unwrap_or_default());
        };
        Self { child, url: url.to_owned() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn memory_kib(&self) -> Memory {
        let status = self.proc("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
            value.expect("Linux tells the memory of a process")
        };
        Memory { resident: field("VmRSS:"), most: field("VmHWM:") }
    }

    /// What it has computed so far, on all cores.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = self.proc("stat");
        // The name in parentheses may hold blanks; behind it, user and system time are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(") ").expect("Linux tells the times of a process");
        let ticks = |place: usize| -> u64 {
            fields.split(' ').nth(place).and_then(|field| field.parse().ok()).expect("a count")
        };
        Duration::from_millis((ticks(11) + ticks(12)) * 1_000 / TICKS_PER_SECOND)
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
            .expect("the program runs")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
