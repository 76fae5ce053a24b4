//! What `FORMATS.md` tells of the forms has the names that the forms have.
use std::collections::BTreeSet;
use std::path::Path;

use crate::context::Input;
use crate::recording::Recording;

const FORMATS: &str = include_str!("../FORMATS.md");

/// A member that no form has, at each place of a recording that has members.
const PLACES: [&str; 21] = [
    r#""?": 0"#,
    r#""plugin": { "?": 0 }"#,
    r#""limits": { "?": 0 }"#,
    r#""makes": [{ "?": 0 }]"#,
    r#""context": { "?": 0 }"#,
    r#""context": { "artifacts": [{ "?": 0 }] }"#,
    r#""context": { "skills": [{ "?": 0 }] }"#,
    r#""context": { "revision": { "?": 0 } }"#,
    r#""exchanges": [{ "?": 0 }]"#,
    r#""exchanges": [{ "model": { "?": 0 } }]"#,
    r#""exchanges": [{ "model": { "request": { "?": 0 } } }]"#,
    r#""exchanges": [{ "model": { "request": { "messages": [{ "?": 0 }] } } }]"#,
    r#""exchanges": [{ "model": { "answer": { "?": 0 } } }]"#,
    r#""exchanges": [{ "model": { "answer": { "usage": { "?": 0 } } } }]"#,
    r#""exchanges": [{ "model": { "answer": { "error": { "?": 0 } } } }]"#,
    r#""exchanges": [{ "http": { "?": 0 } }]"#,
    r#""exchanges": [{ "http": { "answer": { "?": 0 } } }]"#,
    r#""outcome": { "output": { "?": 0 } }"#,
    r#""outcome": { "fault": { "?": 0 } }"#,
    r#""log": { "?": 0 }"#,
    r#""log": { "lines": [{ "?": 0 }] }"#,
];

/// What stands between backticks, one after the other.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The names that a recording may have, wherever one is unknown.
fn names_of_recordings() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for place in PLACES {
        let text = format!(r#"{{ "format": "stagewright-recording", "version": 1, {place} }}"#);
        let refused = Recording::parse(&text, Path::new("r.json")).unwrap_err().to_string();
        let (_, known) = refused.split_once("`?`, expected").unwrap_or_else(|| panic!("{refused}"));
        names.extend(quoted(known));
    }
    names
}

/// The names that an input may have where one is unknown.
fn names_of_inputs(text: &str) -> BTreeSet<String> {
    let error = Input::parse(text, Path::new("input.yaml")).unwrap_err();
    quoted(&error.hint().unwrap()).collect()
}

/// The names in one column of all tables with this word at the top of it.
fn told(column: usize, word: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_meant = false;
    for line in FORMATS.lines() {
        let Some(row) = line.strip_prefix('|') else { continue };
        let cell = row.split('|').nth(column).unwrap_or_default().trim();
        if !cell.starts_with(['`', '-']) {
            is_meant = cell.starts_with(word);
        } else if is_meant {
            names.extend(quoted(cell));
        }
    }
    names
}

#[test]
fn every_member_of_a_form_is_described_and_no_other() {
    let inputs = names_of_inputs("request_text: bees\n?: 0\n");
    let known: BTreeSet<String> = names_of_recordings().union(&inputs).cloned().collect();
    assert!(known.len() > 70, "they are found: {known:?}");
    let described: BTreeSet<String> = quoted(&FORMATS.replace("```", "")).collect();
    let words: BTreeSet<&str> =
        described.iter().flat_map(|text| text.split(['{', '"', '}', ':', ' '])).collect();
    for name in &known {
        assert!(words.contains(name.as_str()), "`{name}` is not described");
    }
    let unknown: Vec<String> = told(0, "member").difference(&known).cloned().collect();
    assert!(unknown.is_empty(), "nothing has such members: {unknown:?}");
}

#[test]
fn limits_are_told_by_both_of_their_names() {
    let limits = names_of_inputs("request_text: bees\nlimits: { '?': 0 }\n");
    assert_eq!(told(0, "in `input.yaml`"), limits);
    let text = r#"{ "format": "stagewright-recording", "version": 1, "limits": { "?": 0 } }"#;
    let refused = Recording::parse(text, Path::new("r.json")).unwrap_err().to_string();
    let names = quoted(refused.split_once("expected").unwrap().1).collect();
    assert_eq!(told(2, "in a recording"), names);
}
