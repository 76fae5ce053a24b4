//! What a reviewer meets at a gate, typed and at a terminal.
use serde_json::Value;

use crate::support::{Folder, Ran, at_terminal, skipped, stagewright};

/// The Foundation stages with one gate, after the stage that makes JSON.
const PROFILE: &str = r#"profile: reviewed
version: "1"
defaults: { gate: none }
stages:
  - { key: research, plugin: research }
  - { key: brand-voice, plugin: brand-voice }
  - { key: positioning, plugin: positioning }
  - { key: keywords, plugin: keywords, gate: required }
  - { key: foundation-brief, plugin: foundation-brief }
"#;

/// A run that waits at its gate, as a name of that gate.
fn at_gate(folder: &Folder) -> String {
    folder.write(".stagewright/profiles/reviewed.yaml", PROFILE);
    let ran = stagewright(folder, &["run", "reviewed", "--request", "bees"]);
    assert_eq!(ran.code, 4, "{ran}");
    open_gate(folder).expect("a gate waits")
}

fn open_gate(folder: &Folder) -> Option<String> {
    let list = stagewright(folder, &["approvals", "list", "-o", "json"]).json();
    list["items"][0]["approval_id"].as_str().map(str::to_owned)
}

fn keywords(folder: &Folder) -> String {
    stagewright(folder, &["runs", "artifacts", "last", "keywords", "keywords.json"]).stdout
}

fn grant_with(folder: &Folder, gate: &str, text: &str) -> Ran {
    folder.write("mine.json", text);
    stagewright(folder, &["approvals", "grant", gate, "--edit", "keywords.json=@mine.json"])
}

#[test]
fn a_text_in_place_of_json_has_to_be_json() {
    let folder = Folder::new();
    let gate = at_gate(&folder);
    let before = keywords(&folder);
    let refused = grant_with(&folder, &gate, "{\n  no json at all");
    assert_eq!(refused.code, 1, "{refused}");
    for words in ["/edits/0/body", "not JSON: key must be a string at line 2 column 3", "hint:"] {
        assert!(refused.stderr.contains(words), "{words}: {refused}");
    }
    assert_eq!((open_gate(&folder), keywords(&folder)), (Some(gate.clone()), before));

    let granted = grant_with(&folder, &gate, "{\"mine\": true}\n");
    assert_eq!(granted.code, 0, "{granted}");
    assert_eq!(keywords(&folder), "{\"mine\": true}\n");
}

#[test]
fn whoever_decides_sees_what_comes_of_it_from_the_decision_on() {
    let folder = Folder::new();
    let gate = at_gate(&folder);
    let granted = stagewright(&folder, &["approvals", "grant", &gate, "-o", "json"]);
    assert_eq!(granted.code, 0, "{granted}");
    let lines = granted.stdout.lines();
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds[..2], ["gate_granted", "stage_started"], "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"settled"));
}

#[test]
fn a_text_that_is_no_json_can_be_corrected_at_the_terminal_and_the_next_stage_is_named() {
    let mut folder = Folder::new();
    let gate = at_gate(&folder);
    folder.set("NO_COLOR", "1");
    folder.set("EDITOR", "sh edit.sh");
    // What was typed first is found again by whoever corrects it.
    folder.write(
        "edit.sh",
        "if grep -q 'no json' \"$1\"; then echo '{\"mine\": true}'; else echo no json; fi > text\n\
         cat text > \"$1\"\n",
    );
    let edit = ["approvals", "edit", &gate, "keywords.json"];
    let Some(shown) = at_terminal(&folder, &edit, "y\ne\ny\n") else {
        return skipped("the correction of an edit", "`script` of util-linux");
    };
    for words in ["error: the text is not JSON: expected ident at line 1 column 2", "type e or n"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(keywords(&folder), "{\"mine\": true}\n", "{shown}");
    let done = shown.lines().find(|line| line.contains("✓ foundation-brief")).unwrap_or_default();
    assert!(done.contains("1 call"), "the stage with its numbers: {shown}");
}

#[test]
fn whoever_may_not_decide_is_told_how_to_say_who_acts() {
    let folder = Folder::new();
    let by_anna = PROFILE.replace("gate: required", "gate: { reviewers: [anna] }");
    folder.write(".stagewright/profiles/named.yaml", by_anna.replace("reviewed", "named"));
    let ran = stagewright(&folder, &["run", "named", "--request", "bees"]);
    assert_eq!(ran.code, 4, "{ran}");
    let gate = open_gate(&folder).expect("a gate waits");
    let refused = stagewright(&folder, &["approvals", "grant", &gate, "--actor", "dora"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("`--actor NAME` says who acts"), "{refused}");
}

#[test]
fn a_run_that_cannot_work_on_its_input_is_to_be_started_anew() {
    let folder = Folder::new();
    let plugin = plugin_bundle::ROGUE_STAGE_PATH;
    let text = format!(
        "profile: rogue\nversion: \"1\"\nstages:\n  - {{ key: rogue, plugin: {plugin:?}, settings: {{ verb: bad-input }} }}\n"
    );
    folder.write(".stagewright/profiles/rogue.yaml", text);
    let ran = stagewright(&folder, &["run", "rogue", "--request", "bees"]);
    assert_eq!(ran.code, 1, "{ran}");
    let first = ran.stderr.lines().find(|line| line.starts_with("hint:")).unwrap_or_default();
    assert!(first.contains("start a new run") && !first.contains("runs retry"), "{ran}");
}
