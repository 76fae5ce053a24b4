//! What a profile can set.
use serde::Deserialize;
use serde_json::{Value, json};

/// The school of thought that the statement follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Framework {
    /// For … who …, … is the … that …, unlike …, because ….
    #[default]
    Classic,
    /// When …, I want to …, so I can ….
    JobsToBeDone,
    /// A category of its own, and why it has to exist.
    CategoryDesign,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) framework: Framework,
    pub(crate) pillar_count: u32,
    pub(crate) language: String,
    pub(crate) word_count_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            framework: Framework::default(),
            pillar_count: 3,
            language: String::new(),
            word_count_max: 1000,
        }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "framework": {
                "description": "The school of thought that the positioning statement follows.",
                "enum": ["classic", "jobs_to_be_done", "category_design"],
                "default": "classic",
            },
            "pillar_count": {
                "description": "How many value pillars carry the positioning.",
                "type": "integer", "minimum": 2, "maximum": 6, "default": 3,
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
