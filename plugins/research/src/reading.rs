//! What becomes of the answer.
use serde_json::json;
use stage_sdk::markdown::{Document, item_names};
use stage_sdk::prompt::Section;
use stage_sdk::{StageError, StageOutput, log, text};

use crate::RESEARCH;
use crate::prompt::{COMPETITORS, OPPORTUNITIES, SECTIONS, SUMMARY};
use crate::settings::Settings;

/// The summary that later stages and pages see as a variable, in bytes: a paragraph.
const SUMMARY_BYTES_MAX: usize = 1000;
/// Its first sentence, as the stage's line for people.
const SENTENCE_BYTES_MAX: usize = 240;

pub(crate) fn read(answer: &str, settings: &Settings) -> Result<StageOutput, StageError> {
    let document = Document::read(answer, &Section::headings(&SECTIONS))?;
    document.check_length(settings.words())?;
    let names = |heading| document.section(heading).map(item_names).unwrap_or_default();
    let competitors = names(COMPETITORS);
    if competitors.len() > settings.competitor_count_max as usize {
        log::warn("more competitors than asked for", &[("found", &competitors.len().to_string())]);
    }
    let summary = document.section(SUMMARY).and_then(text::first_paragraph).unwrap_or_default();
    let sentence = text::first_sentence(summary, SENTENCE_BYTES_MAX);
    Ok(StageOutput::new(format!("Research: {sentence}"))
        .with_markdown(RESEARCH, document.to_markdown("Market research"))
        .with_data(&json!({
            "sections": document.to_map(),
            "competitors": competitors,
            "opportunities": names(OPPORTUNITIES),
            "word_count": document.word_count(),
        }))
        .with_variable("research_summary", &text::one_line(summary, SUMMARY_BYTES_MAX)))
}
