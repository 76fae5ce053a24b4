//! The same stage through Extism, in a process of its own: Extism brings a Wasmtime of its own, which nothing else has to
//! compile. See `tests/bench/extism-peer`.
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::tagline::{ANSWER, REQUEST_TEXT, SETTINGS, root};

/// The running process.
pub(crate) struct Peer {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Builds and starts it; `None`, with a word on standard error, if it cannot be built, as without a network.
    pub(crate) fn start() -> Option<Peer> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("extism-peer");
        let workspace = root().join("tests/bench/extism-peer");
        let build = |arguments: &[&str]| {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--locked", "--target-dir"]).arg(&target).args(arguments);
            cargo.current_dir(&workspace).status().is_ok_and(|status| status.success())
        };
        let guest =
            ["--profile", "guest", "--target", "wasm32-unknown-unknown", "-p", "extism-guest"];
        if !build(&guest) || !build(&["--release", "-p", "extism-peer"]) {
            return None;
        }
        let mut child = Command::new(target.join("release/extism-peer"))
            .arg(target.join("wasm32-unknown-unknown/guest/extism_guest.wasm"))
            .arg(format!(r#"{{"request_text":"{REQUEST_TEXT}","settings":{SETTINGS}}}"#))
            .arg(ANSWER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("what was built starts");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Peer { child, answers })
    }

    /// Times so many calls.
    pub(crate) fn calls(&mut self, count: usize) -> Vec<Duration> {
        let input = self.child.stdin.as_mut().expect("it is piped");
        writeln!(input, "{count}").expect("the process runs");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the process runs");
        let times = line.split_whitespace().map(|nanos| nanos.parse().expect("a number"));
        times.map(Duration::from_nanos).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
