//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

/// The settings, as the stage reads them. The host has checked them against the schema and filled in its defaults.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) word_count_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { word_count_max: 120 }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "word_count_max": {
                "description": "Length of the brief.",
                "type": "integer", "minimum": 20, "maximum": 1000, "default": 120,
            },
        },
        "additionalProperties": false,
    })
}
