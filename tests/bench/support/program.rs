//! `stagewright serve`, the real process.
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server. It is killed at the end.
pub(crate) struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// Starts it with one provider, and waits until it listens. `settings`: further lines of its configuration.
    pub(crate) fn start(folder: &Path, upstream: &str, settings: &str) -> Self {
        let config = format!(
            "provider: upstream\nproviders:\n  upstream:\n    base_url: {upstream}\n    model: instant\n{settings}"
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

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
