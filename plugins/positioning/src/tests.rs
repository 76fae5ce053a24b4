use serde_json::{Value, json};
use stage_sdk::ScriptedModel;

use super::*;
use crate::settings::Settings;

/// Headings repeat what belongs under them, two sections are swapped, and rules part them.
const MESSY: &str = "Here's the positioning:\n\n\
    ## Positioning Statement - one sentence\n\n> For cooks in Cologne who want to know what they eat, Honeyworks is the honey \
    with an address.\n\nIt is the one thing rural honey cannot say.\n\n---\n\n\
    ## Category and alternatives\nHoney.\n\n---\n\n## Target Audience\nHome cooks first.\n\n---\n\n\
    ## Differentiators\n1. **District on the jar** - proof: the hive register\n2. **Delivery by bike** - (assumption)\n\n---\n\n\
    ## Value pillars\n- **Traceable**: the roof\n- **Near**: the bike\n- **Plain**: nothing added\n\n\
    ## Messages\nHoney with an address.\n\n## Objections and answers\nDear? Small jars.\n\n\
    ## Risks of this positioning\nMore roofs.\n\n---\n\nWould you like me to refine it?";

fn context() -> StageContext {
    StageContext::new("Raw honey from the roofs of Cologne.").with_artifact(
        "research",
        RESEARCH,
        "# Research\n\nCooks buy.",
    )
}

#[test]
fn a_messy_answer_becomes_a_clean_artifact() {
    let output = Positioning::run(&context(), &mut ScriptedModel::answering([MESSY])).unwrap();
    let statement = "For cooks in Cologne who want to know what they eat, Honeyworks is the honey with an address.";
    assert_eq!(output.summary, statement);
    let body = &output.artifacts[0].body;
    assert!(body.starts_with("# Positioning\n\n## Positioning statement\n\n> For cooks"), "{body}");
    assert!(body.contains("\n\n## Target audience\n\nHome cooks first.\n\n## Category and alternatives\n\nHoney.\n\n"), "{body}");
    assert!(body.ends_with("More roofs.\n"), "{body}");
    assert!(!body.contains("---"), "{body}");
}

#[test]
fn the_run_gets_statement_and_pillars() {
    let output = Positioning::run(&context(), &mut ScriptedModel::answering([MESSY])).unwrap();
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(data["pillars"], json!(["Traceable", "Near", "Plain"]));
    assert_eq!(data["differentiators"], json!(["District on the jar", "Delivery by bike"]));
    assert_eq!(output.variables[0].name, "positioning_statement");
    assert_eq!(output.variables[1].value, r#"["Traceable","Near","Plain"]"#);
}

#[test]
fn the_voice_is_quoted_where_it_exists() {
    let without = Positioning::build_prompt(&context()).unwrap();
    assert!(!without.messages[1].content.contains("brand-voice.md"));
    let with =
        Positioning::build_prompt(&context().with_artifact("brand-voice", BRAND_VOICE, "Plain."))
            .unwrap();
    assert!(
        with.messages[1]
            .content
            .contains("<artifact name=\"brand-voice.md\" stage=\"brand-voice\">\nPlain.\n")
    );
}

#[test]
fn settings_reach_the_prompt() {
    let settings = json!({"framework": "jobs_to_be_done", "pillar_count": 4});
    let request = Positioning::build_prompt(&context().with_settings(&settings)).unwrap();
    let question = &request.messages[1].content;
    assert!(
        question.contains("When [situation]") && question.contains("Give 4 value pillars."),
        "{question}"
    );
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
