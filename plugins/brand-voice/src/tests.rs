use serde_json::{Value, json};
use stage_sdk::ScriptedModel;

use super::*;
use crate::settings::Settings;

/// As a model writes it that thinks aloud, uses bold lines as headings, and repeats what belongs under them.
const MESSY: &str = "<think>The audience cooks. Maybe dry humor?\n## Voice traits\nno</think>\n\
    **Voice in one paragraph**\nLike a neighbor who keeps bees: plain, exact, a little dry. Cooks trust that.\n\n\
    **Voice traits:**\n- **Plain**: short words. Not: childish.\n- **Exact**: names the roof. Not: pedantic.\n\n\
    **Tone by situation**\n| Situation | Feels | Tone | Line |\n|---|---|---|---|\n| Problem | cross | calm | We send a new jar. |\n\n\
    **Vocabulary**\nJar, not vessel.\n\n**Grammar & style**\nWe and you.\n\n\
    **Sample lines**\nOff: The finest honey ever.\nOn: Honey from Ehrenfeld, last July.\n\n\
    **Do and don’t**\n- Do: name the place.\n";

fn context() -> StageContext {
    StageContext::new("Raw honey from the roofs of Cologne.").with_artifact(
        "research",
        RESEARCH,
        "# Research\n\nCooks buy.",
    )
}

#[test]
fn a_messy_answer_becomes_a_clean_artifact() {
    let output = BrandVoice::run(&context(), &mut ScriptedModel::answering([MESSY])).unwrap();
    assert_eq!(output.summary, "Brand voice: Plain, Exact.");
    let body = &output.artifacts[0].body;
    assert!(
        body.starts_with("# Brand voice\n\n## Voice in one paragraph\n\nLike a neighbor"),
        "{body}"
    );
    assert!(body.contains("\n## Do and don't\n\n- Do: name the place.\n"), "{body}");
    assert!(!body.contains("think"), "{body}");
}

#[test]
fn programs_get_traits_and_variables() {
    let output = BrandVoice::run(&context(), &mut ScriptedModel::answering([MESSY])).unwrap();
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(data["traits"], json!(["Plain", "Exact"]));
    assert_eq!(data["sections"]["vocabulary"], "Jar, not vessel.");
    let names: Vec<&str> = output.variables.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(names, ["brand_voice", "voice_traits"]);
}

#[test]
fn the_research_is_needed_and_quoted() {
    let error = BrandVoice::build_prompt(&StageContext::new("Honey.")).unwrap_err();
    assert_eq!(error.failure().unwrap().code, "artifact_missing");

    let request = BrandVoice::build_prompt(&context()).unwrap();
    assert!(
        request.messages[1]
            .content
            .contains("<artifact name=\"research.md\" stage=\"research\">\n# Research\n")
    );
}

#[test]
fn settings_reach_the_prompt() {
    let settings = json!({"tone": ["warm", "dry"], "avoid": ["artisanal"], "formality": "formal", "word_count_max": 400});
    let request = BrandVoice::build_prompt(&context().with_settings(&settings)).unwrap();
    let question = &request.messages[1].content;
    for expected in [
        "hears it like this: warm, dry.",
        "listed as such: artisanal.",
        "speaks formally",
        "at most 400 words",
    ] {
        assert!(question.contains(expected), "{expected}\n{question}");
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
