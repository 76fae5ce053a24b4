//! The stage of the README, line by line, so that what it shows compiles and works.
// README: begin
use stage_sdk::{
    Completion, ModelRequest, Stage, StageContext, StageError, StageInfo, StageOutput,
};

struct Tagline;
impl Stage for Tagline {
    fn info() -> StageInfo {
        StageInfo::new("tagline", "1.0.0", "Finds a tagline.").making_markdown("tagline.md", "It.")
    }
    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        Ok(ModelRequest::new("Answer with one tagline.", &context.request_text))
    }
    fn post_process(_: &StageContext, answer: &Completion) -> Result<StageOutput, StageError> {
        Ok(StageOutput::new(&answer.content).with_markdown("tagline.md", &answer.content))
    }
}
stage_sdk::export_stage!(Tagline);
// README: end

use serde_json::{Map, Value, json};
use stage_sdk::prompt::Prompt;
use stage_sdk::{Revision, ScriptedModel, Skill, json, log};

#[test]
fn the_stage_of_the_readme_works() -> Result<(), StageError> {
    let mut model = stage_sdk::ScriptedModel::answering(["Honey from above."]);
    let output = Tagline::run(&StageContext::new("Honey from roofs."), &mut model)?;
    assert_eq!(output.summary, "Honey from above.");
    Ok(())
}

/// A stage that has and gives everything that the README's tables name.
struct Everything;

impl Stage for Everything {
    fn info() -> StageInfo {
        StageInfo::new("everything", "1.0.0", "Has and gives everything.")
            .with_settings(
                &json!({ "type": "object", "properties": { "depth": { "default": 3 } } }),
            )
            .needing("research.md")
            .using("voice.md")
            .making("page.html", "text/html", "A page.")
            .making_json("facts.json", "Facts.")
    }

    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
        context.required_artifact("research.md")?;
        log::info(
            "what is there",
            &[("voice", &context.artifact("voice.md").is_some().to_string())],
        );
        let prompt =
            Prompt::new(context, "You collect facts.")?.needs("research.md")?.uses("voice.md");
        Ok(prompt.build().answered_in("facts", &json!({ "type": "object" })))
    }

    fn post_process(
        context: &StageContext,
        answer: &Completion,
    ) -> Result<StageOutput, StageError> {
        let settings: Map<String, Value> = context.settings_as()?;
        let facts: Value = json::parse(answer.whole_text()?)?;
        Ok(StageOutput::new("Done.")
            .with_artifact("page.html", "text/html", "<p>Facts.</p>")
            .with_json("facts.json", &facts)
            .with_data(&settings)
            .with_variable("tone", &context.variable("tone")))
    }
}

#[test]
fn the_tables_of_the_readme_name_what_exists() {
    let mut context =
        StageContext::new("Honey.").with_artifact("research", "research.md", "Cooks buy.");
    context.revision = Some(Revision { feedback: "Shorter.".to_owned(), previous: Vec::new() });
    context.skills = vec![Skill { name: "house".to_owned(), body: "No puns.".to_owned() }];
    let mut model = ScriptedModel::answering([r#"{"bees": 3}"#]);
    let output = Everything::run(&context, &mut model).unwrap();
    let asked = &model.requests()[0].messages;
    assert!(asked[0].content.contains("No puns.") && asked[1].content.contains("Shorter."));
    let made: Vec<&str> = output.artifacts.iter().map(|made| made.name.as_str()).collect();
    let announced = Everything::info().makes;
    let announced: Vec<&str> = announced.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(made, announced);
}

#[test]
fn both_readmes_show_this_stage() {
    let source = include_str!("readme.rs");
    let (_, after) = source.split_once("// README: begin\n").unwrap();
    let (shown, _) = after.split_once("// README: end\n").unwrap();
    for readme in [include_str!("../README.md"), include_str!("../../../README.md")] {
        assert!(readme.contains(shown), "copy the stage into the README:\n{shown}");
    }
}
