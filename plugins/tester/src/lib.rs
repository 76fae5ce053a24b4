//! Plans tests, and says which acceptance criteria they cover and which they leave out.
//!
//! The model answers in JSON, whose schema names the criteria there are; `reading` makes the table of what is covered.
mod criteria;
mod prompt;
mod reading;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact for people.
const TEST_PLAN: &str = "test-plan.md";
/// The artifact for programs.
const TEST_PLAN_JSON: &str = "test-plan.json";
/// What it needs.
const STORIES: &str = "stories.json";
/// What it uses where it exists.
const USED: [&str; 3] = ["architecture.md", "implementation.md", "frontend.md"];

struct Tester;

impl Stage for Tester {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Plans tests for the acceptance criteria, and says which of them no test covers.",
        )
        .needing(STORIES)
        .using(USED[0])
        .using(USED[1])
        .using(USED[2])
        .making_markdown(TEST_PLAN, "Approach, test cases, and which criteria they cover.")
        .making_json(
            TEST_PLAN_JSON,
            "Test cases with the criteria that each covers, and those that none covers.",
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
        reading::read(context, answer.whole_text()?)
    }
}

export_stage!(Tester);

#[cfg(test)]
mod tests;
