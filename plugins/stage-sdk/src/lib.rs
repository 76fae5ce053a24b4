//! The guest's side of the contract: what the author of a stage depends on.
//!
//! A stage is a type that implements [`Stage`]: it builds a prompt from a [`StageContext`], and turns the model's
//! [`Completion`] into a [`StageOutput`]. [`export_stage!`] makes a component of it. What lies between, asking the model
//! and asking once more when the answer cannot be used, is done by [`Stage::run`].
//!
//! The types are those of `wit/stage.wit`, with constructors and questions added. The modules are plain text functions
//! that most stages need: [`prompt`], [`markdown`], [`json`], [`schema`], [`front_matter`] and [`text`].
//!
//! This crate does not talk to a host when it is compiled for anything but WebAssembly: there the model is whatever the
//! test hands in, usually a [`ScriptedModel`], and log lines are kept for [`log::take`]. So the logic of a stage is
//! tested with `cargo test`.
//!
//! Invariant: nothing here panics on what a model, a person or a profile wrote.
#![warn(missing_docs)]

mod answer;
#[doc(hidden)]
pub mod bindings;
mod context;
#[doc(hidden)]
pub mod export;
mod failure;
pub mod front_matter;
mod info;
pub mod json;
pub mod log;
pub mod markdown;
mod model;
mod output;
pub mod prompt;
mod request;
pub mod schema;
mod scripted;
mod stage;
pub mod text;

pub use bindings::stagewright::stage::types::{
    Artifact, ArtifactSpec, Completion, EarlierArtifact, Failure, FinishReason, JsonSchema,
    LlmError, Message, ModelOptions, ModelRequest, ResponseFormat, Revision, Role, Skill,
    StageContext, StageError, StageInfo, StageOutput, Usage, Variable,
};
pub use model::{HostModel, Model};
pub use scripted::ScriptedModel;
pub use stage::{Stage, ask_until_usable};

/// The media type of Markdown artifacts.
pub const MARKDOWN: &str = "text/markdown";
/// The media type of JSON artifacts.
pub const JSON: &str = "application/json";

/// Makes a component of a type that implements [`Stage`]. Once per crate; the crate is a `cdylib`.
#[macro_export]
macro_rules! export_stage {
    ($stage:ty) => {
        #[cfg(target_arch = "wasm32")]
        type ExportedStage = $crate::export::Exported<$stage>;
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export_component!(ExportedStage with_types_in $crate::bindings);

        // Elsewhere the names of the exports are no names to a linker, so a native build only checks the type.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::StageInfo = <$stage as $crate::Stage>::info;
    };
}
