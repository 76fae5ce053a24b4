use serde_json::{Value, json};
use stage_sdk::{ScriptedModel, log};

use super::*;
use crate::settings::Settings;

fn context() -> StageContext {
    let context = StageContext::new("An app for beekeepers.");
    let all = NEEDED.iter().chain(&USED);
    all.fold(context, |context, name| {
        context.with_artifact("earlier", name, &format!("Body of {name}."))
    })
}

fn finding(title: &str, severity: &str, place: &str) -> Value {
    json!({"title": title, "severity": severity, "where": place, "why": "It loses logs.", "fix": "Write first."})
}

fn answer(verdict: &str, findings: &[Value]) -> String {
    json!({
        "summary": "It mostly works. One hole.", "verdict": verdict, "findings": findings,
        "good": ["Small files"], "unseen": [],
    })
    .to_string()
}

fn run(text: String) -> StageOutput {
    Reviewer::run(&context(), &mut ScriptedModel::answering([text])).unwrap()
}

#[test]
fn findings_are_ordered_by_severity_and_written_for_people() {
    let findings = [finding("Slow", "minor", "a.rs"), finding("Lost log", "major", "b.rs, save()")];
    let output = run(answer("approve_with_changes", &findings));
    assert_eq!(output.summary, "Verdict: approve with changes; 2 findings. It mostly works.");
    let body = &output.artifacts[0].body;
    assert!(
        body.contains(
            "### 1. Lost log (major)\n\nWhere: b.rs, save()\n\nIt loses logs.\n\nFix: Write first.\n\n### 2. Slow (minor)\n"
        ),
        "{body}"
    );
    assert!(body.ends_with("## What could not be judged\n\nNothing was named.\n"), "{body}");
    assert_eq!(output.variables[0].value, r#""approve_with_changes""#);
}

#[test]
fn a_verdict_is_never_milder_than_the_worst_finding() {
    log::take();
    let output = run(answer("approve", &[finding("Hole", "critical", "a.rs")]));
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!((&data["verdict"], &data["verdict_said"]), (&json!("reject"), &json!("approve")));
    assert_eq!(
        log::take(),
        ["warn: the verdict was milder than the findings said=approve follows=reject"]
    );
    let stricter = run(answer("reject", &[]));
    assert_eq!(stricter.variables[0].value, r#""reject""#, "a stricter verdict stands");
    assert!(stricter.artifacts[0].body.contains("## Findings\n\nNone.\n"));
}

#[test]
fn a_finding_without_a_place_is_asked_for_again() {
    let bad = answer("approve", &[finding("Slow", "minor", " ")]);
    let mut model = ScriptedModel::answering([bad, answer("approve", &[])]);
    assert!(Reviewer::run(&context(), &mut model).is_ok());
    assert!(model.requests()[1].messages[3].content.contains("the finding `Slow` lacks"));
}

#[test]
fn everything_that_was_made_is_quoted_and_two_of_it_are_needed() {
    let settings = json!({"focus": "security", "finding_count_max": 4});
    let request = Reviewer::build_prompt(&context().with_settings(&settings)).unwrap();
    let question = &request.messages[1].content;
    for name in NEEDED.iter().chain(&USED) {
        assert!(question.contains(&format!("Body of {name}.")), "{name}");
    }
    assert!(question.contains("at most 4 findings") && question.contains("above all: security"));
    for name in NEEDED {
        let mut without = context();
        without.artifacts.retain(|earlier| earlier.artifact.name != name);
        assert!(Reviewer::build_prompt(&without).is_err(), "{name}");
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
