//! Chooses search keywords: primary, secondary and long tail, each with intent, priority and rationale.
//!
//! The model answers in JSON, which `reading` checks and cleans; the table that people see is written by `table`, so that
//! both artifacts say the same.
mod answer;
mod prompt;
mod reading;
mod settings;
mod table;

use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput, export_stage,
};

/// The artifact for people.
const KEYWORDS: &str = "keywords.md";
/// The artifact for programs.
const KEYWORDS_JSON: &str = "keywords.json";
/// What it needs.
const RESEARCH: &str = "research.md";
/// What it needs.
const POSITIONING: &str = "positioning.md";
/// What it uses where it exists.
const BRAND_VOICE: &str = "brand-voice.md";

struct Keywords;

impl Stage for Keywords {
    fn info() -> StageInfo {
        StageInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Chooses search keywords with intent and priority, as a table and as JSON.",
        )
        .needing(RESEARCH)
        .needing(POSITIONING)
        .using(BRAND_VOICE)
        .making_markdown(KEYWORDS, "The keywords as tables: primary, secondary, long tail.")
        .making_json(KEYWORDS_JSON, "The keywords for programs.")
        .with_settings(&settings::schema())
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        prompt::build(context, &context.settings_as()?)
    }

    fn post_process(
        context: &StageContext,
        answer: &Completion,
    ) -> Result<StageOutput, StageError> {
        let settings: settings::Settings = context.settings_as()?;
        Ok(table::output(&reading::read(answer.whole_text()?, &settings)?))
    }
}

export_stage!(Keywords);

#[cfg(test)]
mod tests;
