//! Everything that the program writes. Data goes to standard output, all else to standard error.
//!
//! Text that models, plugins or other people wrote passes through [`clean`] before it reaches a terminal: an escape
//! sequence in an artifact must not move the cursor, change the title or answer a prompt.
//!
//! Invariant: nobody else in this crate writes to either stream. A closed pipe ends the writing, not the process.
use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use console::Style;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::config::Surroundings;
use crate::error::Error;

/// What standard output carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One document, or one line per event for streams.
    Json,
}

/// The two streams, and what they are connected to.
pub(crate) struct Output {
    format: Format,
    out_is_terminal: bool,
    err_is_terminal: bool,
    is_colorless: bool,
    /// The live line, if there is one: what is written to standard error in the meantime goes above it.
    live: Mutex<Option<ProgressBar>>,
}

impl Output {
    pub(crate) fn new(format: Format, surroundings: &Surroundings) -> Output {
        Output {
            format,
            out_is_terminal: std::io::stdout().is_terminal(),
            err_is_terminal: std::io::stderr().is_terminal(),
            is_colorless: surroundings.is_colorless(),
            live: Mutex::new(None),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person can be asked: somebody reads standard error and types into standard input.
    pub(crate) fn can_ask(&self) -> bool {
        !self.is_json() && self.err_is_terminal && std::io::stdin().is_terminal()
    }

    /// Whether a live line can be shown.
    pub(crate) fn can_animate(&self) -> bool {
        !self.is_json() && self.err_is_terminal
    }

    /// Styles for standard output.
    pub(crate) fn paint(&self) -> Paint {
        Paint { has_color: self.out_is_terminal && !self.is_colorless }
    }

    /// Styles for standard error.
    pub(crate) fn paint_notes(&self) -> Paint {
        Paint { has_color: self.err_is_terminal && !self.is_colorless }
    }

    /// A line of data.
    pub(crate) fn line(&self, text: &str) {
        self.above_live(|| write_all(&mut std::io::stdout().lock(), &format!("{text}\n")));
    }

    /// Text of somebody else, unchanged for a file or a pipe, cleaned for a terminal.
    pub(crate) fn foreign(&self, text: &str) {
        let text = if self.out_is_terminal { clean(text) } else { text.to_owned() };
        let end = if text.ends_with('\n') || !self.out_is_terminal { "" } else { "\n" };
        self.above_live(|| write_all(&mut std::io::stdout().lock(), &format!("{text}{end}")));
    }

    /// A document.
    pub(crate) fn document(&self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).expect("records are JSON");
        self.line(&text);
    }

    /// One line of a stream of documents.
    pub(crate) fn document_line(&self, value: &impl Serialize) {
        self.line(&serde_json::to_string(value).expect("records are JSON"));
    }

    /// A line for whoever watches.
    pub(crate) fn note(&self, text: &str) {
        self.above_live(|| write_all(&mut std::io::stderr().lock(), &format!("{text}\n")));
    }

    /// A question; the answer is typed behind it.
    pub(crate) fn ask(&self, text: &str) {
        self.above_live(|| write_all(&mut std::io::stderr().lock(), text));
    }

    /// An error with all that is wrong and what to do.
    pub(crate) fn error(&self, error: &Error) {
        let paint = self.paint_notes();
        let (word, hint_word) = (paint.bad("error:"), paint.good("hint:"));
        self.note(&format!("{word} {}", clean(&error.to_string())));
        for (problem, hint) in error.problems() {
            self.note(&format!("  - {}", clean(&problem)));
            if let Some(hint) = hint {
                self.note(&format!("    {hint_word} {}", clean(&hint)));
            }
        }
        if let Some(hint) = error.hint() {
            self.note(&format!("{hint_word} {}", clean(&hint)));
        }
        if let Some(code) = error.code() {
            self.note(&paint.dim(&format!("code: {code}")));
        }
    }

    /// Sets or removes the live line.
    pub(crate) fn set_live(&self, bar: Option<ProgressBar>) {
        let mut live = self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(old) = live.take() {
            old.finish_and_clear();
        }
        *live = bar;
    }

    fn above_live(&self, write: impl FnOnce()) {
        let live = self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match live.as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// A reader that has gone away (`| head`) is no error of ours, and there is nobody to tell any other one.
fn write_all(stream: &mut impl Write, text: &str) {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).ok();
}

/// Text without control characters other than line ends and tabs.
pub(crate) fn clean(text: &str) -> String {
    let is_shown = |character: &char| !character.is_control() || matches!(character, '\n' | '\t');
    // The marks that turn the direction of writing can make a text read as another one.
    let turns =
        |character: &char| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|character| is_shown(character) && !turns(character)).collect()
}

/// Styles, where they can be seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    has_color: bool,
}

impl Paint {
    #[cfg(test)]
    pub(crate) const PLAIN: Paint = Paint { has_color: false };

    fn apply(self, style: &Style, text: &str) -> String {
        style.clone().force_styling(self.has_color).apply_to(text).to_string()
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.apply(&Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.apply(&Style::new().dim(), text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.apply(&Style::new().green().bold(), text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.apply(&Style::new().red().bold(), text)
    }

    pub(crate) fn waiting(self, text: &str) -> String {
        self.apply(&Style::new().yellow().bold(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\rc\u{7}\n\td\u{202e}e"), "a[2Jbc\n\tde");
    }
}
