//! Running the tool of a language, and telling what it says while it works.
//!
//! Knows no language. Invariant: a tool that was started has ended when the function returns.
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use crate::Error;

/// Longest line of a tool that is shown whole, in bytes. Compilers write lines of a few hundred; a minified source file
/// in a message can have megabytes.
const LINE_BYTES_MAX: usize = 4096;

/// A program that is not ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    /// As it is called.
    pub(super) name: &'static str,
    /// How to get it.
    pub(super) cure: &'static str,
}

impl Tool {
    pub(super) fn missing(self) -> Error {
        Error::ToolMissing { tool: self.name, cure: self.cure }
    }
}

/// What a tool did.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
}

/// Runs a tool to its end. Each line that it writes to standard error is told at once, since a build takes a while.
pub(super) fn run(
    command: &mut Command,
    tool: Tool,
    on_line: &mut dyn FnMut(&str),
) -> Result<Finished, Error> {
    finish(start(command, tool)?, tool, on_line)
}

fn start(command: &mut Command, tool: Tool) -> Result<Child, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => tool.missing(),
        _ => Error::ToolUnusable { tool: tool.name, cause },
    })
}

fn finish(mut child: Child, tool: Tool, on_line: &mut dyn FnMut(&str)) -> Result<Finished, Error> {
    let mut stdout = child.stdout.take().expect("it is piped");
    let stderr = child.stderr.take().expect("it is piped");
    // Both are read at the same time: a tool waits when one of them is full.
    let said = thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut bytes = Vec::new();
            // What broke off is what there is; the exit status says how it ended.
            stdout.read_to_end(&mut bytes).ok();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        tell_lines(BufReader::new(stderr), on_line);
        reading.join()
    });
    let status = child.wait().map_err(|cause| Error::ToolUnusable { tool: tool.name, cause })?;
    Ok(Finished { status, stdout: said.unwrap_or_default() })
}

/// Runs a silent tool that has to succeed, and tells that it is at work: it takes up to half a minute. What it wrote to
/// standard output is told, too, if it does not succeed.
pub(super) fn run_well(
    command: &mut Command,
    tool: Tool,
    on_line: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let child = start(command, tool)?;
    on_line(&format!("building with `{}` …", tool.name));
    let finished = finish(child, tool, on_line)?;
    if finished.status.success() {
        return Ok(());
    }
    finished.stdout.lines().for_each(|line| on_line(shown(line)));
    Err(Error::BuildFailed { tool: tool.name, status: finished.status })
}

fn tell_lines(mut reader: impl BufRead, on_line: &mut dyn FnMut(&str)) {
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
        let line = String::from_utf8_lossy(&bytes);
        on_line(shown(line.trim_end()));
        drop(line);
        bytes.clear();
    }
}

fn shown(line: &str) -> &str {
    &line[..line.floor_char_boundary(LINE_BYTES_MAX)]
}
