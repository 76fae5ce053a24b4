use serde_json::json;
use stage_sdk::ScriptedModel;

use super::*;

const ANSWER: &str = "```markdown\n# City honey\nSell roof honey to people who cook.\n\n\n- One jar per district\n```";

fn context() -> StageContext {
    StageContext::new("Honey from the roofs of our city, for people who cook.")
}

#[test]
fn an_answer_becomes_a_clean_brief() {
    let output = Brief::run(&context(), &mut ScriptedModel::answering([ANSWER])).unwrap();
    assert_eq!(output.summary, "Sell roof honey to people who cook.");
    assert_eq!(output.artifacts[0].name, BRIEF);
    assert_eq!(
        output.artifacts[0].body,
        "# City honey\n\nSell roof honey to people who cook.\n\n- One jar per district\n"
    );
}

#[test]
fn a_long_answer_is_asked_for_again() {
    let settings = json!({ "word_count_max": 20 });
    let long = "word ".repeat(41);
    let mut model = ScriptedModel::answering([long.as_str(), ANSWER]);
    assert!(Brief::run(&context().with_settings(&settings), &mut model).is_ok());
    let reason = &model.requests()[1].messages[3].content;
    assert!(reason.contains("the brief has 41 words; at most 20 were asked for"), "{reason}");
}

#[test]
fn the_default_stands_in_the_schema_and_in_the_type() {
    let default = &settings::schema()["properties"]["word_count_max"]["default"];
    assert_eq!(default, Settings::default().word_count_max);
}
