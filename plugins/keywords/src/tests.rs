use serde_json::{Value, json};
use stage_sdk::{ResponseFormat, ScriptedModel};

use super::*;
use crate::settings::Settings;

const ANSWER: &str = r#"```json
{
  "note": "One page for each primary keyword.",
  "primary": [{"keyword": "honey from cologne", "intent": "commercial", "priority": "high", "rationale": "Says | what it is."}],
  "secondary": [{"keyword": "raw honey", "intent": "informational", "priority": "low", "rationale": ""}],
  "long_tail": []
}
```"#;

fn context() -> StageContext {
    StageContext::new("Raw honey from the roofs of Cologne.")
        .with_artifact("research", RESEARCH, "Cooks buy.")
        .with_artifact("positioning", POSITIONING, "Honey with an address.")
}

#[test]
fn an_answer_becomes_a_table_and_json() {
    let output = Keywords::run(&context(), &mut ScriptedModel::answering([ANSWER])).unwrap();
    assert_eq!(
        output.summary,
        "2 keywords: 1 primary, 1 secondary, 0 long tail; first `honey from cologne`."
    );
    assert_eq!(
        output.artifacts[0].body,
        "# Keywords\n\n> One page for each primary keyword.\n\n## Primary keywords\n\n\
         | Keyword | Intent | Priority | Rationale |\n|---|---|---|---|\n\
         | honey from cologne | commercial | high | Says \\| what it is. |\n\n\
         ## Secondary keywords\n\n| Keyword | Intent | Priority | Rationale |\n|---|---|---|---|\n\
         | raw honey | informational | low |  |\n"
    );
    let json: Value = serde_json::from_str(&output.artifacts[1].body).unwrap();
    assert_eq!(json["primary"][0]["intent"], "commercial");
    assert_eq!(json, serde_json::from_str::<Value>(&output.data).unwrap());
    assert_eq!(output.variables[0].value, r#""honey from cologne""#);
}

#[test]
fn prose_instead_of_json_is_asked_for_again_with_the_reason() {
    let mut model = ScriptedModel::answering(["1. honey from cologne\n2. raw honey", ANSWER]);
    assert!(Keywords::run(&context(), &mut model).is_ok());
    let reason = &model.requests()[1].messages[3].content;
    assert!(reason.contains("no complete JSON object"), "{reason}");
}

#[test]
fn the_prompt_asks_for_json_within_the_bounds() {
    let settings = json!({
        "keyword_count_max": 12, "market": "Cologne, Germany", "seed_keywords": ["city honey"], "avoid": ["acme"],
    });
    let request = Keywords::build_prompt(&context().with_settings(&settings)).unwrap();
    let ResponseFormat::JsonSchema(format) = &request.options.response_format else {
        panic!("no schema")
    };
    let schema: Value = serde_json::from_str(&format.schema).unwrap();
    assert_eq!(schema["properties"]["long_tail"]["maxItems"], 6);

    let question = &request.messages[1].content;
    for expected in [
        "primary: 2,",
        "secondary: 4,",
        "long_tail: 6,",
        "local market is Cologne, Germany.",
        "fit: city honey.",
        "may contain: acme.",
    ] {
        assert!(question.contains(expected), "{expected}\n{question}");
    }
    let rules = &request.messages[0].content;
    assert!(
        rules.contains("the values of intent and priority stay in English, exactly as given"),
        "{rules}"
    );
}

#[test]
fn research_and_positioning_are_needed() {
    let error =
        Keywords::build_prompt(&StageContext::new("Honey.").with_artifact("a", RESEARCH, "x"))
            .unwrap_err();
    assert!(error.failure().unwrap().message.contains("`positioning.md`"));
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
