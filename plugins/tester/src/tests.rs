use serde_json::{Value, json};
use stage_sdk::{ResponseFormat, ScriptedModel, log};

use super::*;
use crate::settings::Settings;

const STORIES_BODY: &str = r#"{"stories": [{"id": "US-1", "acceptance_criteria": [
    {"id": "AC-1.1", "then": "it | is listed"}, {"id": "AC-1.2", "then": "the form says so"}]}]}"#;

fn context() -> StageContext {
    StageContext::new("An app for beekeepers.").with_artifact("pm", STORIES, STORIES_BODY)
}

fn answer(steps: &[&str]) -> String {
    json!({
        "summary": "Logs are tested. Export is not.", "approach": "Bottom up.",
        "cases": [{
            "title": "A log is listed", "kind": "e2e", "covers": ["AC-1.1", "AC-9.9"], "steps": steps,
            "expected": "The log stands first.",
        }],
        "risks": ["Real bees."],
    })
    .to_string()
}

#[test]
fn the_plan_says_what_is_covered_and_what_is_not() {
    log::take();
    let mut model = ScriptedModel::answering([answer(&["Open the app", "Save"])]);
    let output = Tester::run(&context(), &mut model).unwrap();
    assert_eq!(output.summary, "1 case for 1 of 2 criteria: Logs are tested.");
    let body = &output.artifacts[0].body;
    for expected in [
        "| AC-1.1 | US-1 | it \\| is listed | TC-1 |\n| AC-1.2 | US-1 | the form says so | **none** |\n",
        "### TC-1: A log is listed\n\nLevel: end to end. Covers: AC-1.1.\n\n1. Open the app\n2. Save\n\nExpected: The log stands first.\n",
        "## What these tests cannot show\n\n- Real bees.\n",
    ] {
        assert!(body.contains(expected), "{expected}\n{body}");
    }
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(data["uncovered"], json!(["AC-1.2"]));
    assert_eq!(output.variables[0].value, r#"["AC-1.2"]"#);
    assert_eq!(
        log::take(),
        [
            "warn: a case names criteria that there are not criteria=AC-9.9",
            "warn: criteria without a test criteria=AC-1.2",
        ]
    );
}

#[test]
fn the_schema_names_the_criteria_there_are() {
    let context =
        context().with_settings(&json!({"case_count_max": 5, "focus": "two users at once"}));
    let request = Tester::build_prompt(&context).unwrap();
    let ResponseFormat::JsonSchema(format) = &request.options.response_format else {
        panic!("no schema")
    };
    let schema: Value = serde_json::from_str(&format.schema).unwrap();
    let cases = &schema["properties"]["cases"];
    assert_eq!(
        cases["items"]["properties"]["covers"]["items"]["enum"],
        json!(["AC-1.1", "AC-1.2"])
    );
    assert_eq!(cases["maxItems"], 5);
    assert!(request.messages[1].content.contains("Be hardest on this: two users at once"));
}

#[test]
fn a_case_that_nobody_can_carry_out_is_asked_for_again() {
    let mut model = ScriptedModel::answering([answer(&[" "]), answer(&["Save"])]);
    assert!(Tester::run(&context(), &mut model).is_ok());
    assert!(model.requests()[1].messages[3].content.contains("`A log is listed` has no steps"));
}

#[test]
fn stories_that_cannot_be_read_are_named_before_anything_is_paid() {
    for body in ["nonsense", r#"{"stories": []}"#, r#"{"stories": [{"id": "US-1"}]}"#] {
        let context = StageContext::new("x").with_artifact("pm", STORIES, body);
        let error = Tester::build_prompt(&context).unwrap_err();
        assert_eq!(error.failure().unwrap().code, "stories_unusable", "{body}");
    }
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
