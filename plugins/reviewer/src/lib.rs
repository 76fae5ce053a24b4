//! Reviews what a crew made against what was asked for: findings with severities, and a verdict that follows from them.
//!
//! The model answers in JSON. Invariant: the verdict is never milder than the worst finding.
mod prompt;
mod reading;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact for people.
const REVIEW: &str = "review.md";
/// The artifact for programs.
const REVIEW_JSON: &str = "review.json";
/// What it needs.
const NEEDED: [&str; 2] = ["product-brief.md", "implementation.md"];
/// What it uses where it exists.
const USED: [&str; 3] = ["architecture.md", "frontend.md", "test-plan.md"];

struct Reviewer;

impl Stage for Reviewer {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Reviews the work against the product brief: findings with severity, and a verdict.",
        )
        .needing(NEEDED[0])
        .needing(NEEDED[1])
        .using(USED[0])
        .using(USED[1])
        .using(USED[2])
        .making_markdown(REVIEW, "Verdict, findings by severity, what is good.")
        .making_json(REVIEW_JSON, "Verdict and findings for programs.")
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

export_stage!(Reviewer);

#[cfg(test)]
mod tests;
