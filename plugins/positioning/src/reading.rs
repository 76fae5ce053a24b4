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

/// The statement: the first sentence of prose, or of a quotation, without quotation marks and emphasis.
fn statement(section: &str) -> Result<String, StageError> {
    let quoted: String =
        section.lines().take_while(|line| line.starts_with('>')).collect::<Vec<_>>().join(" ");
    let quoted = quoted.replace('>', " ");
    let paragraph = if quoted.trim().is_empty() {
        text::first_paragraph(section).unwrap_or(section)
    } else {
        &quoted
    };
    let marks = ['"', '“', '”', '„', '«', '»', '*', '_', ' '];
    let sentence = text::first_sentence(paragraph.trim_matches(marks), usize::MAX);
    let sentence = sentence.trim_matches(marks).to_owned();
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
    fn a_statement_that_is_a_paragraph_is_refused() {
        let error = statement(&"word ".repeat(91)).unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.code, "statement_too_long");
        assert!(failure.message.contains("has 91 words"), "{}", failure.message);
    }
}
