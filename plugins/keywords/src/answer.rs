//! The answer as models really give it: other names for fields, capital letters, numbers for words.
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    #[serde(default, alias = "notes", alias = "comment")]
    pub(crate) note: Option<String>,
    #[serde(alias = "primary_keywords", alias = "primaryKeywords", alias = "Primary")]
    pub(crate) primary: Vec<Said>,
    #[serde(
        default,
        alias = "secondary_keywords",
        alias = "secondaryKeywords",
        alias = "Secondary"
    )]
    pub(crate) secondary: Vec<Said>,
    #[serde(
        default,
        alias = "long_tail_keywords",
        alias = "longTail",
        alias = "long-tail",
        alias = "longTailKeywords",
        alias = "longtail"
    )]
    pub(crate) long_tail: Vec<Said>,
}

/// A keyword, as it was said. All fields are optional, so that one bad keyword does not cost the others.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    #[serde(default, alias = "term", alias = "phrase", alias = "query", alias = "name")]
    pub(crate) keyword: Option<String>,
    #[serde(default, alias = "search_intent", alias = "searchIntent")]
    pub(crate) intent: Value,
    #[serde(default)]
    pub(crate) priority: Value,
    #[serde(default, alias = "reason", alias = "why", alias = "reasoning")]
    pub(crate) rationale: Option<String>,
}
