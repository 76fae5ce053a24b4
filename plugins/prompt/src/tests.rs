use serde_json::{Value, json};
use stage_sdk::{ResponseFormat, Revision, ScriptedModel, Skill};

use super::*;
use crate::settings::Settings;

fn context(settings: &Value) -> StageContext {
    let mut context = StageContext::new("Raw honey from the roofs of Cologne.")
        .with_artifact("research", "research.md", "Cooks buy.")
        .with_settings(settings);
    context.stage_key = "press-release".to_owned();
    context
}

fn by_sections() -> Value {
    json!({
        "prompt": "Write a press release.",
        "role": "You are a press officer.",
        "rules": ["No superlatives."],
        "sections": [{"heading": "Headline", "purpose": "one line"}, {"heading": "Body"}],
        "variables": {"headline": "Headline"},
        "needs": ["research.md"],
    })
}

fn calendar() -> Value {
    json!({
        "prompt": "Plan.",
        "artifact": "calendar",
        "title": "Calendar",
        "summary": "note",
        "variables": {"entries": "entries"},
        "schema": {
            "type": "object",
            "required": ["note", "entries"],
            "properties": {
                "note": { "type": "string" },
                "entries": { "title": "What comes when", "type": "array", "minItems": 1, "items": {
                    "type": "object", "required": ["week", "topic"],
                    "properties": {
                        "week": { "type": "integer" },
                        "topic": { "type": "string" },
                        "tags": { "type": "array", "items": { "type": "string" } },
                    },
                }},
            },
        },
    })
}

fn data(output: &StageOutput) -> Value {
    serde_json::from_str(&output.data).unwrap()
}

#[test]
fn the_question_has_role_rules_material_task_and_sections_of_the_settings() {
    let request = Prompted::build_prompt(&context(&by_sections())).unwrap();
    let system = &request.messages[0].content;
    assert!(system.starts_with("You are a press officer.\n\nRules:\n"), "{system}");
    assert!(system.contains("\n- No superlatives.\n"), "{system}");
    assert_eq!(
        request.messages[1].content,
        "<request>\nRaw honey from the roofs of Cologne.\n</request>\n\n\
         <artifact name=\"research.md\" stage=\"research\">\nCooks buy.\n</artifact>\n\n\
         Your task:\nWrite a press release.\n\n\
         Length: at most 1500 words in all. Shorter is better where nothing is lost.\n\n\
         Required sections, in this order:\n## Headline - one line\n## Body"
    );
}

#[test]
fn what_the_template_places_stands_there_and_nowhere_else() {
    let mut settings = by_sections();
    settings["prompt"] =
        json!("On the ground of {{artifact.research.md}}, serve {{request}} by {{skill.house}}.");
    let mut context = context(&settings);
    let skill = |name: &str, body: &str| Skill { name: name.to_owned(), body: body.to_owned() };
    context.skills = vec![skill("house", "No puns."), skill("legal", "No promises.")];
    let request = Prompted::build_prompt(&context).unwrap();
    let system = &request.messages[0].content;
    assert!(!system.contains("No puns."), "{system}");
    assert!(system.contains("No promises."), "a skill that is not named keeps its place: {system}");
    let question = &request.messages[1].content;
    assert!(question.starts_with("Your task:\nOn the ground of <artifact"), "{question}");
    for once in ["Cooks buy.", "Raw honey", "No puns."] {
        assert_eq!(question.matches(once).count(), 1, "{once}: {question}");
    }
}

