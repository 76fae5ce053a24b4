use serde_json::{Value, json};
use stage_sdk::{ResponseFormat, ScriptedModel};

use super::*;
use crate::settings::Settings;

fn story(title: &str, priority: &str) -> Value {
    json!({
        "title": title, "role": "a beekeeper", "want": "to log a hive.", "benefit": "so that I see trends",
        "priority": priority,
        "acceptance_criteria": [
            {"given": "Given a hive", "when": "I save a log", "then": "it is listed first."},
            {"given": "", "when": "", "then": " "},
            {"given": "", "when": "the name is empty", "then": "the form says so"},
        ],
    })
}

fn answer(stories: &[Value]) -> String {
    let answer = json!({
        "summary": "A log for hives. It works offline.", "problem": "Paper gets lost.", "users": ["Beekeepers"],
        "goals": [{"goal": "Logs | kept", "measure": "share of hives"}], "stories": stories,
        "out_of_scope": ["Sales"], "open_questions": [],
    });
    format!("Here you are:\n```json\n{answer}\n```")
}

fn run(model: &mut ScriptedModel) -> Result<StageOutput, StageError> {
    ProductManager::run(&StageContext::new("An app for beekeepers."), model)
}

#[test]
fn stories_are_ordered_by_priority_and_get_identifiers() {
    let text = answer(&[story("Export", "should"), story("Log a hive", "Must")]);
    let output = run(&mut ScriptedModel::answering([text])).unwrap();
    assert_eq!(output.summary, "2 stories, 4 criteria: A log for hives.");
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(data["stories"][0]["id"], "US-1");
    assert_eq!(data["stories"][0]["title"], "Log a hive");
    assert_eq!(data["stories"][1]["acceptance_criteria"][1]["id"], "AC-2.2");
    assert_eq!(data, serde_json::from_str::<Value>(&output.artifacts[1].body).unwrap());
}

#[test]
fn the_brief_reads_as_sentences() {
    let output =
        run(&mut ScriptedModel::answering([answer(&[story("Log a hive", "must")])])).unwrap();
    let body = &output.artifacts[0].body;
    for expected in [
        "# Product brief\n\n## Summary\n\nA log for hives.",
        "| Logs \\| kept | share of hives |\n",
        "### US-1: Log a hive\n\nAs a beekeeper, I want to log a hive, so that I see trends. Priority: must.\n",
        "- **AC-1.1** given a hive, when I save a log, then it is listed first.\n",
        "- **AC-1.2** when the name is empty, then the form says so.\n",
        "## Open questions\n\nNone.\n",
    ] {
        assert!(body.contains(expected), "{expected}\n{body}");
    }
}

#[track_caller]
fn asked_again(stories: &[Value], expected: &str) {
    let mut model =
        ScriptedModel::answering([answer(stories), answer(&[story("Log a hive", "must")])]);
    assert!(run(&mut model).is_ok());
    let reason = &model.requests()[1].messages[3].content;
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn stories_that_cannot_be_built_are_asked_for_again() {
    asked_again(&[], "no user story");
    asked_again(&[story("Export", "could")], "no story has the priority `must`");
    asked_again(
        &[story("Log a hive", "must"), story("Log a Hive!", "could")],
        "two stories have the title",
    );
    let mut bare = story("Log a hive", "must");
    bare["acceptance_criteria"] = json!([]);
    asked_again(&[bare], "has no acceptance criterion");
    let mut nobody = story("Log a hive", "must");
    nobody["role"] = json!(" ");
    asked_again(&[nobody], "lacks `title`, `role` or `want`");
}

#[test]
fn settings_reach_the_prompt_and_the_schema() {
    let context = StageContext::new("An app.")
        .with_settings(&json!({"story_count_max": 3, "constraints": "No accounts."}));
    let request = ProductManager::build_prompt(&context).unwrap();
    let question = &request.messages[1].content;
    assert!(
        question.contains("Aim at 3 user stories")
            && question.contains("constraints hold: No accounts.")
    );
    let ResponseFormat::JsonSchema(format) = &request.options.response_format else {
        panic!("no schema")
    };
    let schema: Value = serde_json::from_str(&format.schema).unwrap();
    assert_eq!(schema["properties"]["stories"]["maxItems"], 3);
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_code() {
    let schema = settings::schema();
    let properties = schema["properties"].as_object().unwrap();
    let defaults: serde_json::Map<String, Value> = properties
        .iter()
        .map(|(name, property)| (name.clone(), property["default"].clone()))
        .collect();
    let parsed: Settings = serde_json::from_value(Value::Object(defaults)).unwrap();
    assert_eq!(parsed, Settings::default());
}
