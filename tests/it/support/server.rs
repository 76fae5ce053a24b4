//! `stagewright serve`, the real process, that a test can kill.
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Api, Folder, command};

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) api: Api,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(folder: &Folder) -> Server {
        Self::start_program(folder, command::STAGEWRIGHT)
    }

    /// The same with another build of the binary.
    pub(crate) fn start_program(folder: &Folder, program: &str) -> Server {
        let mut command = command::command_for(folder, program);
        command.args(["serve", "--port", "0"]);
        Self::listening(command, folder)
    }

    /// Starts a program and kills it after a time, whether it listens by then or not.
    #[allow(dead_code, reason = "the crash loop uses it")]
    pub(crate) fn kill_while_starting(folder: &Folder, program: &str, after: Duration) {
        let mut command = command::command_for(folder, program);
        command.args(["serve", "--port", "0"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        std::thread::sleep(after);
        child.kill().expect("it is this process' child");
        child.wait().expect("it has ended");
    }

    fn listening(mut command: Command, folder: &Folder) -> Server {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.path().join("server.log"))
            .expect("a log file");
        if !folder.environment().contains_key("STAGEWRIGHT_LOG") {
            command.env("STAGEWRIGHT_LOG", "debug");
        }
        command.stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a first line");
        let Some((_, url)) = line.trim().split_once("listening on ") else {
            child.kill().ok();
            child.wait().ok();
            let log = std::fs::read_to_string(folder.path().join("server.log"));
            panic!("the server did not start: {line}{}", log.unwrap_or_default());
        };
        Server { child, api: Api::new(url) }
    }

    /// Whether it has not ended by itself.
    #[allow(dead_code, reason = "the crash loop uses it")]
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is this process' child").is_none()
    }

    /// `kill -9`: no handler runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("the server has ended");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(self) -> i32 {
        self.terminate();
        self.ended()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("`kill` runs");
        assert!(sent.success());
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> i32 {
        self.child.wait().expect("the server has ended").code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
