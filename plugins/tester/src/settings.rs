//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) case_count_max: u32,
    pub(crate) focus: String,
    pub(crate) language: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { case_count_max: 24, focus: String::new(), language: String::new() }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "case_count_max": {
                "description": "How many test cases at most.",
                "type": "integer", "minimum": 1, "maximum": 100, "default": 24,
            },
            "focus": {
                "description": "What the tests have to be hardest on, e.g. `loss of data; two users at once`.",
                "type": "string", "maxLength": 1000, "default": "",
            },
            "language": {
                "description": "Language of the result. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
        },
        "additionalProperties": false,
    })
}