#[test]
fn an_artifact_of_one_stage_does_not_take_the_place_of_that_of_another() {
    let mut settings = by_sections();
    settings["prompt"] = json!("Set it beside {{artifact.scout/research.md}}.");
    let mut context = context(&settings);
    let latest = context.artifacts.pop().unwrap();
    context = context.with_artifact("scout", "research.md", "Nobody buys.");
    context.artifacts.push(latest);
    let asked = |settings: &Value, context: &StageContext| {
        let request = Prompted::build_prompt(&context.clone().with_settings(settings)).unwrap();
        request.messages[1].content.clone()
    };
    let question = asked(&settings, &context);
    for once in ["Nobody buys.", "Cooks buy."] {
        assert_eq!(question.matches(once).count(), 1, "{once}: {question}");
    }
    settings["uses"] = settings["needs"].take();
    settings["needs"] = json!([]);
    settings["prompt"] = json!("Set {{artifact.research/research.md}} in order.");
    let question = asked(&settings, &context);
    assert_eq!(question.matches("Cooks buy.").count(), 1, "it is the latest: {question}");
    assert!(!question.contains("Nobody buys."), "{question}");
}

#[test]
fn a_revision_reaches_the_model_although_the_template_does_not_name_it() {
    let mut context = context(&by_sections());
    context.revision = Some(Revision { feedback: "Shorter.".to_owned(), previous: Vec::new() });
    let request = Prompted::build_prompt(&context).unwrap();
    assert!(request.messages[1].content.contains("<feedback>\nShorter.\n</feedback>"));
}

