//! Plans an implementation and writes its code, as files that a person can take over.
//!
//! The model answers in Markdown, since code in JSON is code with escapes, which models get wrong; `reading` takes the
//! files out of it.
mod prompt;
mod reading;
mod settings;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifacts as they are announced. The setting `artifact` puts another name in the place of `implementation`.
const IMPLEMENTATION: &str = "implementation.md";
const IMPLEMENTATION_JSON: &str = "implementation.json";
/// What it needs.
const STORIES: &str = "stories.json";
/// What it uses where it exists.
const USED: [&str; 2] = ["product-brief.md", "architecture.md"];

struct Developer;

impl Stage for Developer {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Plans an implementation of the user stories and writes its code, file by file.",
        )
        .needing(STORIES)
        .using(USED[0])
        .using(USED[1])
        .using(IMPLEMENTATION)
        .making_markdown(IMPLEMENTATION, "Approach, steps, files with their code, how to check it.")
        .making_json(IMPLEMENTATION_JSON, "The files for programs, and which stories they serve.")
        .with_settings(&settings::schema())
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

export_stage!(Developer);

#[cfg(test)]
mod tests;
