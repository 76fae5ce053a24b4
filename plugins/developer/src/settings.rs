//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};
use stage_sdk::StageContext;

/// Which part of the product the developer is responsible for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Discipline {
    Backend,
    Frontend,
    #[default]
    Whole,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) discipline: Discipline,
    pub(crate) stack: String,
    pub(crate) file_count_max: u32,
    pub(crate) artifact: String,
    pub(crate) language: String,
    pub(crate) word_count_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            discipline: Discipline::default(),
            stack: String::new(),
            file_count_max: 12,
            artifact: "implementation".to_owned(),
            language: String::new(),
            word_count_max: 6000,
        }
    }
}

impl Settings {
    /// What artifacts are called, without extension.
    pub(crate) fn stem<'a>(&'a self, context: &'a StageContext) -> &'a str {
        if self.artifact.is_empty() { &context.stage_key } else { &self.artifact }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "discipline": {
                "description": "The part that is built: what runs behind the interface, the interface, or both.",
                "enum": ["backend", "frontend", "whole"], "default": "whole",
            },
            "stack": {
                "description": "Languages, frameworks and versions, e.g. `TypeScript 5, React 19, Vite`. Empty: what the architecture says.",
                "type": "string", "maxLength": 1000, "default": "",
            },
            "file_count_max": {
                "description": "How many files are written at most.",
                "type": "integer", "minimum": 1, "maximum": 64, "default": 12,
            },
            "artifact": {
                "description": "Name of both artifacts, without extension. Empty: the key of the stage.",
                "type": "string", "maxLength": 100, "default": "implementation", "x-artifact": "implementation",
            },
            "language": {
                "description": "Language of texts, not of code. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
            "word_count_max": {
                "description": "Length of the result, code included, in words.",
                "type": "integer", "minimum": 500, "maximum": 40000, "default": 6000,
            },
        },
        "additionalProperties": false,
    })
}
