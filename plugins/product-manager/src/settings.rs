//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) story_count_max: u32,
    pub(crate) constraints: String,
    pub(crate) language: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { story_count_max: 8, constraints: String::new(), language: String::new() }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "story_count_max": {
                "description": "How many user stories at most.",
                "type": "integer", "minimum": 1, "maximum": 40, "default": 8,
            },
            "constraints": {
                "description": "What holds whatever the request says, e.g. `runs offline; no accounts`.",
                "type": "string", "maxLength": 4000, "default": "",
            },
            "language": {
                "description": "Language of the result. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
        },
        "additionalProperties": false,
    })
}
