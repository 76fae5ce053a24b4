//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) reader: String,
    pub(crate) horizon_days: u32,
    pub(crate) language: String,
    pub(crate) word_count_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reader: String::new(),
            horizon_days: 90,
            language: String::new(),
            word_count_max: 1400,
        }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "reader": {
                "description": "Whom the brief is for, e.g. `an agency that has never met us`. Empty: the marketing team.",
                "type": "string", "maxLength": 200, "default": "",
            },
            "horizon_days": {
                "description": "How far ahead it plans, in days.",
                "type": "integer", "minimum": 7, "maximum": 365, "default": 90,
            },
            "language": {
                "description": "Language of the result. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
            "word_count_max": {
                "description": "Length of the result.",
                "type": "integer", "minimum": 500, "maximum": 8000, "default": 1400,
            },
        },
        "additionalProperties": false,
    })
}
