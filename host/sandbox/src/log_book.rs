//! The log of one attempt: what the guest logs, and what it writes to standard output and standard error.
//!
//! Invariant: however much a guest writes, the book keeps a bounded number of bytes and counts the rest. The end of
//! standard error is kept apart, because the words of a panic are the last that a guest says.
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use domain::stage::{LogLevel, LogLine, StageLog};
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::text::{clean, clean_text, prefix};

/// What a line costs beside its text, in bytes, so that empty lines are not free.
const LINE_OVERHEAD_BYTES: u64 = 32;

/// Longest line of standard output, in bytes; a longer one is kept as several.
const OUTPUT_LINE_BYTES_MAX: usize = 4 << 10;

/// Bytes of standard error that are looked through for the words of a panic.
const STDERR_TAIL_BYTES: usize = 8 << 10;

/// Most bytes of a panic's words in a report.
const PANIC_BYTES_MAX: usize = 2000;

/// Bytes that a guest may write at once; it asks again for more.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// The field that says from which output a line comes, and its value for standard error.
pub(crate) const OUTPUT_FIELD: &str = "from";
const STDERR_WORD: &str = "stderr";

/// Whether a line came from standard error.
pub(crate) fn is_from_stderr(line: &LogLine) -> bool {
    line.fields.iter().any(|(key, value)| key == OUTPUT_FIELD && value == STDERR_WORD)
}

/// Where a guest writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LogBook {
    lines: Vec<LogLine>,
    bytes_left: u64,
    dropped_bytes: u64,
    unfinished_stdout: Vec<u8>,
    unfinished_stderr: Vec<u8>,
    stderr_tail: VecDeque<u8>,
}

impl LogBook {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            lines: Vec::new(),
            bytes_left: bytes_max,
            dropped_bytes: 0,
            unfinished_stdout: Vec::new(),
            unfinished_stderr: Vec::new(),
            stderr_tail: VecDeque::new(),
        }
    }

    /// Keeps a line, or its start, or counts it.
    pub(crate) fn write_line(
        &mut self,
        level: LogLevel,
        message: &str,
        fields: &[(String, String)],
    ) {
        let fields_bytes: usize =
            fields.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
        let needed = LINE_OVERHEAD_BYTES + fields_bytes as u64;
        let wanted = needed + message.len() as u64;
        let kept = if wanted <= self.bytes_left {
            self.bytes_left -= wanted;
            message
        } else {
            // The first line that does not fit is cut, and closes the book: what is kept is a true beginning.
            let room = self.bytes_left.saturating_sub(needed);
            self.bytes_left = 0;
            let kept = prefix(message, usize::try_from(room).unwrap_or(usize::MAX));
            self.dropped_bytes += (message.len() - kept.len()) as u64;
            if kept.is_empty() {
                self.dropped_bytes += fields_bytes as u64;
                return;
            }
            kept
        };
        let fields = fields.iter().map(|(key, value)| (clean(key), clean(value))).collect();
        self.lines.push(LogLine { level, message: clean(kept), fields });
    }

    /// Takes what a guest wrote to one of its outputs.
    pub(crate) fn write_output(&mut self, output: Output, bytes: &[u8]) {
        if output == Output::Stderr {
            let tail = &bytes[bytes.len().saturating_sub(STDERR_TAIL_BYTES)..];
            let surplus = (self.stderr_tail.len() + tail.len()).saturating_sub(STDERR_TAIL_BYTES);
            self.stderr_tail.drain(..surplus);
            self.stderr_tail.extend(tail);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(OUTPUT_LINE_BYTES_MAX) {
                let unfinished = self.unfinished(output);
                if unfinished.len() + piece.len() > OUTPUT_LINE_BYTES_MAX {
                    self.finish_line(output);
                }
                self.unfinished(output).extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    self.finish_line(output);
                }
            }
        }
    }

    fn unfinished(&mut self, output: Output) -> &mut Vec<u8> {
        match output {
            Output::Stdout => &mut self.unfinished_stdout,
            Output::Stderr => &mut self.unfinished_stderr,
        }
    }

    fn finish_line(&mut self, output: Output) {
        let bytes = std::mem::take(self.unfinished(output));
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            return;
        }
        let (level, word) = match output {
            Output::Stdout => (LogLevel::Info, "stdout"),
            Output::Stderr => (LogLevel::Warn, STDERR_WORD),
        };
        self.write_line(level, line, &[(OUTPUT_FIELD.to_owned(), word.to_owned())]);
    }

    /// Takes in the lines that have no end yet: the guest says nothing more.
    pub(crate) fn finish(&mut self) {
        for output in [Output::Stdout, Output::Stderr] {
            if !self.unfinished(output).is_empty() {
                self.finish_line(output);
            }
        }
    }

    /// Gives the log away.
    pub(crate) fn take(&mut self) -> StageLog {
        self.finish();
        StageLog { lines: std::mem::take(&mut self.lines), dropped_bytes: self.dropped_bytes }
    }

    pub(crate) fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    /// The end of what the guest wrote to standard error.
    pub(crate) fn stderr_end(&self) -> String {
        let tail: Vec<u8> = self.stderr_tail.iter().copied().collect();
        String::from_utf8_lossy(&tail).into_owned()
    }

    /// What a panic said, if standard error ends with the words of one.
    pub(crate) fn panic_message(&self) -> Option<String> {
        let tail = self.stderr_end();
        let start = tail.rfind("panicked at ")? + "panicked at ".len();
        let lines: Vec<&str> = tail[start..]
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE"))
            .collect();
        let (place, words) = lines.split_first()?;
        let place = place.trim_end_matches(':');
        let said = if words.is_empty() {
            place.to_owned()
        } else {
            format!("{} (at {place})", words.join("\n"))
        };
        Some(clean_text(&said, PANIC_BYTES_MAX))
    }
}

