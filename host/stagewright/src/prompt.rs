//! Asks the person at the terminal for a line.
use std::io::BufRead;

use crate::output::Output;

/// A line without its blanks; `None` at the end of input.
///
/// The read cannot be interrupted. Whoever no longer waits for it drops the future, and the thread that reads ends with
/// the process (see `main`).
pub(crate) async fn line(output: &Output, question: &str) -> Option<String> {
    output.ask(question);
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim().to_owned()),
        }
    });
    reading.await.ok().flatten()
}
