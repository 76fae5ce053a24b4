//! Questions that a stage asks of its context.
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Artifact, EarlierArtifact, MARKDOWN, StageContext, StageError, Variable};

impl StageContext {
    /// A first attempt with a request and nothing else. For tests.
    pub fn new(request_text: impl Into<String>) -> Self {
        Self {
            request_text: request_text.into(),
            run_id: "run_test".to_owned(),
            thread_id: None,
            brand_id: None,
            project_id: None,
            stage_key: "stage".to_owned(),
            attempt: 1,
            settings: "{}".to_owned(),
            variables: Vec::new(),
            artifacts: Vec::new(),
            skills: Vec::new(),
            revision: None,
        }
    }

    /// Adds a Markdown artifact of an earlier stage. For tests.
    #[must_use]
    pub fn with_artifact(mut self, stage: &str, name: &str, body: &str) -> Self {
        let artifact = Artifact {
            name: name.to_owned(),
            media_type: MARKDOWN.to_owned(),
            body: body.to_owned(),
        };
        self.artifacts.push(EarlierArtifact { stage: stage.to_owned(), artifact });
        self
    }

    /// Sets the settings. For tests.
    #[must_use]
    pub fn with_settings(mut self, settings: &Value) -> Self {
        self.settings = settings.to_string();
        self
    }

    /// The settings, as the author's type. The host has checked them against the schema and filled its defaults in; serde
    /// defaults do the same in tests.
    ///
    /// # Errors
    /// [`StageError::BadInput`] with the code `bad_settings`.
    pub fn settings_as<T: DeserializeOwned>(&self) -> Result<T, StageError> {
        let text = if self.settings.trim().is_empty() { "{}" } else { &self.settings };
        serde_json::from_str(text).map_err(|error| {
            StageError::bad_input("bad_settings", format!("the settings cannot be used: {error}"))
        })
    }

    /// An artifact of an earlier stage; of several with the name, the latest stage's.
    pub fn artifact(&self, name: &str) -> Option<&EarlierArtifact> {
        self.artifacts.iter().rev().find(|earlier| earlier.artifact.name == name)
    }

    /// An artifact without which the stage cannot work.
    ///
    /// # Errors
    /// [`StageError::BadInput`] with the code `artifact_missing`.
    pub fn required_artifact(&self, name: &str) -> Result<&EarlierArtifact, StageError> {
        self.artifact(name).filter(|earlier| !earlier.artifact.body.trim().is_empty()).ok_or_else(|| {
            StageError::bad_input(
                "artifact_missing",
                format!("`{name}` is needed, and no earlier stage made it: put the stage that makes it before this one"),
            )
        })
    }

    /// A context variable of the run. What is not JSON counts as text.
    pub fn variable(&self, name: &str) -> Option<Value> {
        self.variables.iter().find(|variable| variable.name == name).map(Variable::parsed)
    }
}

impl Variable {
    /// The value. What is not JSON counts as text.
    pub fn parsed(&self) -> Value {
        serde_json::from_str(&self.value).unwrap_or_else(|_| Value::String(self.value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        depth: u32,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { depth: 3 }
        }
    }

    #[test]
    fn settings_have_defaults_and_unknown_ones_are_named() {
        let context = StageContext::new("bees");
        assert_eq!(context.settings_as::<Settings>().unwrap(), Settings { depth: 3 });

        let wrong = context.with_settings(&serde_json::json!({"dept": 4}));
        let error = wrong.settings_as::<Settings>().unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.code, "bad_settings");
        assert!(failure.message.contains("`dept`"), "{}", failure.message);
    }

    #[test]
    fn the_latest_artifact_with_a_name_counts() {
        let context = StageContext::new("bees")
            .with_artifact("a", "x.md", "old")
            .with_artifact("b", "x.md", "new");
        assert_eq!(context.artifact("x.md").unwrap().artifact.body, "new");
        assert_eq!(
            context.required_artifact("y.md").unwrap_err().failure().unwrap().code,
            "artifact_missing"
        );
    }

    #[test]
    fn an_artifact_without_text_is_missing() {
        let context = StageContext::new("bees").with_artifact("a", "x.md", " \n");
        assert!(context.required_artifact("x.md").is_err());
    }
}
