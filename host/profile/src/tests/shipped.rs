//! The profiles that are part of the program mean something.
use insta::assert_snapshot;

use super::support::{FakeCatalog, FakeNames, NO_OVERRIDES, digest_of, lines};
use crate::{Ask, FallbackPolicy, Library, Problems, Resolved, SHIPPED};

fn resolve(mode: &str) -> Result<Resolved, Problems> {
    let ask = Ask { mode, ..NO_OVERRIDES };
    Library::shipped().resolve(&ask, &FakeCatalog::shipped(), &FakeNames, &FallbackPolicy::Off)
}

#[test]
fn each_is_named_like_its_file_and_has_neither_problems_nor_warnings() {
    let library = Library::shipped();
    assert_eq!(library.list().len(), SHIPPED.len());
    for (file_name, text) in SHIPPED {
        let mode = file_name.strip_suffix(".yaml").unwrap();
        let found = library.find(&mode.parse().unwrap()).unwrap();
        assert_eq!(found.text(), *text);
        assert!(!found.summary().description.is_empty());
        assert_eq!(resolve(mode).unwrap().warnings, Vec::<String>::new());
    }
}

#[test]
fn every_file_of_the_folder_is_shipped() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    assert_eq!(names, SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}

#[test]
fn the_foundation_stack_asks_after_each_of_its_first_four_stages() {
    assert_snapshot!(lines(&resolve("foundation_stack")), @r#"
    research | research@1.0.0 | {"competitor_count_max":5,"depth":"standard","language":""} |  | gate: Are the market, the audience and the competitors described as you know them? | scripted/scripted-default
    brand-voice | brand-voice@1.0.0 | {"language":"","word_count_max":1000} |  | gate: Is this how the brand should sound? | scripted/scripted-default
    positioning | positioning@1.0.0 | {"language":"","word_count_max":1000} |  | gate: Is this the place in the market that the brand should take? | scripted/scripted-default
    keywords | keywords@1.0.0 | {"keyword_count_max":30,"market":"","seed_keywords":[]} |  | gate: Are these the words that the brand should be found by? | scripted/scripted-default
    foundation-brief | foundation-brief@1.0.0 | {"language":"","word_count_max":1000} |  | gate: - | scripted/scripted-default
    "#);
}

#[test]
fn the_express_asks_once() {
    assert_snapshot!(lines(&resolve("foundation_express")), @r#"
    research | research@1.0.0 | {"competitor_count_max":3,"depth":"brief","language":""} |  | gate: - | scripted/scripted-default
    brand-voice | brand-voice@1.0.0 | {"language":"","word_count_max":700} |  | gate: - | scripted/scripted-default
    positioning | positioning@1.0.0 | {"language":"","word_count_max":700} |  | gate: Is this the place in the market that the brand should take? Nothing else will be asked. | scripted/scripted-default
    keywords | keywords@1.0.0 | {"keyword_count_max":12,"market":"","seed_keywords":[]} |  | gate: - | scripted/scripted-default
    foundation-brief | foundation-brief@1.0.0 | {"language":"","word_count_max":1000} |  | gate: - | scripted/scripted-default
    "#);
}

#[test]
fn the_local_market_gives_every_stage_its_skill() {
    assert_snapshot!(lines(&resolve("foundation_local_market")), @r#"
    research | research@1.0.0 | {"competitor_count_max":8,"depth":"standard","language":""} | local_market | gate: required | scripted/scripted-default
    brand-voice | brand-voice@1.0.0 | {"language":"","word_count_max":1000} | local_market | gate: required | scripted/scripted-default
    positioning | positioning@1.0.0 | {"language":"","word_count_max":1000} | local_market | gate: required | scripted/scripted-default
    keywords | keywords@1.0.0 | {"keyword_count_max":50,"market":"","seed_keywords":[]} | local_market | gate: Would people of the place search with these words? | scripted/scripted-default
    foundation-brief | foundation-brief@1.0.0 | {"language":"","word_count_max":1000} | local_market | gate: - | scripted/scripted-default
    "#);
}

#[test]
fn the_plan_is_frozen_with_the_digests_of_its_plugins() {
    let plan = resolve("foundation_stack").unwrap().plan;
    assert_eq!(plan.profile_version, "1.0.0");
    assert_eq!(plan.title, "Foundation stack");
    assert_eq!(plan.fallback, None);
    for stage in &plan.stages {
        assert_eq!(stage.plugin.digest, digest_of(&stage.plugin.name));
    }
}

/// The stages with what each makes, and its gate.
fn chain(mode: &str) -> String {
    let plan = resolve(mode).unwrap().plan;
    let line = |stage: &domain::PlannedStage| {
        let makes: Vec<&str> = stage.makes.iter().map(|made| made.name.as_str()).collect();
        let gate = if stage.gate.is_some() { " | gate" } else { "" };
        format!(
            "{} by {} | needs {} | makes {}{gate}",
            stage.key,
            stage.plugin.name,
            stage.needs.join(" "),
            makes.join(" ")
        )
    };
    plan.stages.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_crew_of_six_delivers_software_and_a_person_looks_three_times() {
    assert_snapshot!(chain("software_delivery"), @r"
    product-manager by product-manager | needs  | makes product-brief.md stories.json | gate
    architect by prompt | needs product-brief.md | makes architecture.md architecture.json | gate
    developer by developer | needs stories.json | makes implementation.md implementation.json
    frontend by developer | needs stories.json | makes frontend.md frontend.json
    tester by tester | needs stories.json | makes test-plan.md test-plan.json
    reviewer by reviewer | needs product-brief.md implementation.md | makes review.md review.json | gate
    ");
}

#[test]
fn two_prompt_stages_of_the_content_calendar_make_artifacts_of_their_own() {
    assert_snapshot!(chain("content_calendar"), @r"
    research by research | needs  | makes research.md
    brand-voice by brand-voice | needs research.md | makes brand-voice.md
    themes by prompt | needs research.md brand-voice.md | makes themes.md themes.json | gate
    calendar by prompt | needs themes.md brand-voice.md | makes calendar.md calendar.json | gate
    ");
}
