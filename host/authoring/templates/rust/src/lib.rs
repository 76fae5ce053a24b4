//! Turns a request into a short brief that a colleague can work from: one question, one Markdown artifact.
//!
//! Begin here: say in `info` what the stage needs and makes, in `build_prompt` what it asks, and in `post_process` what
//! becomes of the answer. An answer that `post_process` calls unusable is asked for once more, with the reason.
mod settings;

use serde_json::json;
use stage_sdk::prompt::Prompt;
use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput,
    export_stage, markdown, text,
};

use crate::settings::Settings;

/// The artifact that the stage makes.
const BRIEF: &str = "brief.md";
/// An answer with this many times the words that were asked for is asked for again. Models count badly.
const EXCESS_FACTOR_MAX: usize = 2;
/// Longest summary, in bytes; the contract allows 300.
const SUMMARY_BYTES_MAX: usize = 200;

struct Brief;

impl Stage for Brief {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Turns a request into a short brief.",
        )
        .making_markdown(BRIEF, "Goal, audience and the points that matter.")
        .with_settings(&settings::schema())
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        let settings: Settings = context.settings_as()?;
        let prompt = Prompt::new(context, "You write briefs that colleagues can work from.")?
            .rule("Answer with the brief in Markdown and nothing else: no greeting, no code fence.")
            .task(
                "Write a brief of the request: a title line `# …`, one sentence that says the goal and the audience, \
                 then the points that matter as a list.",
            )
            .word_count_max(settings.word_count_max);
        Ok(prompt.build())
    }

    fn post_process(
        context: &StageContext,
        answer: &Completion,
    ) -> Result<StageOutput, StageError> {
        let settings: Settings = context.settings_as()?;
        let answer = text::without_thoughts(answer.whole_text()?);
        let brief = markdown::normalize(markdown::unwrap_fence(answer));
        let word_count = text::word_count(&brief);
        if word_count > settings.word_count_max as usize * EXCESS_FACTOR_MAX {
            // The message is what the model is told: it says what is wrong, and what would be right.
            return Err(StageError::invalid_output(
                "too_long",
                format!(
                    "the brief has {word_count} words; at most {} were asked for",
                    settings.word_count_max
                ),
            ));
        }
        let summary = text::first_paragraph(&brief).unwrap_or(&brief);
        let output = StageOutput::new(text::first_sentence(summary, SUMMARY_BYTES_MAX))
            .with_data(&json!({ "word_count": word_count }));
        Ok(output.with_markdown(BRIEF, brief))
    }
}

export_stage!(Brief);

#[cfg(test)]
mod tests;
