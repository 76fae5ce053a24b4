//! A plugin that misbehaves on request, so that a host's defences can be tested.
//!
//! What it does is the `verb` of its settings, one of [`VERBS`]; [`verbs()`] lists their words for tests that walk them all. It
//! knows nothing of the host's limits and expects none: a verb simply goes on until somebody stops it, and an attack that
//! is not stopped is reported in the output's data.
mod attack;
mod verb;

use stage_sdk::{
    Completion, Model, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput,
    export_stage,
};

pub use verb::{Settings, VERBS, Verb, verbs};

/// The artifact that it announces.
pub const ARTIFACT: &str = "rogue.md";

/// The plugin.
#[derive(Debug)]
pub struct Rogue;

impl Stage for Rogue {
    fn info() -> StageInfo {
        StageInfo::new("rogue-stage", "1.0.0", "Misbehaves on request.")
            .making_markdown(ARTIFACT, "Whatever the verb left.")
            .with_settings(&verb::settings_schema())
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        let settings: Settings = context.settings_as()?;
        attack::prompt(context, &settings)
    }

    fn post_process(_: &StageContext, answer: &Completion) -> Result<StageOutput, StageError> {
        Ok(attack::behaved(&answer.content))
    }

    fn run(context: &StageContext, model: &mut dyn Model) -> Result<StageOutput, StageError> {
        let settings: Settings = context.settings_as()?;
        attack::run(context, &settings, model)
    }
}

export_stage!(Rogue);

#[cfg(test)]
mod tests;