#[test]
fn a_document_becomes_artifacts_named_by_the_stage() {
    let answer =
        "Sure!\n\n# Bees\n\n## Headline\nHoney with an address. It is raw.\n\n## Body:\nText.\n";
    let output =
        Prompted::run(&context(&by_sections()), &mut ScriptedModel::answering([answer])).unwrap();
    assert_eq!(output.summary, "Press release: Honey with an address.");
    let names: Vec<&str> = output.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(names, ["press-release.md", "press-release.json"]);
    assert_eq!(
        output.artifacts[0].body,
        "# Bees\n\n## Headline\n\nHoney with an address. It is raw.\n\n## Body\n\nText.\n"
    );
    assert_eq!(
        data(&output),
        json!({"headline": "Honey with an address. It is raw.", "body": "Text."})
    );
    assert_eq!(output.variables[0].value, r#""Honey with an address. It is raw.""#);
}

#[test]
fn a_missing_section_is_asked_for_again() {
    let whole = "# B\n\n## Headline\na\n\n## Body\nb";
    let mut model = ScriptedModel::answering(["# B\n\n## Headline\na", whole]);
    assert!(Prompted::run(&context(&by_sections()), &mut model).is_ok());
    assert!(model.requests()[1].messages[3].content.contains("`## Body` is missing"));
}

#[test]
fn json_becomes_a_table_and_the_same_json() {
    let answer = r#"Here: {"entries": [{"week": 1, "topic": "a | b", "tags": ["x", "y"]}, {"topic": "c", "week": 2}], "note": "Start small. Then grow."}"#;
    let context = context(&calendar());
    let request = Prompted::build_prompt(&context).unwrap();
    assert!(matches!(request.options.response_format, ResponseFormat::JsonSchema(_)));
    let output = Prompted::run(&context, &mut ScriptedModel::answering([answer])).unwrap();
    assert_eq!(output.summary, "Calendar: Start small.");
    assert_eq!(
        output.artifacts[0].body,
        "# Calendar\n\n## Note\n\nStart small. Then grow.\n\n## What comes when\n\n\
         | Week | Topic | Tags |\n|---|---|---|\n| 1 | a \\| b | x; y |\n| 2 | c |  |\n"
    );
    let json: Value = serde_json::from_str(&output.artifacts[1].body).unwrap();
    assert_eq!(json["entries"][1], json!({"topic": "c", "week": 2}));
    assert_eq!(output.artifacts[1].name, "calendar.json");
    assert!(output.variables[0].value.starts_with('['));
}

#[test]
fn json_that_does_not_follow_the_schema_is_asked_for_again_with_the_places() {
    let good = r#"{"note": "n", "entries": [{"week": 1, "topic": "t"}]}"#;
    let bad = r#"{"note": "n", "entries": [{"week": "one", "topic": "t"}]}"#;
    let mut model = ScriptedModel::answering([bad, good]);
    assert!(Prompted::run(&context(&calendar()), &mut model).is_ok());
    let reason = &model.requests()[1].messages[3].content;
    assert!(
        reason.contains("`/entries/0/week` is `\"one\"`, and has to be of type integer"),
        "{reason}"
    );

    let wrapped = format!(r#"{{"answer": {good}}}"#);
    assert!(Prompted::run(&context(&calendar()), &mut ScriptedModel::answering([wrapped])).is_ok());
    let mut prose = ScriptedModel::answering(["No.", "Never."]);
    let error = Prompted::run(&context(&calendar()), &mut prose).unwrap_err();
    assert_eq!(error.failure().unwrap().code, "not_json");
}

#[test]
fn a_part_of_json_that_is_not_well_formed_is_not_taken_for_the_answer() {
    let mut settings = calendar();
    settings["schema"] = json!({"type": "object", "properties": {"note": {"type": "string"}}});
    settings["summary"] = json!("note");
    settings["variables"] = json!({});
    let broken = r#"{"note": "n" "more": {"note": "inner"}}"#;
    let mut model = ScriptedModel::answering([broken, r#"{"note": "whole"}"#]);
    let output = Prompted::run(&context(&settings), &mut model).unwrap();
    assert_eq!(data(&output), json!({"note": "whole"}));
    assert!(model.requests()[1].messages[3].content.contains("is not well formed"));
}

#[test]
fn without_sections_and_schema_any_text_is_taken() {
    let settings = json!({"prompt": "Write.", "title": "Note"});
    let mut model = ScriptedModel::answering(["```markdown\nPlain words. And more.\n```"]);
    let output = Prompted::run(&context(&settings), &mut model).unwrap();
    assert_eq!(output.artifacts[0].body, "# Note\n\nPlain words. And more.\n");
    assert_eq!(output.summary, "Note: Plain words.");
    assert!(model.requests()[0].messages[0].content.contains("Begin with a title line"));
}

#[track_caller]
fn refused(settings: &Value, code: &str, expected: &str) {
    let error = Prompted::build_prompt(&context(settings)).unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!(failure.code, code);
    assert!(failure.message.contains(expected), "{}", failure.message);
}

#[test]
fn settings_that_cannot_be_used_are_refused_before_anything_is_paid() {
    refused(&json!({}), "bad_settings", "`prompt` has no text");
    refused(&json!({"prompt": "{{x}}"}), "template_broken", "line 1, column 1");
    refused(&json!({"prompt": "Go.", "needs": ["none.md"]}), "artifact_missing", "`none.md`");
    let mut both = calendar();
    both["sections"] = json!([{"heading": "A"}]);
    refused(&both, "bad_settings", "`sections` and `schema` do not go together");
    let mut source = calendar();
    source["summary"] = json!("notes");
    refused(&source, "bad_settings", "`notes` is named in `summary` or `variables`");
    let sections = |headings: [&str; 2]| json!({"prompt": "Go.", "sections": headings.map(|heading| json!({"heading": heading}))});
    refused(
        &sections(["Reach", "reach:"]),
        "bad_settings",
        "`reach:` in `sections` is the heading of two",
    );
    refused(&sections(["A", "B\n## C"]), "bad_settings", "has to be words on one line");
    refused(&sections(["A", "##"]), "bad_settings", "has to be words on one line");
    let mut schema = calendar();
    schema["schema"]["properties"]["note"]["pattern"] = json!("^x");
    refused(&schema, "schema_unusable", "`/properties/note` has `pattern`");
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_code() {
    let schema = settings::schema();
    let properties = schema["properties"].as_object().unwrap();
    let defaults: serde_json::Map<String, Value> = properties
        .iter()
        .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())))
        .collect();
    let parsed: Settings = serde_json::from_value(Value::Object(defaults)).unwrap();
    assert_eq!(parsed, Settings::default());
}
