//! Asks the person at the terminal for a line, or for several.
use std::io::BufRead;

use crate::output::Output;

/// Most lines of one text that is typed: more is better written in an editor.
const LINE_COUNT_MAX: usize = 1_000;

/// A line without its blanks; `None` at the end of input.
///
/// The read cannot be interrupted. Whoever no longer waits for it drops the future, and the thread that reads ends with
/// the process (see `main`).
pub(crate) async fn line(output: &Output, question: &str) -> Option<String> {
    output.ask(question);
    read_line().await.map(|line| line.trim().to_owned())
}

/// Lines up to an empty one or the end of input; `None` if there is no text before it.
pub(crate) async fn lines(output: &Output, before_each: &str) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    while lines.len() < LINE_COUNT_MAX {
        output.ask(before_each);
        match read_line().await {
            Some(line) if !line.trim().is_empty() => lines.push(line.trim_end().to_owned()),
            Some(_) | None => break,
        }
    }
    Some(lines.join("\n")).filter(|text| !text.is_empty())
}

async fn read_line() -> Option<String> {
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line),
        }
    });
    reading.await.ok().flatten()
}
