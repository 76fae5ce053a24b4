//! Writes the Foundation brief from research, voice, positioning and keywords: one document to work from.
//!
//! The glue between the contract and two pure modules: `prompt` says what is asked, `reading` what becomes of the answer.
mod prompt;
mod reading;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact that the stage makes.
const FOUNDATION_BRIEF: &str = "foundation-brief.md";
/// What it needs, in the order in which it is quoted.
const NEEDED: [&str; 4] = ["research.md", "brand-voice.md", "positioning.md", "keywords.md"];

struct FoundationBrief;

impl Stage for FoundationBrief {
    fn info() -> StageInfo {
        let info = StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Writes the brief that everybody works from, out of research, voice, positioning and keywords.",
        )
        .making_markdown(FOUNDATION_BRIEF, "Objective, audience, message, voice, search, channels, measures, next steps.")
        .with_settings(&settings::schema());
        NEEDED.iter().fold(info, |info, artifact| info.needing(*artifact))
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        prompt::build(context, &context.settings_as()?)
    }

    fn post_process(
        context: &StageContext,
        answer: &Completion,
    ) -> Result<StageOutput, StageError> {
        reading::read(context, answer.whole_text()?, &context.settings_as()?)
    }
}

export_stage!(FoundationBrief);

#[cfg(test)]
mod tests;
