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
use crate::diff;
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

    /// A difference between two texts of somebody else, unchanged for a file or a pipe, in colors for a terminal.
    pub(crate) fn diff(&self, text: &str) {
        if self.out_is_terminal {
            self.line(&diff::painted(text, self.paint()));
        } else {
            self.foreign(text);
        }
    }

    /// Whether standard output is shown to a person.
    pub(crate) fn is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Data that is no text.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        self.above_live(|| {
            let mut out = std::io::stdout().lock();
            // As for text: a reader that has gone away is no error of ours.
            out.write_all(bytes).and_then(|()| out.flush()).ok();
        });
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
        self.note(&error_text(error, self.paint_notes()));
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

/// An error in lines: what, each place, the cure, and the stable name of the cause.
fn error_text(error: &Error, paint: Paint) -> String {
    let hint_word = paint.good("hint:");
    let problems = error.problems();
    // One problem is the whole message; the message of several would be all of them in one line.
    let message = match problems.as_slice() {
        [] | [_] => error.to_string(),
        many => format!("{} problems", many.len()),
    };
    let mut lines = vec![format!("{} {}", paint.bad("error:"), clean(&message))];
    for (problem, hint) in &problems {
        if problems.len() > 1 {
            lines.push(format!("  - {}", clean(problem)));
        }
        let before = if problems.len() > 1 { "    " } else { "" };
        lines.extend(hint.iter().map(|hint| format!("{before}{hint_word} {}", clean(hint))));
    }
    // What to do about a problem stands beside it.
    let is_said = problems.iter().any(|(_, hint)| hint.is_some());
    if let Some(hint) = error.hint().filter(|_| !is_said) {
        lines.push(format!("{hint_word} {}", clean(&hint)));
    }
    lines.extend(error.code().map(|code| paint.dim(&format!("code: {code}"))));
    lines.join("\n")
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
    #[cfg(test)]
    pub(crate) const COLORED: Paint = Paint { has_color: true };

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

    pub(crate) fn added(self, text: &str) -> String {
        self.apply(&Style::new().green(), text)
    }

    pub(crate) fn removed(self, text: &str) -> String {
        self.apply(&Style::new().red(), text)
    }

    pub(crate) fn waiting(self, text: &str) -> String {
        self.apply(&Style::new().yellow().bold(), text)
    }
}

#[cfg(test)]
mod tests {
    use control_api::dto::{ProblemDto, ProblemItemDto};
    use insta::assert_snapshot;

    use super::*;

    fn refused(items: &[(&str, &str, Option<&str>)]) -> Error {
        let item = |(place, message, hint): &(&str, &str, Option<&str>)| ProblemItemDto {
            place: (*place).to_owned(),
            pointer: None,
            file: None,
            line: None,
            column: None,
            message: (*message).to_owned(),
            hint: hint.map(str::to_owned),
        };
        Error::Problem(Box::new(ProblemDto {
            problem_type: "urn:stagewright:problem:request_invalid".to_owned(),
            title: "the request has problems".to_owned(),
            status: 400,
            detail: items.iter().map(|(_, message, _)| *message).collect::<Vec<_>>().join("; "),
            code: "request_invalid".to_owned(),
            hint: "correct the request".to_owned(),
            retryable: false,
            request_id: None,
            problems: items.iter().map(item).collect(),
        }))
    }

    #[test]
    fn every_problem_is_told_with_its_place_and_cure() {
        let error = refused(&[
            ("/mode", "no profile `foundaton_stack`", Some("did you mean `foundation_stack`?")),
            ("/request_text", "it is empty", None),
        ]);
        assert_snapshot!(error_text(&error, Paint::PLAIN), @r"
        error: 2 problems
          - /mode: no profile `foundaton_stack`
            hint: did you mean `foundation_stack`?
          - /request_text: it is empty
        code: request_invalid
        ");
    }

    #[test]
    fn a_single_problem_is_told_once() {
        let error = refused(&[("/request_text", "it is empty", None)]);
        assert_snapshot!(error_text(&error, Paint::PLAIN), @r"
        error: it is empty
        hint: correct it, then try again
        code: request_invalid
        ");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\rc\u{7}\n\td\u{202e}e"), "a[2Jbc\n\tde");
    }
}
