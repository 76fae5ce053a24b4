//! A document with the sections that were asked for.
//!
//! Finds them by `outline`, cuts the answer there, and cleans what is below. Does not judge what a section says.
//! Invariant: each required section of a document has text.
mod outline;

use serde_json::{Map, Value};

use self::outline::{Outline, SECTION_LEVEL, heading_of, outline};
use super::lines::{Line, classify};
use super::{normalize, slug, unwrap_fence};
use crate::{StageError, front_matter, log, text};

/// An answer this many times as long as asked for is asked for again; below, a person can live with it.
const EXCESS_FACTOR_MAX: usize = 3;
/// How models end an answer when they forget that it is a document. Matched at the start of the last paragraph.
const CLOSING_REMARKS: [&str; 18] = [
    "word count:",
    "wortanzahl:",
    "wortzahl:",
    "anzahl der wörter:",
    "lass mich wissen",
    "lassen sie mich wissen",
    "ich hoffe, das",
    "ich hoffe, dies",
    "möchten sie, dass ich",
    "möchtest du, dass ich",
    "wenn sie möchten",
    "wenn du möchtest",
    "let me know",
    "would you like",
    "i hope this",
    "feel free to",
    "if you'd like",
    "if you would like",
];
/// Longest placeholder, in bytes. What is longer says something.
const PLACEHOLDER_BYTES_MAX: usize = 120;
/// What models write where they leave a section to somebody else, as slugs.
const PLACEHOLDERS: [&str; 11] = [
    "tbd",
    "tba",
    "tbc",
    "n_a",
    "na",
    "see_above",
    "siehe_oben",
    "insert",
    "to_be_determined",
    "to_be_defined",
    "to_be_added",
];

/// A section of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading, in the words of the request.
    pub heading: String,
    /// Its text, normalized; headings in it are at level 3 and deeper.
    pub body: String,
}

/// A document whose required sections are all there and have text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The level 1 heading above the sections.
    pub title: Option<String>,
    /// What stands between the title and the first section.
    pub lead: String,
    /// The required sections, in the required order.
    pub sections: Vec<Section>,
}

impl Document {
    /// Finds the required sections in an answer, whatever it wrapped them in: fences, front matter, thoughts, sentences
    /// before and after, headings of another level, numbered, bold, in another order, or, where all are there in the
    /// required order, translated.
    ///
    /// # Errors
    /// [`StageError::InvalidOutput`] with the code `section_missing` or `section_empty`; the message names them.
    pub fn read(answer: &str, required: &[&str]) -> Result<Self, StageError> {
        let answer = normalize(unwrap_fence(text::without_thoughts(answer)));
        let body = front_matter::part(&answer).body;
        let outline = outline(body, required);
        let parts = split(body, &outline, required.len());
        let sections = collect(required, &parts, &outline)?;
        let (title, lead) = opening(&parts.before);
        Ok(Self { title, lead, sections })
    }

    /// The text of a section.
    pub fn section(&self, heading: &str) -> Option<&str> {
        self.sections
            .iter()
            .find(|section| section.heading == heading)
            .map(|section| section.body.as_str())
    }

    /// The whole document, normalized. `title` stands in where the model wrote none.
    pub fn to_markdown(&self, title: &str) -> String {
        let title = self.title.as_deref().unwrap_or(title);
        let mut out = format!("# {title}\n\n{}\n", self.lead);
        for section in &self.sections {
            out.push_str(&format!("\n## {}\n\n{}\n", section.heading, section.body));
        }
        normalize(&out)
    }

    /// The sections for programs: the heading's [`slug`] to the text.
    pub fn to_map(&self) -> Map<String, Value> {
        self.sections
            .iter()
            .map(|section| (slug(&section.heading), section.body.as_str().into()))
            .collect()
    }

    /// Checks the length that was asked for. Models count badly, so some excess is only logged.
    ///
    /// # Errors
    /// [`StageError::InvalidOutput`] with the code `too_long` for an answer of more than three times the length.
    pub fn check_length(&self, word_count_max: u32) -> Result<(), StageError> {
        let (found, bound) = (self.word_count(), word_count_max as usize);
        if found > bound.saturating_mul(EXCESS_FACTOR_MAX) {
            return Err(StageError::invalid_output(
                "too_long",
                format!("the answer has {found} words; at most {bound} were asked for"),
            ));
        }
        if found > bound {
            log::warn(
                "the answer is longer than asked for",
                &[("words", &found.to_string()), ("word_count_max", &bound.to_string())],
            );
        }
        Ok(())
    }

    /// Words of the lead and the sections.
    pub fn word_count(&self) -> usize {
        let bodies = self.sections.iter().map(|section| text::word_count(&section.body));
        text::word_count(&self.lead) + bodies.sum::<usize>()
    }
}

/// An answer cut at its sections.
struct Parts {
    /// The lines before the first section.
    before: String,
    /// Those of each required section. A section that comes twice is joined.
    bodies: Vec<Option<String>>,
    /// The section at the end of the answer.
    last: Option<usize>,
}

