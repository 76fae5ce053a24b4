//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

/// How the brand addresses people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Formality {
    /// As fits the audience.
    #[default]
    Auto,
    Casual,
    Neutral,
    Formal,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) tone: Vec<String>,
    pub(crate) avoid: Vec<String>,
    pub(crate) formality: Formality,
    pub(crate) language: String,
    pub(crate) word_count_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tone: Vec::new(),
            avoid: Vec::new(),
            formality: Formality::default(),
            language: String::new(),
            word_count_max: 1000,
        }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "tone": {
                "description": "Hints at the tone, e.g. `warm`, `dry humor`.",
                "type": "array", "maxItems": 8, "default": [],
                "items": { "type": "string", "minLength": 1, "maxLength": 60 },
            },
            "avoid": {
                "description": "Words and manners that the brand must never use.",
                "type": "array", "maxItems": 50, "default": [],
                "items": { "type": "string", "minLength": 1, "maxLength": 100 },
            },
            "formality": {
                "description": "How the brand addresses people. `auto`: as fits the audience.",
                "enum": ["auto", "casual", "neutral", "formal"],
                "default": "auto",
            },
            "language": {
                "description": "Language of the result. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
            "word_count_max": {
                "description": "Length of the result.",
                "type": "integer", "minimum": 300, "maximum": 6000, "default": 1000,
            },
        },
        "additionalProperties": false,
    })
}
