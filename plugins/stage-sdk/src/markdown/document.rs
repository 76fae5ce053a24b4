//! A document with the sections that were asked for.
use serde_json::{Map, Value};

use super::lines::{Line, classify};
use super::{normalize, slug, unwrap_fence};
use crate::{StageError, front_matter, log, text};

/// Level of the sections in a document of ours; the title has level 1.
const SECTION_LEVEL: u8 = 2;
/// Bold lines rank behind all headings.
const BOLD_LEVEL: u8 = 7;
/// An answer this many times as long as asked for is asked for again; below, a person can live with it.
const EXCESS_FACTOR_MAX: usize = 3;
/// What a heading may be followed by when a model repeats what belongs under it.
const AFTER_HEADING: [char; 6] = ['-', '–', '—', ':', '(', '|'];
/// How models end an answer when they forget that it is a document. Matched at the start of the last paragraph.
const CLOSING_REMARKS: [&str; 6] = [
    "let me know",
    "would you like",
    "i hope this",
    "feel free to",
    "if you'd like",
    "if you would like",
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
    /// before and after, headings of another level, numbered, bold, or in another order.
    ///
    /// # Errors
    /// [`StageError::InvalidOutput`] with the code `section_missing` or `section_empty`; the message names them.
    pub fn read(answer: &str, required: &[&str]) -> Result<Self, StageError> {
        let answer = normalize(unwrap_fence(text::without_thoughts(answer)));
        let body = front_matter::part(&answer).body;
        let level = section_level(body, required);
        let (before, bodies) = split(body, level, required);
        let sections = collect(required, &bodies)?;
        let (title, lead) = opening(&before);
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

/// Which required section a heading opens.
fn required_index(heading: &str, required: &[&str]) -> Option<usize> {
    let found = slug(heading);
    let exact = required.iter().position(|name| slug(name) == found);
    exact.or_else(|| {
        let (start, _) = heading.split_once(AFTER_HEADING)?;
        required.iter().position(|name| slug(name) == slug(start))
    })
}

/// The heading on a line, with its level.
fn heading_of(line: Line<'_>) -> Option<(u8, &str)> {
    match line {
        Line::Heading { level, text } => Some((level, text)),
        Line::Bold { text, .. } => Some((BOLD_LEVEL, text)),
        Line::Fence { .. } | Line::Code(_) | Line::Blank | Line::Text(_) => None,
    }
}

/// The level at which most of the required sections stand; of equal ones the highest.
fn section_level(text: &str, required: &[&str]) -> u8 {
    let mut found = [[false; BOLD_LEVEL as usize + 1]; 64];
    for (level, heading) in classify(text).filter_map(heading_of) {
        if let Some(index) = required_index(heading, required).filter(|index| *index < found.len())
        {
            found[index][usize::from(level)] = true;
        }
    }
    let count = |level: u8| found.iter().filter(|levels| levels[usize::from(level)]).count();
    (1..=BOLD_LEVEL).rev().max_by_key(|level| count(*level)).unwrap_or(SECTION_LEVEL)
}

/// The lines before the first section, and those of each section. A section that comes twice is joined.
fn split(text: &str, section_level: u8, required: &[&str]) -> (String, Vec<Option<String>>) {
    let mut before = String::new();
    let mut bodies = vec![None; required.len()];
    let mut current: Option<usize> = None;
    for line in classify(text) {
        let heading = heading_of(line);
        let opened = heading
            .filter(|(level, _)| *level == section_level)
            .and_then(|(_, heading)| required_index(heading, required));
        if opened.is_some() {
            current = opened;
        }
        match current.map(|index| bodies[index].get_or_insert_default()) {
            Some(_) if opened.is_some() => {}
            Some(body) => push_line(body, line, |level| level_below(level, section_level)),
            None => push_line(&mut before, line, |level| level),
        }
    }
    (before, bodies)
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

fn collect(required: &[&str], bodies: &[Option<String>]) -> Result<Vec<Section>, StageError> {
    let pairs = || required.iter().zip(bodies);
    let missing = pairs().filter(|(_, body)| body.is_none()).map(|(heading, _)| *heading).collect();
    refuse("section_missing", "missing", missing)?;
    let sections: Vec<Section> = pairs()
        .map(|(heading, body)| {
            let body = normalize(body.as_deref().unwrap_or_default());
            Section { heading: (*heading).to_owned(), body: without_closing(&body).to_owned() }
        })
        .collect();
    let empty = sections.iter().filter(|section| text::word_count(&section.body) == 0);
    refuse(
        "section_empty",
        "without text",
        empty.map(|section| section.heading.as_str()).collect(),
    )?;
    Ok(sections)
}

fn refuse(code: &str, what: &str, headings: Vec<&str>) -> Result<(), StageError> {
    let named: Vec<String> =
        headings.into_iter().map(|heading| format!("`## {heading}`")).collect();
    let message = match named.as_slice() {
        [] => return Ok(()),
        [one] => format!("the required section {one} is {what}"),
        _ => format!("the required sections {} are {what}", named.join(", ")),
    };
    Err(StageError::invalid_output(code, message))
}

/// Takes off rules and a closing remark at the end of a section.
fn without_closing(body: &str) -> &str {
    let body = without_rule(body);
    let last = body.rsplit("\n\n").next().unwrap_or(body);
    let start = last.trim_start_matches(['*', '_', '>', ' ']).to_lowercase();
    let is_remark = CLOSING_REMARKS.iter().any(|remark| start.starts_with(remark));
    if is_remark && last.len() < body.len() {
        without_rule(&body[..body.len() - last.len()])
    } else {
        body
    }
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
    (title, without_closing(&lead).to_owned())
}

fn quotations(text: &str) -> String {
    text.lines()
        .filter(|line| line.is_empty() || line.starts_with('>'))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
mod tests;