fn split(text: &str, outline: &Outline, required_count: usize) -> Parts {
    let mut parts = Parts { before: String::new(), bodies: vec![None; required_count], last: None };
    let mut opens = outline.opens.iter();
    for line in classify(text) {
        let opened = heading_of(line).and_then(|_| opens.next().copied().flatten());
        parts.last = opened.or(parts.last);
        match parts.last.map(|section| parts.bodies[section].get_or_insert_default()) {
            Some(_) if opened.is_some() => {}
            Some(body) => push_line(body, line, |level| level_below(level, outline.section_level)),
            None => push_line(&mut parts.before, line, |level| level),
        }
    }
    parts
}

/// The level of a heading inside of a section, when the section itself moves to [`SECTION_LEVEL`].
fn level_below(level: u8, section_level: u8) -> u8 {
    (SECTION_LEVEL + level.saturating_sub(section_level).max(1)).min(6)
}

fn push_line(out: &mut String, line: Line<'_>, level: impl Fn(u8) -> u8) {
    match line {
        Line::Heading { level: found, text } => {
            out.push_str(&format!("{} {text}", "#".repeat(level(found).into())));
        }
        Line::Blank => {}
        Line::Bold { line, .. } | Line::Fence { line } | Line::Code(line) | Line::Text(line) => {
            out.push_str(line);
        }
    }
    out.push('\n');
}

fn collect(
    required: &[&str],
    parts: &Parts,
    outline: &Outline,
) -> Result<Vec<Section>, StageError> {
    let missing = required.iter().zip(&parts.bodies).filter(|(_, body)| body.is_none());
    let missing: Vec<&str> = missing.map(|(heading, _)| *heading).collect();
    refuse("section_missing", "missing", &missing, &instead(&outline.unknown))?;
    let bodies = parts.bodies.iter().enumerate().map(|(section, body)| {
        let body = normalize(body.as_deref().unwrap_or_default());
        let is_last = parts.last == Some(section);
        if is_last { without_closing(&body).to_owned() } else { without_rule(&body).to_owned() }
    });
    let sections: Vec<Section> = required
        .iter()
        .zip(bodies)
        .map(|(heading, body)| Section { heading: (*heading).to_owned(), body })
        .collect();
    let empty = sections.iter().filter(|section| is_placeholder(&section.body));
    let empty: Vec<&str> = empty.map(|section| section.heading.as_str()).collect();
    refuse("section_empty", "without text", &empty, "")?;
    Ok(sections)
}

fn refuse(code: &str, what: &str, headings: &[&str], cure: &str) -> Result<(), StageError> {
    let named: Vec<String> = headings.iter().map(|heading| format!("`## {heading}`")).collect();
    let message = match named.as_slice() {
        [] => return Ok(()),
        [one] => format!("the required section {one} is {what}{cure}"),
        _ => format!("the required sections {} are {what}{cure}", named.join(", ")),
    };
    Err(StageError::invalid_output(code, message))
}

/// What to say about unknown headings where required ones are missing: most often they are translations.
fn instead(unknown: &[String]) -> String {
    if unknown.is_empty() {
        return String::new();
    }
    let named: Vec<String> = unknown.iter().map(|heading| format!("`{heading}`")).collect();
    format!(
        "; the answer has other headings: {}; write the required headings in English, letter for letter as they were \
         given, although the text is in another language",
        named.join(", ")
    )
}

/// Whether a section says nothing, or only that somebody has to write it.
fn is_placeholder(body: &str) -> bool {
    let body = body.trim();
    let is_bracketed = body.starts_with('[') && body.ends_with(']') && !body.contains("](");
    !body.contains(char::is_alphanumeric)
        || (body.len() <= PLACEHOLDER_BYTES_MAX
            && (is_bracketed || PLACEHOLDERS.contains(&slug(body).as_str())))
}

/// Takes off rules and closing remarks at the end of the answer.
fn without_closing(body: &str) -> &str {
    let mut body = without_rule(body);
    while let Some((before, last)) = body.rsplit_once("\n\n")
        && is_closing(last)
    {
        body = without_rule(before);
    }
    body
}

/// Whether a paragraph speaks to who asked. Quotations and items of lists belong to the document.
fn is_closing(paragraph: &str) -> bool {
    let start = paragraph.trim_start_matches(['*', '_', '(']);
    let is_item = paragraph.starts_with("* ");
    let start = start.to_lowercase();
    !is_item && CLOSING_REMARKS.iter().any(|remark| start.starts_with(remark))
}

fn without_rule(text: &str) -> &str {
    let text = text.trim_end();
    let last = text.rsplit('\n').next().unwrap_or(text);
    let is_rule = matches!(last.trim(), "---" | "***" | "___");
    if is_rule { text[..text.len() - last.len()].trim_end() } else { text }
}

/// Title and lead. What comes before the title is chat; without a title, all but quotations is.
fn opening(before: &str) -> (Option<String>, String) {
    let mut title = None;
    let mut lead = String::new();
    for line in classify(before) {
        if let (Line::Heading { level: 1, text }, None) = (line, &title) {
            title = Some(text.to_owned());
            lead = quotations(&lead);
            continue;
        }
        push_line(&mut lead, line, |level| level.max(SECTION_LEVEL + 1));
    }
    let lead = if title.is_some() { lead } else { quotations(&lead) };
    let lead = normalize(&lead);
    (title, without_rule(&lead).to_owned())
}

fn quotations(text: &str) -> String {
    text.lines()
        .filter(|line| line.is_empty() || line.starts_with('>'))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
mod tests;
