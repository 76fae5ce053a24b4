//! What is asked: JSON that follows a schema.
use serde_json::{Value, json};
use stage_sdk::prompt::Prompt;
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::settings::Settings;
use crate::{NEEDED, USED};

const ROLE: &str = "You are the reviewer of a software team, the last to look before people decide. You did not write any of \
    this and owe nobody a good mark. Your readers are the developers, who act on each finding, and the person who decides \
    whether the work is taken over.";

const RULES: [&str; 7] = [
    "Compare with what was asked for: each story and criterion, by its identifier. What is missing is as much a finding as \
     what is wrong.",
    "A finding names one thing, where it is (file and function, or document and section), what goes wrong with a concrete \
     input or situation, and the smallest fix. No finding without a place, none about taste.",
    "severity is blocker for loss of data, a security hole, or a must that does not work; major for what users or \
     operators will run into; minor for what costs the next developer time; note for everything else.",
    "Look where faults are costly: input from outside, rights, errors in the middle, two at once, migrations, what tests \
     do not cover, where documents contradict each other.",
    "Read the code as it stands. Claim only what you can show in it; where you cannot see something, say that in `unseen`.",
    "verdict is approve if nothing above minor is open, approve_with_changes if nothing is a blocker, else reject.",
    "The names of the fields and the values of severity and verdict stay in English, exactly as given, whatever the \
     language of the texts.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let mut prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .rule("Answer with one JSON object and nothing else: no sentence before or after it, no code fence.")
        .language(&settings.language)
        .task(task(settings));
    for artifact in NEEDED {
        prompt = prompt.needs(artifact)?;
    }
    for artifact in USED {
        prompt = prompt.uses(artifact);
    }
    Ok(prompt.build().answered_in("review", &answer_schema(settings)))
}

fn task(settings: &Settings) -> String {
    let mut task = format!(
        "Review the implementation and the documents around it. Give at most {count} findings, the worst first; none at all \
         is an answer if it is true. In `summary`, say in two or three sentences what state the work is in. In `good`, name \
         what should stay as it is. In `unseen`, name what could not be judged from the material.",
        count = settings.finding_count_max
    );
    if !settings.focus.trim().is_empty() {
        task.push_str(&format!("\nLook at this above all: {}", settings.focus.trim()));
    }
    task
}

/// Every property is required and nothing else is allowed, because strict modes of providers ask for both.
fn answer_schema(settings: &Settings) -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    json!({
        "type": "object",
        "properties": {
            "summary": text,
            "verdict": { "type": "string", "enum": ["approve", "approve_with_changes", "reject"] },
            "findings": { "type": "array", "maxItems": settings.finding_count_max, "items": {
                "type": "object",
                "properties": {
                    "title": text,
                    "severity": { "type": "string", "enum": ["note", "minor", "major", "blocker"] },
                    "where": text,
                    "why": text,
                    "fix": text,
                },
                "required": ["title", "severity", "where", "why", "fix"],
                "additionalProperties": false,
            }},
            "good": texts,
            "unseen": texts,
        },
        "required": ["summary", "verdict", "findings", "good", "unseen"],
        "additionalProperties": false,
    })
}
