//! What a profile can set, and how many keywords of each kind follow from it.
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) keyword_count_max: u32,
    pub(crate) market: String,
    pub(crate) seed_keywords: Vec<String>,
    pub(crate) avoid: Vec<String>,
    pub(crate) language: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keyword_count_max: 30,
            market: String::new(),
            seed_keywords: Vec::new(),
            avoid: Vec::new(),
            language: String::new(),
        }
    }
}

/// How many keywords of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) primary: usize,
    pub(crate) secondary: usize,
    pub(crate) long_tail: usize,
}

impl Settings {
    /// A sixth primary, a third secondary, the rest long tail: a page can be about one thing, a site about few.
    pub(crate) fn counts(&self) -> Counts {
        let all = (self.keyword_count_max as usize).max(3);
        let primary = (all / 6).max(1);
        let secondary = (all / 3).max(1);
        Counts { primary, secondary, long_tail: all - primary - secondary }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "keyword_count_max": {
                "description": "How many keywords in all: a sixth primary, a third secondary, the rest long tail.",
                "type": "integer", "minimum": 3, "maximum": 200, "default": 30,
            },
            "market": {
                "description": "The local market, e.g. `Cologne, Germany`. Keywords with places in it are wanted then. Empty: no particular place.",
                "type": "string", "maxLength": 200, "default": "",
            },
            "seed_keywords": {
                "description": "Keywords to start from.",
                "type": "array", "maxItems": 50, "default": [],
                "items": { "type": "string", "minLength": 1, "maxLength": 100 },
            },
            "avoid": {
                "description": "Words that no keyword may have, e.g. names of competitors. They match whole words, also several in a row, and never parts of words.",
                "type": "array", "maxItems": 100, "default": [],
                "items": { "type": "string", "minLength": 1, "maxLength": 100 },
            },
            "language": {
                "description": "Language in which people search. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
        },
        "additionalProperties": false,
    })
}
