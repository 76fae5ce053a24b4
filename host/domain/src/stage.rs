//! What a stage is given, what it says about itself, and what it gives back.
use crate::ids::VariableName;
use crate::{Artifact, Json, RunId, StageKey};

/// What a plugin says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageInfo {
    /// Its name, e.g. `brand-voice`.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// What the stage does, in one line.
    pub summary: String,
    /// Artifacts of earlier stages without which it cannot work.
    pub needs: Vec<String>,
    /// Artifacts of earlier stages that it uses where they exist.
    pub uses: Vec<String>,
    /// Artifacts that it makes.
    pub makes: Vec<ArtifactSpec>,
    /// JSON Schema of its settings.
    pub settings_schema: Json,
}

/// An artifact that a stage announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactSpec {
    /// Its file name.
    pub name: String,
    /// For example `text/markdown`.
    pub media_type: String,
    /// What is in it, in one line.
    pub summary: String,
}

/// A text that the profile hands to a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// Its text.
    pub body: String,
}

/// An artifact of an earlier stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierArtifact {
    /// The stage that made it.
    pub stage: StageKey,
    /// The artifact.
    pub artifact: Artifact,
}

/// A context variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: VariableName,
    /// Its value.
    pub value: Json,
}

/// What a reviewer asked for when a stage has to be done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The reviewer's words.
    pub feedback: String,
    /// The artifacts that the words are about.
    pub previous: Vec<Artifact>,
}

/// Whoever a run belongs to, in the words of the program that started it. Stagewright gives these no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Belonging {
    /// The conversation that the run is part of.
    pub thread_id: Option<String>,
    /// The brand that it is about.
    pub brand_id: Option<String>,
    /// The project that it is part of.
    pub project_id: Option<String>,
}

/// Everything a stage may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageContext {
    /// What was asked for.
    pub request_text: String,
    /// The run.
    pub run_id: RunId,
    /// Whoever it belongs to.
    pub belonging: Belonging,
    /// The stage.
    pub stage_key: StageKey,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// JSON object that follows the plugin's schema.
    pub settings: Json,
    /// Context variables.
    pub variables: Vec<Variable>,
    /// Artifacts of earlier stages.
    pub artifacts: Vec<EarlierArtifact>,
    /// Texts from the profile.
    pub skills: Vec<Skill>,
    /// Set when a reviewer sent the stage back.
    pub revision: Option<Revision>,
}

/// What a stage leaves behind, checked: names are names, JSON is JSON, and the artifacts are those announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageOutput {
    /// The artifacts.
    pub artifacts: Vec<Artifact>,
    /// The same result for programs.
    pub data: Json,
    /// One line for people.
    pub summary: String,
    /// Context variables to set.
    pub variables: Vec<Variable>,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// For who looks at the run.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }
}

/// One line of a stage's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How important it is.
    pub level: LogLevel,
    /// Its text.
    pub message: String,
    /// Its key-value fields.
    pub fields: Vec<(String, String)>,
}

/// The log of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageLog {
    /// Lines that were kept.
    pub lines: Vec<LogLine>,
    /// Bytes that were dropped because the log was full.
    pub dropped_bytes: u64,
}
