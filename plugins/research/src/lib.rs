//! Researches market, audience and competition for a product, as the first stage of a marketing workflow.
//!
//! The glue between the contract and two pure modules: `prompt` says what is asked, `reading` what becomes of the answer.
mod prompt;
mod reading;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact that the stage makes.
const RESEARCH: &str = "research.md";

struct Research;

impl Stage for Research {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Researches offer, market, audience and competitors, and says what is assumed.",
        )
        .making_markdown(
            RESEARCH,
            "Offer, market, audience, competitors, trends, opportunities, open questions.",
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

export_stage!(Research);

#[cfg(test)]
mod tests;
