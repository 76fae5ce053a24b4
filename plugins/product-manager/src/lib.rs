//! Writes what is to be built and why: a product brief, with user stories and acceptance criteria that later stages refer to
//! by their identifiers.
//!
//! The model answers in JSON; `reading` checks it and gives the identifiers, so that they are unique whatever the model
//! would have written.
mod prompt;
mod reading;
mod rendering;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact for people.
const PRODUCT_BRIEF: &str = "product-brief.md";
/// The artifact for programs, and for the stages that trace their work to it.
const STORIES: &str = "stories.json";

struct ProductManager;

impl Stage for ProductManager {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Writes the product brief: problem, goals, user stories with acceptance criteria, scope.",
        )
        .making_markdown(PRODUCT_BRIEF, "Problem, users, goals, user stories with acceptance criteria, scope.")
        .making_json(STORIES, "User stories and acceptance criteria with their identifiers.")
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

export_stage!(ProductManager);

#[cfg(test)]
mod tests;
