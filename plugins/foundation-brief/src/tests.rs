use serde_json::{Value, json};
use stage_sdk::{ScriptedModel, Variable, log};

use super::*;
use crate::prompt::SECTIONS;
use crate::settings::Settings;

fn context() -> StageContext {
    let context = StageContext::new("Raw honey from the roofs of Cologne.");
    NEEDED.iter().fold(context, |context, name| {
        context.with_artifact("earlier", name, &format!("Body of {name}."))
    })
}

/// All sections at the level of titles, in reverse order, with a greeting and a goodbye.
fn messy() -> String {
    let sections: Vec<String> = SECTIONS
        .iter()
        .rev()
        .map(|section| match section.heading {
            "Executive summary" => "# EXECUTIVE SUMMARY\nWe sell honey with an address.  \nIt works because cooks care.".to_owned(),
            "Next steps" => "# Next Steps:\n1. **Label the jars** - owner: product, day 10\n2. Open the shop: web, day 30".to_owned(),
            heading => format!("# {heading}\n\nWords about *honey from*\ncologne."),
        })
        .collect();
    format!(
        "Great material! Here is the brief.\n\n{}\n\nI hope this helps you to move on!",
        sections.join("\n\n")
    )
}

#[test]
fn a_messy_answer_becomes_a_clean_artifact() {
    let output =
        FoundationBrief::run(&context(), &mut ScriptedModel::answering([messy()])).unwrap();
    assert_eq!(output.summary, "Brief: We sell honey with an address.");
    let body = &output.artifacts[0].body;
    assert!(
        body.starts_with(
            "# Foundation brief\n\n## Executive summary\n\nWe sell honey with an address.\n"
        ),
        "{body}"
    );
    assert!(body.ends_with("2. Open the shop: web, day 30\n"), "{body}");
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(data["next_steps"], json!(["Label the jars", "Open the shop"]));
    assert_eq!(
        output.variables[0].value,
        r#""We sell honey with an address. It works because cooks care.""#
    );
}

#[test]
fn decisions_that_the_brief_does_not_take_over_are_told() {
    let mut context = context();
    let variable =
        |name: &str, value: &str| Variable { name: name.to_owned(), value: format!("\"{value}\"") };
    context.variables = vec![
        variable("primary_keyword", "Honey from Cologne"),
        variable("positioning_statement", "For cooks."),
    ];
    let output = FoundationBrief::run(&context, &mut ScriptedModel::answering([messy()])).unwrap();
    let data: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(data["not_taken_over"], json!(["positioning_statement"]));
    assert_eq!(
        log::take(),
        ["warn: the brief does not take over what was decided variable=positioning_statement"]
    );
}

#[test]
fn all_four_documents_are_needed_and_quoted() {
    let request = FoundationBrief::build_prompt(&context()).unwrap();
    for name in NEEDED {
        assert!(request.messages[1].content.contains(&format!("Body of {name}.")));
        let mut without = context();
        without.artifacts.retain(|earlier| earlier.artifact.name != name);
        let error = FoundationBrief::build_prompt(&without).unwrap_err();
        assert!(error.failure().unwrap().message.contains(name));
    }
}

#[test]
fn settings_reach_the_prompt() {
    let settings = json!({"reader": "an agency", "horizon_days": 30});
    let request = FoundationBrief::build_prompt(&context().with_settings(&settings)).unwrap();
    assert!(
        request.messages[1].content.contains("It is for an agency. It plans the next 30 days.")
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
