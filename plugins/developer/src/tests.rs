use serde_json::{Value, json};
use stage_sdk::{ScriptedModel, log};

use super::*;
use crate::settings::Settings;

const STORIES_BODY: &str = r#"{"stories": [{"id": "US-1"}, {"id": "US-2"}]}"#;

fn context() -> StageContext {
    StageContext::new("An app for beekeepers.")
        .with_artifact("product-manager", STORIES, STORIES_BODY)
        .with_artifact("architect", "architecture.md", "One process.")
}

fn answer(files: &str) -> String {
    format!(
        "Sure!\n\n# Hive log\n\n## Summary\nHives can be logged. Export is missing.\n\n## Approach\nOne file.\n\n\
         ## Steps\n1. Log (US-1)\n\n## Files\n{files}\n\n## How to check it\n`cargo test`\n\n## Risks and open points\nUS-12.\n"
    )
}

const FILE: &str = "### `src/main.rs`\n\n```rust\n# no heading\nfn main() {}\n```\n";

fn run(model: &mut ScriptedModel) -> Result<StageOutput, StageError> {
    Developer::run(&context(), model)
}

#[test]
fn the_files_are_taken_out_and_the_document_is_kept() {
    log::take();
    let output = run(&mut ScriptedModel::answering([answer(FILE)])).unwrap();
    assert_eq!(output.summary, "1 file, 2 lines: Hives can be logged.");
    let names: Vec<&str> = output.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(names, ["implementation.md", "implementation.json"]);
    assert!(output.artifacts[0].body.contains(FILE), "{}", output.artifacts[0].body);
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(
        data["files"],
        json!([{"path": "src/main.rs", "language": "rust", "line_count": 2, "content": "# no heading\nfn main() {}\n"}])
    );
    assert_eq!(data["stories_not_named"], json!(["US-2"]));
    assert_eq!(log::take(), ["warn: the implementation does not name a story story=US-2"]);
}

#[track_caller]
fn asked_again(files: &str, expected: &str) {
    let mut model = ScriptedModel::answering([answer(files), answer(FILE)]);
    assert!(run(&mut model).is_ok());
    let reason = &model.requests()[1].messages[3].content;
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn files_that_nobody_can_write_to_a_disk_are_asked_for_again() {
    asked_again("As discussed.", "has no code block");
    asked_again(&format!("{FILE}\n{FILE}"), "the file `src/main.rs` is written twice");
    for path in ["../main.rs", "/etc/passwd", "a//b.rs", "C:/a.rs", "The main file"] {
        let file = FILE.replace("src/main.rs", path);
        asked_again(&file, "put the path of the file");
    }
}

#[test]
fn files_are_found_as_models_write_them_down() {
    for files in [
        FILE.replace("###", "#"),
        FILE.replace("###", "##").replace("`src/main.rs`", "1. `src/main.rs`"),
        FILE.replace("### `src/main.rs`", "**src/main.rs**"),
        FILE.replace("\n\n", "\n\nIt begins here, and calls `log()`.\n\n"),
    ] {
        let output = run(&mut ScriptedModel::answering([answer(&files)])).expect(&files);
        let data: Value = serde_json::from_str(&output.data).unwrap();
        assert_eq!(data["files"][0]["path"], "src/main.rs", "{files}");
    }
}

#[test]
fn a_frontend_has_its_own_role_rules_and_artifacts() {
    let settings = json!({"discipline": "frontend", "artifact": "frontend", "stack": "React 19", "file_count_max": 3});
    let context =
        context().with_settings(&settings).with_artifact("developer", IMPLEMENTATION, "The API.");
    let request = Developer::build_prompt(&context).unwrap();
    assert!(request.messages[0].content.contains("screen reader"));
    let question = &request.messages[1].content;
    for expected in
        ["The API.", "One process.", "at most 3 files", "The stack is: React 19", "\"US-1\""]
    {
        assert!(question.contains(expected), "{expected}\n{question}");
    }
    let output = Developer::run(&context, &mut ScriptedModel::answering([answer(FILE)])).unwrap();
    assert_eq!(output.artifacts[0].name, "frontend.md");
}

#[test]
fn stories_are_needed() {
    let error = Developer::build_prompt(&StageContext::new("x")).unwrap_err();
    assert_eq!(error.failure().unwrap().code, "artifact_missing");
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
