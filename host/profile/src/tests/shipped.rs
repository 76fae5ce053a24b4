//! The profiles that are part of the program mean something.
use insta::assert_snapshot;

use super::support::{FakeCatalog, FakeNames, NO_OVERRIDES, digest_of, lines};
use crate::{Ask, FallbackPolicy, Library, Problems, Resolved, SHIPPED};

fn resolve(mode: &str) -> Result<Resolved, Problems> {
    let ask = Ask { mode, ..NO_OVERRIDES };
    Library::shipped().resolve(&ask, &FakeCatalog::foundation(), &FakeNames, &FallbackPolicy::Off)
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
