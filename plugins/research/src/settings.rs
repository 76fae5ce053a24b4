//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

/// How far the research goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Depth {
    Brief,
    #[default]
    Standard,
    Deep,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) depth: Depth,
    pub(crate) competitor_count_max: u32,
    pub(crate) region: String,
    pub(crate) focus: String,
    pub(crate) language: String,
    pub(crate) word_count_max: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            depth: Depth::default(),
            competitor_count_max: 5,
            region: String::new(),
            focus: String::new(),
            language: String::new(),
            word_count_max: None,
        }
    }
}

impl Settings {
    /// The length that was set, or the one that the depth needs.
    pub(crate) fn words(&self) -> u32 {
        self.word_count_max.unwrap_or(match self.depth {
            Depth::Brief => 600,
            Depth::Standard => 1200,
            Depth::Deep => 2400,
        })
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "depth": {
                "description": "How far the research goes. It also sets the length, unless `word_count_max` does.",
                "enum": ["brief", "standard", "deep"],
                "default": "standard",
            },
            "competitor_count_max": {
                "description": "How many competitors are looked at.",
                "type": "integer", "minimum": 1, "maximum": 20, "default": 5,
            },
            "region": {
                "description": "The market that counts, e.g. `Germany`. Empty: what the request says.",
                "type": "string", "maxLength": 200, "default": "",
            },
            "focus": {
                "description": "A question that the research has to answer above all.",
                "type": "string", "maxLength": 500, "default": "",
            },
            "language": {
                "description": "Language of the result. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
            "word_count_max": {
                "description": "Length of the result. Left out: what the depth needs.",
                "type": "integer", "minimum": 300, "maximum": 10000,
            },
        },
        "additionalProperties": false,
    })
}
