//! Every shipped profile runs to its end on the scripted provider, and its log is a snapshot: a profile that is added
//! adds a test.
use std::path::Path;

use serde_json::json;

use crate::support::{Folder, Server, stagewright};

#[tokio::test]
async fn every_shipped_profile_runs_to_its_end() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    let mut modes = Vec::new();
    for entry in std::fs::read_dir(shipped).expect("the shipped profiles") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let stem = path.file_stem().expect("a name").to_str().expect("UTF-8");
            modes.push(stem.to_owned());
        }
    }
    modes.sort();
    let listed = server.api.get("/api/v2/workflow-profiles").await.ok();
    let listed: Vec<&str> = listed["items"]
        .as_array()
        .expect("profiles")
        .iter()
        .map(|profile| profile["mode"].as_str().expect("a mode"))
        .collect();
    assert_eq!(listed, modes, "every file is shipped under its own name");

    for mode in modes {
        let run = server.api.start(&mode).await;
        let ended = server.api.finish(&run).await;
        assert_eq!(ended["status"], "completed", "{mode}: {ended:#}");
        insta::assert_snapshot!(format!("journal of {mode}"), server.api.journal(&run).await);
    }
}

#[tokio::test]
async fn a_mode_without_a_profile_runs_as_the_foundation_and_says_so_everywhere() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let run = server.api.start("press_release").await;

    let found = server.api.reaches(&run, &["waiting_approval"]).await;
    assert_eq!(found["requested_mode"], "press_release");
    assert_eq!(found["effective_mode"], "foundation_stack");
    assert_eq!(found["fallback_applied"], true);
    server.stop();
    let plan = std::fs::read_to_string(folder.run(&run).join("plan.json")).expect("the plan");
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(plan["requested_mode"], "press_release");
    assert_eq!(plan["effective_mode"], "foundation_stack");
    assert_eq!(plan["fallback_applied"], true);
}

/// Whoever mistypes a name at a terminal has not asked for another workflow, and is not to pay for it.
#[test]
fn a_mistyped_mode_is_refused_at_the_terminal() {
    let folder = Folder::new();
    let ran = stagewright(&folder, &["run", "foundation_stak", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 2, "{ran}");
    insta::assert_snapshot!(ran.told(&folder), @r"
    exit 2
    -- stdout
    -- stderr
    error: no profile has the name `foundation_stak`, and nothing was started
    hint: did you mean `foundation_stack`?
    ");
    assert_eq!(stagewright(&folder, &["runs", "list", "-o", "json"]).json()["items"], json!([]));
}

#[tokio::test]
async fn a_fallback_can_be_forced_and_can_be_switched_off() {
    let mut folder = Folder::new();
    folder.set("STAGEWRIGHT_FALLBACK", "forced");
    let server = Server::start(&folder);
    let run = server.api.start("foundation_express").await;
    let found = server.api.run(&run).await;
    assert_eq!(found["effective_mode"], "foundation_stack");
    assert_eq!(found["fallback_applied"], true);
    server.stop();

    folder.set("STAGEWRIGHT_FALLBACK", "off");
    let server = Server::start(&folder);
    let body = serde_json::json!({"mode": "press_release", "request_text": "bees"});
    let refused = server.api.post("/api/v2/workflow-runs", &body).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.text.contains("foundation_stack"), "it names what there is: {refused:?}");
}

#[tokio::test]
async fn a_run_that_has_begun_does_not_see_later_edits_of_its_profile() {
    let folder = Folder::new();
    let text = |version: &str, stages: &str| {
        format!(
            "profile: mine\ntitle: Mine\ndescription: Mine.\nversion: \"{version}\"\nstages:\n{stages}"
        )
    };
    let research = "  - { key: research, title: Research, plugin: research, gate: required }\n";
    let voice = "  - { key: brand-voice, title: Voice, plugin: brand-voice, gate: none }\n";
    let file = ".stagewright/profiles/mine.yaml";
    folder.write(file, text("1", &format!("{research}{voice}")));
    let server = Server::start(&folder);
    let run = server.api.start("mine").await;
    let approval = server.api.gate(&run).await;

    folder.write(file, text("2", research));
    server.api.grant(&approval).await.ok();
    let ended = server.api.finish(&run).await;
    let later = server.api.start("mine").await;

    assert_eq!(ended["profile_version"], "1");
    assert_eq!(ended["stage_count"], 2);
    assert_eq!(server.api.run(&later).await["profile_version"], "2");
}
