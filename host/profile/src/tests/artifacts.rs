//! Artifacts that stages need, and who makes them.
use insta::assert_snapshot;
use serde_json::json;

use super::support::{Tried, plugin, problems_of, profile};

#[test]
fn a_stage_before_the_one_that_it_needs_is_a_problem() {
    let yaml = profile(
        "  - {key: positioning, plugin: positioning}\n  - {key: research, plugin: research}\n  \
         - {key: brief, plugin: foundation-brief}\n",
    );
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:4:32: the stage `positioning` needs `research.md`, and no stage before it makes that
        hint: move the stage `research` before it
    tried.yaml:6:26: the stage `brief` needs `brand-voice.md`, and no stage before it makes that
        hint: put a stage before it that makes it; the stages before it make `positioning.md`, `research.md`
    tried.yaml:6:26: the stage `brief` needs `keywords.md`, and no stage before it makes that
        hint: put a stage before it that makes it; the stages before it make `positioning.md`, `research.md`
    ");
}

#[test]
fn behind_an_unknown_plugin_nothing_is_said_to_be_missing() {
    let yaml = profile(
        "  - {key: research, plugin: unknown}\n  - {key: brand-voice, plugin: brand-voice}\n",
    );
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:4:29: no plugin `unknown`
        hint: the plugins: `research`, `brand-voice`, `positioning`, `keywords`, `foundation-brief`
    ");
}

#[test]
fn two_stages_that_make_the_same_artifact_are_a_warning() {
    let yaml = profile("  - {key: research, plugin: research}\n  - {key: again, plugin: other}\n");
    let tried = Tried::new(yaml).with(plugin("other", &[], &[], &["research.md"], &json!({})));
    assert_eq!(
        tried.check().unwrap().warnings,
        [
            "the stages `research` and `again` both make `research.md`: stages after them get the later one"
        ]
    );
}

#[test]
fn a_skill_that_no_stage_uses_is_a_warning() {
    let yaml =
        format!("{}skills: {{lonely: text}}\n", profile("  - {key: research, plugin: research}\n"));
    assert_eq!(Tried::new(yaml).check().unwrap().warnings, ["no stage uses the skill `lonely`"]);
}

#[test]
fn the_plan_has_what_the_plugin_says_of_its_artifacts() {
    let yaml = profile(
        "  - {key: research, plugin: research}\n  - {key: positioning, plugin: positioning}\n",
    );
    let plan = Tried::new(yaml).check().unwrap().plan;
    let stage = &plan.stages[1];
    assert_eq!(stage.needs, ["research.md"]);
    assert_eq!(stage.uses, ["brand-voice.md"]);
    assert_eq!(stage.makes[0].name, "positioning.md");
}
