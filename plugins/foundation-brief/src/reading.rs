//! What becomes of the answer.
use serde_json::{Value, json};
use stage_sdk::markdown::{Document, item_names};
use stage_sdk::prompt::Section;
use stage_sdk::{StageContext, StageError, StageOutput, log, text};

use crate::FOUNDATION_BRIEF;
use crate::prompt::{SECTIONS, STEPS, SUMMARY};
use crate::settings::Settings;

/// The summary as a variable, in bytes: a paragraph or two.
const SUMMARY_BYTES_MAX: usize = 2000;
/// Its first sentence, for the line that people see.
const SENTENCE_BYTES_MAX: usize = 240;
/// What earlier stages decided and the brief has to take over.
const DECIDED: [&str; 2] = ["positioning_statement", "primary_keyword"];

pub(crate) fn read(
    context: &StageContext,
    answer: &str,
    settings: &Settings,
) -> Result<StageOutput, StageError> {
    let document = Document::read(answer, &Section::headings(&SECTIONS))?;
    document.check_length(settings.word_count_max)?;
    let body = document.to_markdown("Foundation brief");
    let not_taken_over = not_taken_over(context, &body);
    for name in &not_taken_over {
        log::warn("the brief does not take over what was decided", &[("variable", name)]);
    }
    let summary = document.section(SUMMARY).and_then(text::first_paragraph).unwrap_or_default();
    let sentence = text::first_sentence(summary, SENTENCE_BYTES_MAX);
    Ok(StageOutput::new(format!("Brief: {sentence}"))
        .with_markdown(FOUNDATION_BRIEF, body)
        .with_data(&json!({
            "sections": document.to_map(),
            "next_steps": document.section(STEPS).map(item_names).unwrap_or_default(),
            "not_taken_over": not_taken_over,
            "word_count": document.word_count(),
        }))
        .with_variable("brief_summary", &text::one_line(summary, SUMMARY_BYTES_MAX)))
}

/// Names of decided texts that the brief does not have. Not a reason to ask again: a translated keyword or a statement
/// with a changed comma is for a person to judge, who sees it in the log and the data.
fn not_taken_over<'a>(context: &StageContext, body: &str) -> Vec<&'a str> {
    let words = folded(body);
    DECIDED
        .into_iter()
        .filter(|name| match context.variable(name) {
            Some(Value::String(decided)) => !words.contains(&folded(&decided)),
            _ => false,
        })
        .collect()
}

/// The words alone, so that line breaks, emphasis and quotation marks make no difference.
fn folded(text: &str) -> String {
    let lower = text.to_lowercase();
    let words =
        lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}
