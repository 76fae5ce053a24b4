//! The binary, run to its end.
use std::fmt;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::Folder;

/// How a process ended, and what it said.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl fmt::Display for Ran {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "exit {}\n-- stdout\n{}-- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Ran {
    fn of(output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same with what differs from run to run replaced by its name.
    pub(crate) fn told(&self, folder: &Folder) -> String {
        let mut text = self.to_string();
        for path in [folder.path().canonicalize().ok(), Some(folder.path().to_owned())] {
            let path = path.expect("the folder exists");
            text = text.replace(&path.display().to_string(), "[folder]");
        }
        text
    }

    /// The JSON document on standard output.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{self}"))
    }
}

/// Runs the binary in a folder until it ends.
pub(crate) fn stagewright(folder: &Folder, arguments: &[&str]) -> Ran {
    Ran::of(&command(folder).args(arguments).output().expect("the binary starts"))
}

/// The same with something on standard input.
pub(crate) fn stagewright_with_input(folder: &Folder, arguments: &[&str], input: &str) -> Ran {
    let file = folder.path().join("standard-input");
    std::fs::write(&file, input).expect("a file");
    let standard_input = std::fs::File::open(&file).expect("the file");
    // The file is open: nobody else finds the input, which may be a secret.
    std::fs::remove_file(&file).expect("the file");
    let mut command = command(folder);
    let output = command.args(arguments).stdin(standard_input).output().expect("it starts");
    Ran::of(&output)
}

/// Runs the binary at a terminal at which this is typed, and answers with everything that is seen there; `None` where
/// there is no program that makes a terminal.
pub(crate) fn at_terminal(folder: &Folder, arguments: &[&str], typed: &str) -> Option<String> {
    let version = Command::new("script").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("util-linux") {
        return None;
    }
    let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let words = [&[STAGEWRIGHT], arguments].concat();
    let line = words.into_iter().map(quoted).collect::<Vec<_>>().join(" ");
    let mut script = command_for(folder, "script");
    script.args(["--quiet", "--flush", "--command", &line, "/dev/null"]);
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // Left open until the end: a terminal at which nothing more is typed is still there.
    let mut keyboard = child.stdin.take().expect("it is piped");
    keyboard.write_all(typed.as_bytes()).expect("it is typed");
    let output = child.wait_with_output().expect("it ends");
    drop(keyboard);
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The binary that was built with the tests.
pub(crate) const STAGEWRIGHT: &str = env!("CARGO_BIN_EXE_stagewright");

/// The binary, to be run in a folder.
pub(super) fn command(folder: &Folder) -> Command {
    command_for(folder, STAGEWRIGHT)
}

/// A program with nothing of this process' environment but what a program needs to run.
pub(super) fn command_for(folder: &Folder, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder.path()).env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(folder.environment());
    command
}
