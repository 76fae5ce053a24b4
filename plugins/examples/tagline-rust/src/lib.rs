//! Writes taglines: the glue between the contract and `taglines`, which says what is asked and what an answer has to be.
mod taglines;

use stage_sdk::{
    Completion, Model, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput,
    ask_until_usable, export_stage, log,
};

struct Tagline;

impl Stage for Tagline {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Writes taglines for what the request describes.",
        )
        .making_markdown("taglines.md", "The taglines, as a numbered list.")
        .with_settings(&taglines::settings_schema())
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        taglines::question(context)
    }

    fn post_process(
        context: &StageContext,
        answer: &Completion,
    ) -> Result<StageOutput, StageError> {
        let count = taglines::count_of(context)?;
        taglines::read(&answer.content, count).map(|written| taglines::output(&written))
    }

    fn run(context: &StageContext, model: &mut dyn Model) -> Result<StageOutput, StageError> {
        let request = Self::build_prompt(context)?;
        let output =
            ask_until_usable(model, request, |answer| Self::post_process(context, answer))?;
        let count = taglines::count_of(context)?;
        log::info("taglines are written", &[("count", &count.to_string())]);
        Ok(output)
    }
}

export_stage!(Tagline);
