//! What is asked: JSON that follows a schema.
use serde_json::{Value, json};
use stage_sdk::prompt::Prompt;
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::settings::Settings;

const ROLE: &str = "You are the product manager of a small software team. Your readers are an architect, developers and a \
    tester, who build what you write and nothing else. What you leave vague they will decide without you; what you \
    invent they will build for nobody.";

const RULES: [&str; 8] = [
    "Start from the problem and whom it hurts, not from a solution that the request happens to name.",
    "A user story names one kind of user, one thing they want to do, and what they gain; it can be built and shown within \
     a few days. Split what is larger.",
    "Acceptance criteria decide whether a story is done: given a situation, when something happens, then something can be \
     observed from outside. Include what happens when input is wrong, nothing is there, or something fails.",
    "No criterion may need taste or memory to decide: never \"fast\", \"intuitive\", \"as usual\". Where a number is needed and \
     the request gives none, put one and name it in open_questions as an assumption.",
    "priority is must for what the first release is useless without, should for what can follow soon, could for the rest. \
     If everything is must, nothing is.",
    "Say in out_of_scope what a reader would expect and will not get.",
    "Do not choose technology, screens or database tables unless the request demands them: that is decided after you.",
    "The names of the fields and the values of priority stay in English, exactly as given, whatever the language of the \
     texts. Give no numbers or identifiers to stories: they get theirs afterwards.",
];

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let prompt = Prompt::new(context, ROLE)?
        .rules(RULES)
        .rule("Answer with one JSON object and nothing else: no sentence before or after it, no code fence.")
        .language(&settings.language)
        .task(task(settings));
    Ok(prompt.build().answered_in("product_brief", &answer_schema(settings)))
}

fn task(settings: &Settings) -> String {
    let mut task = format!(
        "Write the product brief for what the request asks for. Aim at {count} user stories or fewer, the most important \
         first, each with two to six acceptance criteria. In `summary`, say in two or three sentences what will be built, \
         for whom and why, for a reader who stops there.",
        count = settings.story_count_max
    );
    if !settings.constraints.trim().is_empty() {
        task.push_str(&format!("\nThese constraints hold: {}", settings.constraints.trim()));
    }
    task
}

/// Every property is required and nothing else is allowed, because strict modes of providers ask for both.
fn answer_schema(settings: &Settings) -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    let object = |names: &[&str], properties: Value| json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false });
    let criterion =
        object(&["given", "when", "then"], json!({ "given": text, "when": text, "then": text }));
    let story = object(
        &["title", "role", "want", "benefit", "priority", "acceptance_criteria"],
        json!({
            "title": text,
            "role": text,
            "want": text,
            "benefit": text,
            "priority": { "type": "string", "enum": ["must", "should", "could"] },
            "acceptance_criteria": { "type": "array", "items": criterion, "minItems": 1 },
        }),
    );
    let goal = object(&["goal", "measure"], json!({ "goal": text, "measure": text }));
    object(
        &["summary", "problem", "users", "goals", "stories", "out_of_scope", "open_questions"],
        json!({
            "summary": text,
            "problem": text,
            "users": texts,
            "goals": { "type": "array", "items": goal, "minItems": 1 },
            "stories": { "type": "array", "items": story, "minItems": 1, "maxItems": settings.story_count_max },
            "out_of_scope": texts,
            "open_questions": texts,
        }),
    )
}
