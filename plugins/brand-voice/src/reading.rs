//! What becomes of the answer.
use serde_json::json;
use stage_sdk::markdown::{Document, item_names};
use stage_sdk::prompt::Section;
use stage_sdk::{StageError, StageOutput, text};

use crate::BRAND_VOICE;
use crate::prompt::{ESSENCE, SECTIONS, TRAITS};
use crate::settings::Settings;

/// The voice as a variable, in bytes: a paragraph.
const ESSENCE_BYTES_MAX: usize = 1000;
/// Its first sentence, for the line that people see.
const SENTENCE_BYTES_MAX: usize = 200;

pub(crate) fn read(answer: &str, settings: &Settings) -> Result<StageOutput, StageError> {
    let document = Document::read(answer, &Section::headings(&SECTIONS))?;
    document.check_length(settings.word_count_max)?;
    let traits = document.section(TRAITS).map(item_names).unwrap_or_default();
    let essence = document.section(ESSENCE).and_then(text::first_paragraph).unwrap_or_default();
    Ok(StageOutput::new(summary(&traits, essence))
        .with_markdown(BRAND_VOICE, document.to_markdown("Brand voice"))
        .with_data(&json!({
            "sections": document.to_map(),
            "traits": traits,
            "word_count": document.word_count(),
        }))
        .with_variable("brand_voice", &text::one_line(essence, ESSENCE_BYTES_MAX))
        .with_variable("voice_traits", &traits))
}

fn summary(traits: &[String], essence: &str) -> String {
    match traits {
        [] => format!("Brand voice: {}", text::first_sentence(essence, SENTENCE_BYTES_MAX)),
        _ => format!("Brand voice: {}.", traits.join(", ")),
    }
}
