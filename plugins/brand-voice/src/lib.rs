//! Finds the voice of a brand: traits, tone by situation, vocabulary, style, sample lines.
//!
//! The glue between the contract and two pure modules: `prompt` says what is asked, `reading` what becomes of the answer.
mod prompt;
mod reading;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact that the stage makes.
const BRAND_VOICE: &str = "brand-voice.md";
/// What it needs.
const RESEARCH: &str = "research.md";

struct BrandVoice;

impl Stage for BrandVoice {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Finds the voice of the brand, so that ten writers sound like one.",
        )
        .needing(RESEARCH)
        .making_markdown(
            BRAND_VOICE,
            "Traits, tone by situation, vocabulary, style, sample lines, do and don't.",
        )
        .with_settings(&settings::schema())
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        prompt::build(context, &context.settings_as()?)
    }

    fn post_process(
        context: &StageContext,
        answer: &Completion,
    ) -> Result<StageOutput, StageError> {
        reading::read(answer.whole_text()?, &context.settings_as()?)
    }
}

export_stage!(BrandVoice);

#[cfg(test)]
mod tests;