/// A book that a guest's outputs and its host functions write to.
#[derive(Debug, Clone)]
pub(crate) struct SharedLogBook(Arc<Mutex<LogBook>>);

impl SharedLogBook {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self(Arc::new(Mutex::new(LogBook::new(bytes_max))))
    }

    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut LogBook) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn writer(&self, output: Output) -> GuestOutput {
        GuestOutput { book: self.clone(), output }
    }
}

/// One of the guest's outputs. It is always ready, so that writing never waits.
#[derive(Debug, Clone)]
pub(crate) struct GuestOutput {
    book: SharedLogBook,
    output: Output,
}

impl GuestOutput {
    fn take(&self, bytes: &[u8]) {
        self.book.with(|book| book.write_output(self.output, bytes));
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl AsyncWrite for GuestOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(log: &StageLog) -> Vec<&str> {
        log.lines.iter().map(|line| line.message.as_str()).collect()
    }

    #[test]
    fn a_full_book_keeps_a_true_beginning_and_counts_the_rest() {
        let mut book = LogBook::new(100);
        book.write_line(LogLevel::Info, "0123456789", &[]);
        book.write_line(LogLevel::Info, &"x".repeat(1000), &[]);
        book.write_line(LogLevel::Info, "late", &[]);
        let log = book.take();
        assert_eq!(messages(&log), ["0123456789", &"x".repeat(26)]);
        assert_eq!(log.dropped_bytes, 974 + 4);
    }

    #[test]
    fn empty_lines_fill_a_book_too() {
        let mut book = LogBook::new(64);
        for _ in 0..1000 {
            book.write_line(LogLevel::Debug, "", &[]);
        }
        assert_eq!(book.take().lines.len(), 2);
    }

    #[test]
    fn output_becomes_lines() {
        let mut book = LogBook::new(10_000);
        book.write_output(Output::Stdout, b"one\ntw");
        book.write_output(Output::Stderr, b"err");
        book.write_output(Output::Stdout, b"o\nthree");
        let log = book.take();
        assert_eq!(messages(&log), ["one", "two", "three", "err"]);
        assert_eq!(log.lines[3].level, LogLevel::Warn);
    }

    #[test]
    fn output_without_line_ends_is_cut_into_lines() {
        let mut book = LogBook::new(1 << 20);
        book.write_output(Output::Stdout, &[b'x'; OUTPUT_LINE_BYTES_MAX * 2 + 1]);
        assert_eq!(book.take().lines.len(), 3);
    }

    #[test]
    fn a_panic_is_found_though_the_book_is_full() {
        let mut book = LogBook::new(0);
        book.write_output(Output::Stderr, &[b'x'; 100_000]);
        book.write_output(
            Output::Stderr,
            b"\nthread '<unnamed>' (1) panicked at src/lib.rs:7:5:\nno sections\nnote: run with `RUST_BACKTRACE=1`",
        );
        assert_eq!(book.panic_message().unwrap(), "no sections (at src/lib.rs:7:5)");
        assert!(book.take().lines.is_empty());
    }
}
