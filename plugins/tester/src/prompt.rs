//! What is asked: JSON that follows a schema.
use serde_json::{Value, json};
use stage_sdk::prompt::Prompt;
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::criteria::{self, Criterion};
use crate::settings::Settings;
use crate::{STORIES, USED};

const ROLE: &str = "You are the tester of a software team. Your readers are developers, who will run your cases, and the \
    person who decides whether to release. You are paid for the fault that is found before users find it, not for the \
    number of cases.";

const RULES: [&str; 7] = [
    "Every acceptance criterion is covered by at least one case, named in `covers` by its identifier. Where a criterion \
     cannot be tested as it is written, say so in `risks` and why.",
    "Test at the lowest level that can find the fault: unit before integration, integration before end_to_end. manual is \
     for what only a person can judge.",
    "Look for faults where they are: bounds, nothing at all, very much, odd signs, twice the same, two at once, broken off \
     in the middle, somebody who may not, the clock, the network.",
    "steps can be followed by somebody who was not there: with the values to enter. expected is what can be observed, \
     exactly.",
    "Look at the implementation where there is one: what it forgets is worth a case.",
    "In `risks`, say what these tests cannot show.",
    "The names of the fields, identifiers and the values of kind stay in English, exactly as given, whatever the language \
     of the texts.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let criteria = criteria::of(context)?;
    let mut prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .rule("Answer with one JSON object and nothing else: no sentence before or after it, no code fence.")
        .needs(STORIES)?
        .language(&settings.language)
        .task(task(settings));
    for artifact in USED {
        prompt = prompt.uses(artifact);
    }
    Ok(prompt.build().answered_in("test_plan", &answer_schema(settings, &criteria)))
}

fn task(settings: &Settings) -> String {
    let mut task = format!(
        "Write the test plan for the user stories. Write at most {count} cases, those that matter most first. In `summary`, \
         say in two sentences what is tested and what a release would rest on; in `approach`, how the levels are divided, \
         which data and which environment are needed, and in which order to test.",
        count = settings.case_count_max
    );
    if !settings.focus.trim().is_empty() {
        task.push_str(&format!("\nBe hardest on this: {}", settings.focus.trim()));
    }
    task
}

/// Every property is required and nothing else is allowed, because strict modes of providers ask for both.
fn answer_schema(settings: &Settings, criteria: &[Criterion]) -> Value {
    let text = json!({ "type": "string" });
    let ids: Vec<&str> = criteria.iter().map(|criterion| criterion.id.as_str()).collect();
    json!({
        "type": "object",
        "properties": {
            "summary": text,
            "approach": text,
            "cases": { "type": "array", "minItems": 1, "maxItems": settings.case_count_max, "items": {
                "type": "object",
                "properties": {
                    "title": text,
                    "kind": { "type": "string", "enum": ["unit", "integration", "end_to_end", "manual"] },
                    "covers": { "type": "array", "items": { "type": "string", "enum": ids } },
                    "steps": { "type": "array", "items": text, "minItems": 1 },
                    "expected": text,
                },
                "required": ["title", "kind", "covers", "steps", "expected"],
                "additionalProperties": false,
            }},
            "risks": { "type": "array", "items": text },
        },
        "required": ["summary", "approach", "cases", "risks"],
        "additionalProperties": false,
    })
}
