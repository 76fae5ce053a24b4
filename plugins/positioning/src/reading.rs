//! What becomes of the answer.
use serde_json::json;
use stage_sdk::markdown::{Document, item_names};
use stage_sdk::prompt::Section;
use stage_sdk::{StageError, StageOutput, text};

use crate::POSITIONING;
use crate::prompt::{DIFFERENTIATORS, PILLARS, SECTIONS, STATEMENT};
use crate::settings::Settings;

/// A statement with more words than this is a paragraph, which nobody will remember or repeat.
const STATEMENT_WORD_COUNT_MAX: usize = 90;
/// A sentence with fewer words than this is a label or a line of advertising.
const STATEMENT_WORD_COUNT_MIN: usize = 8;
/// From this length on a sentence is none of these, also where no blanks part its words. In characters.
const STATEMENT_CHARS_MIN: usize = 60;
/// Longest label that announces the statement, such as `Here is the positioning statement in the classic form:`.
const LABEL_WORD_COUNT_MAX: usize = 12;
/// The part of the statement in the line that people see, in bytes.
const SUMMARY_BYTES_MAX: usize = 280;

pub(crate) fn read(answer: &str, settings: &Settings) -> Result<StageOutput, StageError> {
    let document = Document::read(answer, &Section::headings(&SECTIONS))?;
    document.check_length(settings.word_count_max)?;
    let statement = statement(document.section(STATEMENT).unwrap_or_default())?;
    let names = |heading| document.section(heading).map(item_names).unwrap_or_default();
    let pillars = names(PILLARS);
    Ok(StageOutput::new(text::cut(&statement, SUMMARY_BYTES_MAX))
        .with_markdown(POSITIONING, document.to_markdown("Positioning"))
        .with_data(&json!({
            "statement": statement,
            "sections": document.to_map(),
            "differentiators": names(DIFFERENTIATORS),
            "pillars": pillars,
            "word_count": document.word_count(),
        }))
        .with_variable("positioning_statement", &statement)
        .with_variable("value_pillars", &pillars))
}

/// The statement: the first sentence of the first paragraph that begins with one that is long enough, quoted or not,
/// without label, quotation marks and emphasis.
fn statement(section: &str) -> Result<String, StageError> {
    let lines: Vec<&str> = section.lines().map(content).collect();
    let text = lines.join("\n");
    let mut sentences = text.split("\n\n").map(sentence).filter(|sentence| {
        text::word_count(sentence) >= STATEMENT_WORD_COUNT_MIN
            || sentence.chars().count() >= STATEMENT_CHARS_MIN
    });
    let Some(sentence) = sentences.find(|sentence| !sentence.ends_with(':')) else {
        return Err(StageError::invalid_output(
            "statement_missing",
            format!(
                "`## {STATEMENT}` has no sentence of at least {STATEMENT_WORD_COUNT_MIN} words at the start of a \
                 paragraph; give the statement as one sentence in a paragraph of its own"
            ),
        ));
    };
    let word_count = text::word_count(&sentence);
    if word_count > STATEMENT_WORD_COUNT_MAX {
        return Err(StageError::invalid_output(
            "statement_too_long",
            format!(
                "the positioning statement has {word_count} words; it has to be one sentence of at most \
                 {STATEMENT_WORD_COUNT_MAX}, in the first paragraph of `## {STATEMENT}`"
            ),
        ));
    }
    Ok(sentence)
}

/// A line without the mark of a quotation; nothing of a heading, a table or a fence.
fn content(line: &str) -> &str {
    let line = line.trim_start_matches(['>', ' ']).trim_end();
    let bold = line.strip_prefix("**").and_then(|rest| rest.strip_suffix("**"));
    let is_heading = bold.is_some_and(|text| text::word_count(text) < STATEMENT_WORD_COUNT_MIN);
    if is_heading || line.starts_with(['#', '|', '`']) { "" } else { line }
}

fn sentence(paragraph: &str) -> String {
    let marks = ['"', '“', '”', '„', '«', '»', '*', '_', '-', ' ', '\n'];
    let text = without_label(paragraph.trim_start_matches(['-', ' ', '\n']));
    let sentence = text::first_sentence(text.trim_matches(marks), usize::MAX);
    sentence.trim_matches(marks).to_owned()
}

/// Takes off `**In short:**` and `Positioning statement:`.
fn without_label(paragraph: &str) -> &str {
    let bold = paragraph.strip_prefix("**").and_then(|rest| rest.split_once("**"));
    if let Some((label, rest)) = bold
        && text::word_count(label) < STATEMENT_WORD_COUNT_MIN
        && (label.ends_with(':') || rest.starts_with(':'))
    {
        return rest.trim_start_matches(':');
    }
    match paragraph.split_once(':') {
        Some((label, rest))
            if label.to_lowercase().contains("statement")
                && text::word_count(label) <= LABEL_WORD_COUNT_MAX =>
        {
            rest
        }
        _ => paragraph,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(section: &str, expected: &str) {
        assert_eq!(statement(section).unwrap(), expected);
    }

    #[test]
    fn the_statement_is_found_in_every_form_of_emphasis() {
        let expected = "For cooks who care, Honeyworks is honey with an address.";
        finds("For cooks who care, Honeyworks is honey with an address. It is plain.", expected);
        finds(
            "> **\"For cooks who care, Honeyworks is honey\n> with an address.\"**\n\nWhy: it is plain.",
            expected,
        );
        finds("*For cooks who care,\nHoneyworks is honey with an address.*\n\nMore.", expected);
    }

    #[test]
    fn labels_and_headings_are_not_the_statement() {
        let expected = "For cooks who care, Honeyworks is honey with an address.";
        for before in [
            "**Positioning statement:** ",
            "**Statement**: ",
            "**Positioning statement:**\n\n",
            "**Positioning statement**\n",
            "### The statement\n\n> ",
            "Here is the positioning statement in the form that was asked for:\n\n> *",
            "Positioning statement: \"",
            "Honey with an address.\n\n- **In short:** ",
            "> **Statement:**\n>\n> ",
        ] {
            finds(
                &format!("{before}{expected}\n\nIt is plain for all who buy and all who sell."),
                expected,
            );
        }
    }

    #[test]
    fn a_section_without_a_statement_is_refused() {
        for section in ["Honey with an address.", "**Positioning statement:**\n\n- short\n- lines"]
        {
            let error = statement(section).unwrap_err();
            let failure = error.failure().unwrap();
            assert_eq!(failure.code, "statement_missing");
            assert!(failure.message.contains("a paragraph of its own"), "{}", failure.message);
        }
    }

    #[test]
    fn a_statement_that_is_a_paragraph_is_refused() {
        let error = statement(&"word ".repeat(91)).unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.code, "statement_too_long");
        assert!(failure.message.contains("has 91 words"), "{}", failure.message);
    }
}
