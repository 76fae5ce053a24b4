//! Describing a plugin.
use serde_json::Value;

use crate::{ArtifactSpec, JSON, MARKDOWN, StageInfo};

/// The schema of a stage without settings.
const NO_SETTINGS: &str = r#"{"type":"object","properties":{},"additionalProperties":false}"#;

impl StageInfo {
    /// A plugin without inputs, artifacts and settings.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            needs: Vec::new(),
            uses: Vec::new(),
            makes: Vec::new(),
            settings_schema: NO_SETTINGS.to_owned(),
        }
    }

    /// Names an artifact of an earlier stage without which the stage cannot work.
    #[must_use]
    pub fn needing(mut self, artifact: impl Into<String>) -> Self {
        self.needs.push(artifact.into());
        self
    }

    /// Names an artifact of an earlier stage that the stage uses where it exists.
    #[must_use]
    pub fn using(mut self, artifact: impl Into<String>) -> Self {
        self.uses.push(artifact.into());
        self
    }

    /// Announces a Markdown artifact.
    #[must_use]
    pub fn making_markdown(self, name: impl Into<String>, summary: impl Into<String>) -> Self {
        self.making(name, MARKDOWN, summary)
    }

    /// Announces a JSON artifact.
    #[must_use]
    pub fn making_json(self, name: impl Into<String>, summary: impl Into<String>) -> Self {
        self.making(name, JSON, summary)
    }

    /// Announces an artifact.
    #[must_use]
    pub fn making(
        mut self,
        name: impl Into<String>,
        media_type: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        self.makes.push(ArtifactSpec {
            name: name.into(),
            media_type: media_type.into(),
            summary: summary.into(),
        });
        self
    }

    /// The JSON Schema of the settings.
    #[must_use]
    pub fn with_settings(mut self, schema: &Value) -> Self {
        self.settings_schema = schema.to_string();
        self
    }
}
