//! Profiles of folders beside those that are shipped.
use insta::assert_snapshot;

use super::support::{NO_OVERRIDES, Tried, lines, profile};
use crate::{Ask, Library, SHIPPED_SOURCE};

const STACK: &str =
    "profile: foundation_stack\nversion: '9'\nstages:\n  - {key: only, plugin: research}\n";

/// One line per profile.
fn listed(library: &Library, tried: &Tried) -> String {
    let folder = format!("{}/", tried.path().display());
    let lines = library.list().into_iter().map(|summary| {
        let problems: Vec<String> = summary.problems.iter().map(ToString::to_string).collect();
        let line = format!(
            "{} {} {} gates={} {} {}",
            summary.mode,
            summary.version,
            summary.stage_keys.join(","),
            summary.gate_count,
            summary.source,
            problems.join("; ")
        );
        line.trim_end().replace(&folder, "")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_profile_of_a_folder_stands_beside_those_that_are_shipped() {
    let tried = Tried::new(profile("  - {key: only, plugin: research, gate: required}\n"));
    assert_snapshot!(listed(&tried.library(), &tried), @r"
    content_calendar 1.0.0 research,brand-voice,themes,calendar gates=2 shipped
    foundation_express 1.0.0 research,brand-voice,positioning,keywords,foundation-brief gates=1 shipped
    foundation_local_market 1.0.0 research,brand-voice,positioning,keywords,foundation-brief gates=4 shipped
    foundation_stack 1.0.0 research,brand-voice,positioning,keywords,foundation-brief gates=4 shipped
    software_delivery 1.0.0 product-manager,architect,developer,frontend,tester,reviewer gates=3 shipped
    tried 1 only gates=1 tried.yaml
    ");
}

#[test]
fn a_profile_of_a_folder_replaces_the_shipped_one() {
    let tried = Tried::new(STACK);
    let ask = Ask { mode: "foundation_stack", ..NO_OVERRIDES };
    assert_snapshot!(lines(&tried.resolve(&ask)), @r#"only | research@1.0.0 | {"competitor_count_max":5,"depth":"standard","language":""} |  | gate: - | scripted/scripted-default"#);
    let library = tried.library();
    let found = library.find(&"foundation_stack".parse().unwrap()).unwrap();
    assert_eq!(found.text(), STACK);
    assert_ne!(found.summary().source, SHIPPED_SOURCE);
}

#[test]
fn a_broken_profile_still_replaces_the_shipped_one() {
    let tried = Tried::new(profile("  - {key: only, plugin: research}\n"));
    tried.add("foundation_stack.yaml", "profile: [");
    let ask = Ask { mode: "foundation_stack", ..NO_OVERRIDES };
    assert_snapshot!(tried.render(&tried.resolve(&ask)), @"foundation_stack.yaml:1:10: not YAML: unclosed bracket '['");
    assert_snapshot!(listed(&tried.library(), &tried), @r"
    content_calendar 1.0.0 research,brand-voice,themes,calendar gates=2 shipped
    foundation_express 1.0.0 research,brand-voice,positioning,keywords,foundation-brief gates=1 shipped
    foundation_local_market 1.0.0 research,brand-voice,positioning,keywords,foundation-brief gates=4 shipped
    foundation_stack   gates=0 foundation_stack.yaml foundation_stack.yaml:1:10: not YAML: unclosed bracket '['
    software_delivery 1.0.0 product-manager,architect,developer,frontend,tester,reviewer gates=3 shipped
    tried 1 only gates=0 tried.yaml
    ");
}

#[test]
fn two_files_with_one_mode_are_both_refused() {
    let tried = Tried::new(STACK);
    tried.add("other.yml", STACK);
    let ask = Ask { mode: "foundation_stack", ..NO_OVERRIDES };
    assert_snapshot!(tried.render(&tried.resolve(&ask)), @r"
    other.yml: the mode `foundation_stack` is also that of `tried.yaml`
        hint: give one of them another mode
    ");
    assert_snapshot!(listed(&tried.library(), &tried), @r"
    content_calendar 1.0.0 research,brand-voice,themes,calendar gates=2 shipped
    foundation_express 1.0.0 research,brand-voice,positioning,keywords,foundation-brief gates=1 shipped
    foundation_local_market 1.0.0 research,brand-voice,positioning,keywords,foundation-brief gates=4 shipped
    foundation_stack 9 only gates=0 other.yml other.yml: the mode `foundation_stack` is also that of `tried.yaml`
    foundation_stack 9 only gates=0 tried.yaml tried.yaml: the mode `foundation_stack` is also that of `other.yml`
    software_delivery 1.0.0 product-manager,architect,developer,frontend,tester,reviewer gates=3 shipped
    ");
}

#[test]
fn a_later_folder_replaces_an_earlier_one() {
    let (first, second) = (Tried::new(STACK), Tried::new(STACK.replace('9', "10")));
    let library = Library::load(&[first.path(), second.path()]);
    let found = library.find(&"foundation_stack".parse().unwrap()).unwrap();
    assert_eq!(found.summary().version, "10");
}

#[test]
fn what_is_no_profile_file_is_left_alone() {
    let tried = Tried::new(profile("  - {key: only, plugin: research}\n"));
    tried.add("notes.txt", "not YAML: [");
    tried.add(".hidden.yaml", "not YAML: [");
    let shipped = Library::shipped().list().len();
    assert_eq!(tried.library().list().len(), shipped + 1);
}

#[test]
fn a_folder_that_is_named_like_a_profile_is_a_problem() {
    let tried = Tried::new(profile("  - {key: only, plugin: research}\n"));
    std::fs::create_dir(tried.path().join("folder.yaml")).unwrap();
    let shown = listed(&tried.library(), &tried);
    assert!(shown.contains("folder.yaml: it cannot be read: not a file"), "{shown}");
}

#[test]
fn a_folder_that_is_not_there_has_no_profiles() {
    let tried = Tried::new("");
    let library = Library::load(&[tried.path().join("missing")]);
    assert_eq!(library.list(), Library::shipped().list());
}

#[test]
fn a_file_that_is_given_as_a_folder_is_a_problem() {
    let tried = Tried::new("");
    let library = Library::load(&[tried.path().join("tried.yaml")]);
    assert!(library.list().iter().any(|summary| !summary.problems.is_empty()));
}
