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

#[test]
fn the_stage_of_the_readme_works() -> Result<(), StageError> {
    let mut model = stage_sdk::ScriptedModel::answering(["Honey from above."]);
    let output = Tagline::run(&StageContext::new("Honey from roofs."), &mut model)?;
    assert_eq!(output.summary, "Honey from above.");
    Ok(())
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
