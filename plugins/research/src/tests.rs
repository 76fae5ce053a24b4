use serde_json::{Value, json};
use stage_sdk::{ScriptedModel, StageError};

use super::*;
use crate::settings::Settings;

/// As a chatty model writes it: greeting, fence, numbered headings of the wrong level, Windows line ends, a goodbye.
const MESSY: &str = "Of course! Here is the research you asked for.\r\n\r\n```markdown\r\n# Rooftop honey: market research\r\n\
### 1. Summary\r\nCity buyers pay for origin, not for sweetness. They cannot tell honeys apart today.\r\n\
### 2. Product & Offer\r\nRaw honey in 250 g jars (assumption).\r\n\
### 3. Market:\r\nPremium honey.\r\n### 4. Audience\r\n- Home cooks\r\n- Gift buyers\r\n\
### 5. Competitors\r\n- **Supermarket brands** - cheap, everywhere, faceless\r\n- **Rural beekeepers** - trusted, far away\r\n\
#### What they share\r\nNobody names the district.\r\n\
### 6. Trends and Risks\r\nBad summers.\r\n### 7. Opportunities\r\n1. Honey by district: collectors\r\n\
### 8. Assumptions and open questions\r\nPrice.\r\n```\r\n\r\nLet me know if you would like a deeper look!";

fn context() -> StageContext {
    StageContext::new("Raw honey from the roofs of Cologne, sold in small jars to people who cook.")
}

fn data(output: &StageOutput) -> Value {
    serde_json::from_str(&output.data).unwrap()
}

#[test]
fn a_messy_answer_becomes_a_clean_artifact() {
    let output = Research::run(&context(), &mut ScriptedModel::answering([MESSY])).unwrap();
    assert_eq!(output.summary, "Research: City buyers pay for origin, not for sweetness.");

    let body = &output.artifacts[0].body;
    assert!(
        body.starts_with("# Rooftop honey: market research\n\n## Summary\n\nCity buyers"),
        "{body}"
    );
    assert!(body.contains("\n\n## Product and offer\n\nRaw honey"), "{body}");
    assert!(body.ends_with("## Assumptions and open questions\n\nPrice.\n"), "{body}");
    assert!(!body.contains('\r') && !body.contains("Let me know"), "{body}");
}

#[test]
fn programs_get_sections_and_names() {
    let output = Research::run(&context(), &mut ScriptedModel::answering([MESSY])).unwrap();
    let data = data(&output);
    assert_eq!(data["sections"]["market"], "Premium honey.");
    assert_eq!(data["competitors"], json!(["Supermarket brands", "Rural beekeepers"]));
    assert_eq!(data["opportunities"], json!(["Honey by district"]));
    assert_eq!(output.variables[0].name, "research_summary");
}

#[test]
fn a_missing_section_is_named_to_the_model_and_the_second_answer_counts() {
    let broken = MESSY.replace("### 7. Opportunities", "### 7. Chances");
    let mut model = ScriptedModel::answering([broken.as_str(), MESSY]);
    assert!(Research::run(&context(), &mut model).is_ok());
    let reason = &model.requests()[1].messages[3].content;
    assert!(reason.contains("the required section `## Opportunities` is missing"), "{reason}");
}

#[test]
fn a_refusal_of_the_model_fails_the_stage_after_two_questions() {
    let mut model = ScriptedModel::answering(["I can't help with that.", "Sorry, no."]);
    let error = Research::run(&context(), &mut model).unwrap_err();
    let StageError::InvalidOutput(failure) = error else { panic!("{error:?}") };
    assert_eq!(failure.code, "section_missing");
}

#[test]
fn only_what_a_decision_rests_on_is_marked_as_an_assumption() {
    let request = Research::build_prompt(&context()).unwrap();
    let rules = &request.messages[0].content;
    let rule = "in the language of the answer, only what neither of them supports and a decision would rest on.";
    assert!(rules.contains(rule), "{rules}");
}

#[test]
fn settings_reach_the_prompt() {
    let settings = json!({"depth": "deep", "competitor_count_max": 3, "region": "Cologne", "focus": "Is it a gift?"});
    let request = Research::build_prompt(&context().with_settings(&settings)).unwrap();
    let question = &request.messages[1].content;
    for expected in [
        "no more than 3 competitors",
        "market that counts is: Cologne.",
        "Is it a gift?",
        "at most 2400 words",
    ] {
        assert!(question.contains(expected), "{expected}\n{question}");
    }
    assert!(question.contains("\nRequired sections, in this order:\n## Summary - "), "{question}");
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
