//! Joins a [`Stage`] to the functions that the component exports. Used by [`export_stage!`](crate::export_stage) alone.
use std::marker::PhantomData;

use crate::bindings::exports::stagewright::stage::plugin::Guest;
use crate::{HostModel, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput};

/// A stage, seen from the host.
#[derive(Debug)]
pub struct Exported<S>(PhantomData<S>);

impl<S: Stage> Guest for Exported<S> {
    fn describe() -> StageInfo {
        S::info()
    }

    fn build_prompt(context: StageContext) -> Result<ModelRequest, StageError> {
        S::build_prompt(&context)
    }

    fn run(context: StageContext) -> Result<StageOutput, StageError> {
        S::run(&context, &mut HostModel)
    }
}
