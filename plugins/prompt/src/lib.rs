//! Does what its settings say: a prompt from a template, an answer with required sections or by a JSON Schema. A stage
//! that asks one question needs no code of its own.
//!
//! The glue between the contract and pure modules: `template` reads and fills templates, `asking` makes the question of
//! them, `reading` says what becomes of the answer, and `rendering` shows JSON to people.
mod asking;
mod reading;
mod rendering;
mod settings;
mod template;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifacts as they are announced. The setting `artifact` puts another name in the place of `document`.
const DOCUMENT: &str = "document.md";
const DOCUMENT_JSON: &str = "document.json";

struct Prompted;

impl Stage for Prompted {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Asks what the profile's template says, and checks the answer by sections or by JSON Schema.",
        )
        .making_markdown(DOCUMENT, "The answer for people; named by the setting `artifact`.")
        .making_json(DOCUMENT_JSON, "The answer for programs, with the same name.")
        .with_settings(&settings::schema())
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        asking::build(context, &settings::Settings::of(context)?)
    }

    fn post_process(
        context: &StageContext,
        answer: &Completion,
    ) -> Result<StageOutput, StageError> {
        reading::read(context, answer.whole_text()?, &settings::Settings::of(context)?)
    }
}

export_stage!(Prompted);

#[cfg(test)]
mod tests;
