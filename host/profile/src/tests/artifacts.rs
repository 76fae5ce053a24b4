//! Artifacts that stages need, and who makes them.
use domain::port::KnownPlugin;
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

/// A plugin whose settings name what it needs, uses and makes.
fn general() -> KnownPlugin {
    let names = json!({ "type": "array", "items": { "type": "string" }, "default": [] });
    let marked = |mark: &str| {
        let mut names = names.clone();
        names[mark] = json!(true);
        names
    };
    let properties = json!({
        "artifact": { "type": "string", "default": "", "x-artifact": "document" },
        "needs": marked("x-needs"),
        "uses": marked("x-uses"),
    });
    plugin("general", &[], &[], &["document.md", "document.json", "documents.md"], &properties)
}

#[test]
fn settings_name_what_a_general_plugin_needs_and_makes() {
    let yaml = profile(
        "  - {key: plan, plugin: general}\n  \
         - {key: b, plugin: general, settings: {artifact: research, needs: [plan.md], uses: [x.md]}}\n  \
         - {key: voice, plugin: brand-voice}\n",
    );
    let resolved = Tried::new(yaml).with(general()).check().unwrap();
    let names = |idx: usize| -> Vec<String> {
        resolved.plan.stages[idx].makes.iter().map(|made| made.name.clone()).collect()
    };
    assert_eq!(names(0), ["plan.md", "plan.json", "documents.md"]);
    assert_eq!(names(1), ["research.md", "research.json", "documents.md"]);
    let stage = &resolved.plan.stages[1];
    assert_eq!(
        (stage.needs.as_slice(), stage.uses.as_slice()),
        (&["plan.md".to_owned()][..], &["x.md".to_owned()][..])
    );
}

#[test]
fn names_that_settings_give_are_checked_at_their_places() {
    let yaml = profile(
        "  - {key: plan, plugin: general, settings: {artifact: a/b}}\n  \
         - {key: b, plugin: general, settings: {artifact: documents, needs: [none.md]}}\n",
    );
    assert_snapshot!(Tried::new(yaml).with(general()).problems(), @r"
    tried.yaml:4:55: `artifact`: `a/b.md` cannot be the name of an artifact: it has a path separator
    tried.yaml:5:52: `artifact`: the stage would make `documents.md` twice
    ");
}

#[test]
fn behind_wrong_settings_that_name_artifacts_nothing_is_said_to_be_missing() {
    let yaml = profile(
        "  - {key: first, plugin: general, settings: {needs: [early.md]}}\n  \
         - {key: brief, plugin: general, settings: {artefact: brief, needs: [none.md]}}\n  \
         - {key: outline, plugin: general, settings: {needs: [brief.md]}}\n",
    );
    assert_snapshot!(Tried::new(yaml).with(general()).problems(), @r"
    tried.yaml:4:26: the stage `first` needs `early.md`, and no stage before it makes that
        hint: put a stage before it that makes it
    tried.yaml:5:46: there is no setting `artefact`
        hint: did you mean `artifact`? the settings: `artifact`, `needs`, `uses`
    ");
}

#[test]
fn behind_wrong_settings_that_name_nothing_it_is_known_what_is_missing() {
    let yaml = profile(
        "  - {key: research, plugin: research, settings: {depth: dep}}\n  \
         - {key: keywords, plugin: keywords}\n",
    );
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:4:57: `depth` is `dep`, and has to be one of `brief`, `standard`, `deep`
        hint: did you mean `deep`?
    tried.yaml:5:29: the stage `keywords` needs `positioning.md`, and no stage before it makes that
        hint: put a stage before it that makes it; the stages before it make `research.md`
    ");
}
