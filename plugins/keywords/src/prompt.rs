//! What is asked: JSON that follows a schema.
use serde_json::{Value, json};
use stage_sdk::prompt::Prompt;
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::settings::{Counts, Settings};
use crate::{BRAND_VOICE, POSITIONING, RESEARCH};

const ROLE: &str = "You are a search strategist who plans pages for small brands. Your readers are an editor who turns \
    keywords into pages, and a program that reads your JSON. A keyword that nobody would type, or that this brand \
    cannot win, wastes a page.";

const RULES: [&str; 7] = [
    "The names of the fields and the values of intent and priority stay in English, exactly as given, whatever the \
     language of the keywords.",
    "Write keywords as people type them: small letters where the language allows, no punctuation, two to seven words for \
     the long tail.",
    "Choose by what the positioning can win, not by size. You have no search volumes: never state any.",
    "intent is what the searcher wants: informational (to learn), navigational (to reach a certain place), commercial (to \
     compare before buying), transactional (to buy or book).",
    "priority is high for what a page should be made for first, low for what can wait.",
    "rationale says in one sentence why this brand should appear there, and for which segment.",
    "Avoid variants that differ only in word order or number, the brand's own name as a primary keyword, and names of \
     competitors.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let counts = settings.counts();
    let prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .rule("Answer with one JSON object and nothing else: no sentence before or after it, no code fence.")
        .needs(RESEARCH)?
        .needs(POSITIONING)?
        .uses(BRAND_VOICE)
        .language(&settings.language)
        .task(task(settings, counts));
    Ok(prompt.build().answered_in("keywords", &answer_schema(counts)))
}

fn task(settings: &Settings, counts: Counts) -> String {
    let Counts { primary, secondary, long_tail } = counts;
    let mut task = format!(
        "Choose search keywords for the offer in the request, on the ground of research and positioning. Aim at these \
         counts and never go over them; give fewer only where more would be weak:\n\
         - primary: {primary}, what the most important pages are about, the most important first;\n\
         - secondary: {secondary}, what supports them;\n\
         - long_tail: {long_tail}, questions and precise wishes.\n\
         In `note`, say in one or two sentences how to use the list."
    );
    if !settings.market.trim().is_empty() {
        task.push_str(&format!(
            "\nThe local market is {}. Include keywords with its places, and \"near me\" forms where people use them.",
            settings.market.trim()
        ));
    }
    if !settings.seed_keywords.is_empty() {
        task.push_str(&format!(
            "\nStart from these and keep those that fit: {}.",
            settings.seed_keywords.join("; ")
        ));
    }
    if !settings.avoid.is_empty() {
        task.push_str(&format!(
            "\nAs whole words, no keyword may contain: {}.",
            settings.avoid.join("; ")
        ));
    }
    task
}

/// Every property is required and nothing else is allowed, because strict modes of providers ask for both.
fn answer_schema(counts: Counts) -> Value {
    let keyword = json!({
        "type": "object",
        "properties": {
            "keyword": { "type": "string" },
            "intent": { "type": "string", "enum": ["informational", "navigational", "commercial", "transactional"] },
            "priority": { "type": "string", "enum": ["high", "medium", "low"] },
            "rationale": { "type": "string" },
        },
        "required": ["keyword", "intent", "priority", "rationale"],
        "additionalProperties": false,
    });
    let list = |count: usize| json!({ "type": "array", "items": keyword, "minItems": 1, "maxItems": count });
    json!({
        "type": "object",
        "properties": {
            "note": { "type": "string" },
            "primary": list(counts.primary),
            "secondary": list(counts.secondary),
            "long_tail": list(counts.long_tail),
        },
        "required": ["note", "primary", "secondary", "long_tail"],
        "additionalProperties": false,
    })
}
