//! Putting together what a stage leaves behind.
use serde::Serialize;

use crate::{Artifact, JSON, MARKDOWN, StageOutput, Variable, text};

/// Bytes of a summary that the contract allows.
const SUMMARY_BYTES_MAX: usize = 300;

impl StageOutput {
    /// A result with nothing but a summary, which is made to fit into one line of the contract's length.
    pub fn new(summary: impl AsRef<str>) -> Self {
        Self {
            artifacts: Vec::new(),
            data: "null".to_owned(),
            summary: text::one_line(summary.as_ref(), SUMMARY_BYTES_MAX),
            variables: Vec::new(),
        }
    }

    /// Adds a Markdown artifact.
    #[must_use]
    pub fn with_markdown(self, name: impl Into<String>, body: impl Into<String>) -> Self {
        self.with_artifact(name, MARKDOWN, body)
    }

    /// Adds a JSON artifact, written for people to read.
    #[must_use]
    pub fn with_json(self, name: impl Into<String>, value: &impl Serialize) -> Self {
        let mut body =
            serde_json::to_string_pretty(value).expect("a value without maps of odd keys is JSON");
        body.push('\n');
        self.with_artifact(name, JSON, body)
    }

    /// Adds an artifact.
    #[must_use]
    pub fn with_artifact(
        mut self,
        name: impl Into<String>,
        media_type: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        self.artifacts.push(Artifact {
            name: name.into(),
            media_type: media_type.into(),
            body: body.into(),
        });
        self
    }

    /// The result for programs.
    #[must_use]
    pub fn with_data(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::to_string(data).expect("a value without maps of odd keys is JSON");
        self
    }

    /// Sets a context variable of the run.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: &impl Serialize) -> Self {
        let value = serde_json::to_string(value).expect("a value without maps of odd keys is JSON");
        self.variables.push(Variable { name: name.into(), value });
        self
    }
}
