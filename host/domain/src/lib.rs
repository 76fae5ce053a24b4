//! What a run is and what may happen next.
//!
//! The vocabulary of the whole program: identifiers, the plan that a run is bound to, the run's state machine
//! ([`run`]), what a stage is given and gives back ([`stage`]), one question to a model ([`model`]), and the two
//! ports through which stages are executed ([`port`]).
//!
//! Nothing here performs anything: no input or output, no clock, no randomness, no `async fn`, no serialization.
//! Time and identifiers are made in `engine` and handed in; records for disk and wire live in `store` and
//! `control-api`.
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod artifact;
pub mod fault;
pub mod http;
pub mod ids;
pub mod limits;
pub mod model;
pub mod naming;
pub mod plan;
pub mod port;
pub mod run;
pub mod stage;
pub mod time;
pub mod upload;

pub use artifact::{Artifact, ArtifactName, ArtifactRef, is_json_media_type};
pub use fault::{Fault, FaultKind};
pub use ids::{ApprovalId, CallId, Digest, InvalidId, Mode, RunId, StageKey};
pub use limits::Limits;
pub use plan::{Plan, PlannedStage, StageIdx};
pub use time::Timestamp;

/// JSON text.
///
/// The domain carries JSON and never looks into it: whoever makes one has parsed it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

impl Json {
    /// Wraps text that the caller has parsed as JSON.
    pub fn from_parsed(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The empty object, `{}`.
    pub fn empty_object() -> Self {
        Self("{}".into())
    }

    /// `null`.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
