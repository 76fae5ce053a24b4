//! The keywords as artifacts, data and variables.
use stage_sdk::markdown::{normalize, table_cell};
use stage_sdk::{StageOutput, text};

use crate::reading::{Chosen, Intent, Keyword, Priority};
use crate::{KEYWORDS, KEYWORDS_JSON};

/// The part of the first keyword in the line that people see, in bytes.
const SUMMARY_KEYWORD_BYTES_MAX: usize = 120;

pub(crate) fn output(chosen: &Chosen) -> StageOutput {
    let primary: Vec<&str> =
        chosen.primary.iter().map(|keyword| keyword.keyword.as_str()).collect();
    let first = primary.first().copied().unwrap_or_default();
    StageOutput::new(summary(chosen, first))
        .with_markdown(KEYWORDS, markdown(chosen))
        .with_json(KEYWORDS_JSON, chosen)
        .with_data(chosen)
        .with_variable("primary_keyword", &first)
        .with_variable("primary_keywords", &primary)
}

fn summary(chosen: &Chosen, first: &str) -> String {
    format!(
        "{all} keywords: {primary} primary, {secondary} secondary, {long_tail} long tail; first `{first}`.",
        all = chosen.primary.len() + chosen.secondary.len() + chosen.long_tail.len(),
        primary = chosen.primary.len(),
        secondary = chosen.secondary.len(),
        long_tail = chosen.long_tail.len(),
        first = text::cut(first, SUMMARY_KEYWORD_BYTES_MAX),
    )
}

fn markdown(chosen: &Chosen) -> String {
    let mut out = "# Keywords\n\n".to_owned();
    if !chosen.note.is_empty() {
        out.push_str(&format!("> {}\n\n", chosen.note));
    }
    if !chosen.market.is_empty() {
        out.push_str(&format!("Local market: {}\n\n", text::one_line(&chosen.market, usize::MAX)));
    }
    let kinds = [
        ("Primary keywords", &chosen.primary),
        ("Secondary keywords", &chosen.secondary),
        ("Long-tail keywords", &chosen.long_tail),
    ];
    for (heading, keywords) in kinds.into_iter().filter(|(_, keywords)| !keywords.is_empty()) {
        out.push_str(&format!(
            "## {heading}\n\n| Keyword | Intent | Priority | Rationale |\n|---|---|---|---|\n"
        ));
        out.extend(keywords.iter().map(row));
        out.push('\n');
    }
    normalize(&out)
}

fn row(keyword: &Keyword) -> String {
    let intent = match keyword.intent {
        Intent::Informational => "informational",
        Intent::Navigational => "navigational",
        Intent::Commercial => "commercial",
        Intent::Transactional => "transactional",
    };
    let priority = match keyword.priority {
        Priority::High => "high",
        Priority::Medium => "medium",
        Priority::Low => "low",
    };
    format!(
        "| {} | {intent} | {priority} | {} |\n",
        table_cell(&keyword.keyword),
        table_cell(&keyword.rationale)
    )
}
