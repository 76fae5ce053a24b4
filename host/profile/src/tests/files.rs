//! Files that are no profile, and why.
use insta::assert_snapshot;

use super::support::{Tried, problems_of, profile};

#[test]
fn an_empty_file_is_no_profile() {
    assert_snapshot!(problems_of(""), @"tried.yaml:1:1: a profile cannot be empty");
    assert_snapshot!(problems_of("# only a comment\n"), @"tried.yaml:2:1: a profile cannot be empty");
    assert_snapshot!(problems_of("- a\n- list\n"), @"tried.yaml:1:1: a profile has to be a map, not a list");
}

#[test]
fn a_tab_is_found() {
    assert_snapshot!(problems_of("profile: tried\nstages:\n\t- key: research\n"), @r"
    tried.yaml:3:2: not YAML: tabs disallowed within this context (block indentation)
        hint: indent with blanks: YAML does not allow tabs there
    ");
    assert_snapshot!(problems_of("stages:\n  - key: a\n\t  plugin: b\n"), @r"
    tried.yaml:2:10: not YAML: while scanning a plain scalar, found a tab
        hint: indent with blanks: YAML does not allow tabs there
    ");
}

#[test]
fn broken_yaml_has_its_line() {
    assert_snapshot!(problems_of("profile: tried\nstages: [\n  {key: research\n"), @"tried.yaml:3:3: not YAML: unclosed bracket '{'");
    assert_snapshot!(problems_of("profile: \"tried\nversion: 1\n"), @"tried.yaml:2:1: not YAML: invalid indentation in multiline quoted scalar");
    assert_snapshot!(problems_of("profile: tried\n  version: 1\n"), @"tried.yaml:2:10: not YAML: mapping values are not allowed in this context");
    assert_snapshot!(problems_of("profile: a: b\n"), @"tried.yaml:1:11: not YAML: mapping values are not allowed in this context");
}

#[test]
fn bytes_that_are_not_utf_8_have_their_place() {
    assert_snapshot!(Tried::new(b"profile: tried\ntitle: caf\xe9\n").problems(), @r"
    tried.yaml:2:11: the file is not UTF-8 from here on
        hint: save it as UTF-8
    ");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let yaml = profile("  - {key: research, plugin: research}\n").replace('\n', "\r\n");
    assert_snapshot!(problems_of(&format!("\u{feff}{yaml}")), @"it has a plan");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    assert_snapshot!(problems_of(&"# a long comment\n".repeat(70_000)), @r"
    tried.yaml: the file has more than 1024 KiB
        hint: keep texts that are longer out of the profile
    ");
}

#[test]
fn a_second_document_is_refused() {
    assert_snapshot!(problems_of("profile: a\n---\nprofile: b\n"), @r"
    tried.yaml:3:1: a profile is one YAML document, and here a second one begins
        hint: move it to a file of its own
    ");
}

#[test]
fn a_key_that_is_said_twice_is_found_wherever_it_is() {
    let yaml = "profile: tried\nversion: \"1\"\ntitle: One\ntitle: Two\nstages:\n  - key: research\n    \
                plugin: research\n    settings: {depth: brief, depth: deep}\n";
    assert_snapshot!(problems_of(yaml), @r"
    tried.yaml:4:1: `title` is said twice
        hint: keep one of the two; the first is in line 3
    tried.yaml:8:30: `depth` is said twice
        hint: keep one of the two; the first is in line 8
    ");
}

#[test]
fn a_key_that_is_a_number_is_refused() {
    let yaml = profile("  - {key: research, plugin: research, settings: {1: a, 1: b}}\n");
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:4:56: the key `1` is not a text
        hint: write it in quotes
    tried.yaml:4:56: there is no setting `1`
        hint: the settings: `competitor_count_max`, `depth`, `language`, `word_count_max`
    ");
}

#[test]
fn an_alias_is_what_it_stands_for() {
    let yaml = profile(
        "  - {key: research, plugin: research, settings: &s {word_count_max: 500}}\n  \
         - {key: brand-voice, plugin: brand-voice, settings: *s}\n",
    );
    assert_snapshot!(problems_of(&yaml), @"it has a plan");
}

#[test]
fn a_wrong_value_behind_an_alias_is_shown_where_it_is_written() {
    let yaml = profile(
        "  - {key: research, plugin: research, gate: &g perhaps}\n  \
         - {key: brand-voice, plugin: brand-voice, gate: *g}\n",
    );
    assert_snapshot!(problems_of(&yaml), @r#"
    tried.yaml:4:48: `gate` cannot be `perhaps`
        hint: write `required`, `none` or a map such as `{ question: "…" }`
    "#);
}

#[test]
fn aliases_that_multiply_are_stopped() {
    let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 9].join(", ");
        yaml.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:4:50: aliases repeat more than 10000 values
        hint: write what is meant, without aliases that multiply
    ");
}

#[test]
fn an_anchor_that_contains_itself_is_refused() {
    assert_snapshot!(problems_of("profile: &a [*a]\n"), @"tried.yaml:1:14: an anchor contains itself");
    assert_snapshot!(problems_of("profile: *nowhere\n"), @"tried.yaml:1:10: the alias names an anchor that the file does not have");
}

#[test]
fn a_merge_key_is_refused() {
    assert_snapshot!(problems_of("a: &a {b: 1}\nc:\n  <<: *a\n"), @r"
    tried.yaml:3:3: merge keys (`<<`) are not supported
        hint: say what stages have in common under `defaults`
    ");
}

#[test]
fn a_tag_of_another_program_is_refused() {
    assert_snapshot!(problems_of("profile: !python/object tried\n"), @r"
    tried.yaml:1:25: the tag `!python/object` is not supported
        hint: remove it
    ");
}

#[test]
fn deep_nesting_is_stopped() {
    let yaml = format!("a: {}{}\n", "[".repeat(2_000), "]".repeat(2_000));
    assert_snapshot!(problems_of(&yaml), @"tried.yaml:1:36: it is nested deeper than 32 levels");
    let mut block = String::new();
    for level in 0..100 {
        block.push_str(&format!("{}a:\n", " ".repeat(level)));
    }
    assert_snapshot!(problems_of(&block), @"tried.yaml:33:33: it is nested deeper than 32 levels");
}

#[test]
fn a_file_of_nonsense_does_not_give_endless_problems() {
    let yaml: String = (0..5_000).map(|idx| format!("key_{idx}: x\n")).collect();
    let tried = Tried::new(yaml);
    let problems = tried.check().unwrap_err();
    assert_eq!(problems.items().len(), 101);
    assert_eq!(
        problems.items()[0].message.rsplit_once(' ').unwrap(),
        ("4903 more problems are not", "shown")
    );
}

#[test]
fn a_file_that_is_not_there_is_a_problem_of_the_file() {
    let tried = Tried::new("");
    let missing = crate::Library::check_file(
        &tried.path().join("missing.yaml"),
        &tried.catalog,
        &super::support::FakeNames,
    );
    assert_snapshot!(tried.render(&missing), @"missing.yaml: it cannot be read: No such file or directory (os error 2)");
}
