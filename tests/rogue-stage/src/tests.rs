use std::collections::BTreeSet;

use serde_json::json;
use stage_sdk::{LlmError, ScriptedModel};

use super::*;

fn run(settings: &serde_json::Value, model: &mut ScriptedModel) -> Result<StageOutput, StageError> {
    Rogue::run(&StageContext::new("bees").with_settings(settings), model)
}

#[test]
fn every_verb_has_a_word_of_its_own_that_the_settings_accept() {
    let words = verbs();
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), VERBS.len());
    for word in words {
        let settings: Settings = serde_json::from_value(json!({ "verb": word })).unwrap();
        assert_eq!(settings.verb.word(), word);
    }
}

#[test]
fn a_verb_that_behaves_leaves_what_is_announced() {
    let output = run(&json!({"verb": "fine"}), &mut ScriptedModel::default()).unwrap();
    let announced: Vec<String> = Rogue::info().makes.into_iter().map(|spec| spec.name).collect();
    let left: Vec<String> = output.artifacts.into_iter().map(|artifact| artifact.name).collect();
    assert_eq!(left, announced);
}

#[test]
fn asking_gives_back_the_answer_or_the_error() {
    let mut model = ScriptedModel::answering(["Honey."]);
    assert_eq!(run(&json!({"verb": "ask"}), &mut model).unwrap().artifacts[0].body, "Honey.");

    model.push_error(LlmError::Canceled);
    assert_eq!(
        run(&json!({"verb": "ask-fail"}), &mut model).unwrap_err(),
        StageError::Llm(LlmError::Canceled)
    );
}

#[test]
fn obeying_leaves_the_answers_or_fails_as_they_say() {
    let mut model = ScriptedModel::answering(["Honey.", "Wax."]);
    let output = run(&json!({"verb": "obey", "count": 2}), &mut model).unwrap();
    assert_eq!(output.artifacts[0].body, "Honey.\nWax.");
    assert_eq!(output.variables[0].value, "\"Wax.\"");

    let mut model = ScriptedModel::answering(["FAIL transient, please"]);
    let error = run(&json!({"verb": "obey"}), &mut model).unwrap_err();
    assert_eq!(error.failure().unwrap().code, "rogue_transient");
}

#[test]
fn an_unknown_verb_is_bad_input() {
    let error = run(&json!({"verb": "sing"}), &mut ScriptedModel::default()).unwrap_err();
    assert_eq!(error.failure().unwrap().code, "bad_settings");
}

#[test]
fn a_stream_gives_pieces_and_the_whole() {
    let mut model = ScriptedModel::answering(["Honey."]);
    let output = run(&json!({"verb": "stream"}), &mut model).unwrap();
    assert_eq!(output.data, r#"{"is_whole":true,"pieces":["Honey."]}"#);
}
