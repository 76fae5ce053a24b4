//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) finding_count_max: u32,
    pub(crate) focus: String,
    pub(crate) language: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { finding_count_max: 15, focus: String::new(), language: String::new() }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "finding_count_max": {
                "description": "How many findings at most, the worst first.",
                "type": "integer", "minimum": 1, "maximum": 60, "default": 15,
            },
            "focus": {
                "description": "What the review has to look at above all, e.g. `security; migration of data`.",
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
