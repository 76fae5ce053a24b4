//! Positions an offer: one statement, whom it is for, what it is compared with, why it is chosen.
//!
//! The glue between the contract and two pure modules: `prompt` says what is asked, `reading` what becomes of the answer.
mod prompt;
mod reading;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact that the stage makes.
const POSITIONING: &str = "positioning.md";
/// What it needs.
const RESEARCH: &str = "research.md";
/// What it uses where it exists.
const BRAND_VOICE: &str = "brand-voice.md";

struct Positioning;

impl Stage for Positioning {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Positions the offer: statement, audience, category, differentiators, pillars, messages.",
        )
        .needing(RESEARCH)
        .using(BRAND_VOICE)
        .making_markdown(POSITIONING, "Positioning statement and everything that carries it.")
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

export_stage!(Positioning);

#[cfg(test)]
mod tests;
