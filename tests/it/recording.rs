//! What a run did can be taken out of it, and done again anywhere.
use std::path::{Path, PathBuf};

use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};

use crate::support::{Folder, Ran, Server, stagewright};

const STAGES: [&str; 5] =
    ["research", "brand-voice", "positioning", "keywords", "foundation-brief"];

fn recorded(folder: &Folder, stage: &str) -> (PathBuf, Value) {
    let name = format!("{stage}.recording.json");
    let ran = stagewright(folder, &["plugin", "record", "last", stage, "--to", &name]);
    assert_eq!(ran.code, 0, "{ran}");
    let path = folder.path().join(&name);
    let text = std::fs::read_to_string(&path).expect("the recording");
    (path, serde_json::from_str(&text).expect("a recording is JSON"))
}

fn replayed(folder: &Folder, recording: &Path) -> Ran {
    let recording = recording.display().to_string();
    stagewright(folder, &["-o", "json", "plugin", "replay", &recording])
}

fn foundation(folder: &Folder) {
    let arguments = ["run", "foundation_stack", "--request", "All about bees", "--yes"];
    let ran = stagewright(folder, &arguments);
    assert_eq!(ran.code, 0, "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_of_a_run_is_recorded_and_replayed_equal_without_a_model() {
    let models = ModelServer::start().await;
    // The first answer is not usable, so that one stage asks twice.
    models.push(Behavior::text("I would rather talk about wasps."));
    let folder = Folder::with_models(&models);
    foundation(&folder);
    let asked = models.count();
    let elsewhere = Folder::new();
    for stage in STAGES {
        let (path, recording) = recorded(&folder, stage);
        assert_eq!(recording["context"]["stage_key"], stage);
        let questions = recording["exchanges"].as_array().expect("exchanges").len();
        assert_eq!(questions, if stage == "research" { 2 } else { 1 });
        assert!(!recording.to_string().contains("test-key"), "a recording has no secrets");
        let ran = replayed(&elsewhere, &path);
        assert_eq!(ran.code, 0, "{ran}");
        assert_eq!(ran.json()["equal"], true, "{ran}");
    }
    assert_eq!(models.count(), asked, "a replay asks nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_recording_and_another_component_diverge_at_the_right_place() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    foundation(&folder);
    let (path, recording) = recorded(&folder, "research");

    let mut tampered = recording.clone();
    let answer = &mut tampered["exchanges"][0]["model"]["answer"]["content"];
    // At its end, so that the sections that the stage looks for are still there.
    *answer = json!(format!("{}\nAnd wasps.\n", answer.as_str().expect("an answer").trim_end()));
    let tampered = folder.write("tampered.recording.json", tampered.to_string());
    let ran = replayed(&folder, &tampered);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.json()["divergence"]["part"], "artifact `research.md`", "{ran}");
    let ran = stagewright(&folder, &["plugin", "replay", &tampered.display().to_string()]);
    assert!(ran.stdout.contains("at artifact `research.md`: it differs"), "{ran}");
    assert!(!ran.stderr.contains("research.md"), "it is told once: {ran}");

    let (_, other) = plugin_bundle::PLUGINS
        .iter()
        .find(|(name, _)| *name == "brand-voice")
        .expect("it ships with the program");
    let component = folder.write("other.wasm", other).display().to_string();
    let recording = path.display().to_string();
    let ran = stagewright(
        &folder,
        &["-o", "json", "plugin", "replay", &recording, "--component", &component],
    );
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.json()["is_other_component"], true, "{ran}");
    assert_eq!(ran.json()["equal"], false, "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_and_one_that_a_reviewer_wanted_are_recorded_as_they_were() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    let approval = server.api.gate(&run).await;
    let path = format!("/api/v2/approvals/{approval}/revise");
    let wish = json!({ "actor": "rita", "comment": "shorter, please" });
    assert_eq!(server.api.post(&path, &wish).await.status, 200);
    let approval = server.api.gate(&run).await;
    models.push(Behavior::status(401, r#"{"error":{"message":"bad key"}}"#));
    server.api.grant(&approval).await.ok();
    server.api.reaches(&run, &["failed"]).await;

    let of = |stage: &str, attempt: &str| {
        format!("/api/v2/workflow-runs/{run}/stages/{stage}/attempts/{attempt}/recording")
    };
    let first = server.api.get(&of("research", "1")).await.ok();
    assert!(first["context"]["revision"].is_null(), "{first:#}");
    let second = server.api.get(&of("research", "latest")).await.ok();
    assert_eq!(second["context"]["attempt"], 2);
    assert_eq!(second["context"]["revision"]["feedback"], "shorter, please");
    assert_eq!(second["context"]["revision"]["previous"][0]["name"], "research.md");
    let failed = server.api.get(&of("brand-voice", "1")).await.ok();
    assert_eq!(failed["outcome"]["fault"]["kind"], "model_unauthorized", "{failed:#}");
    assert_eq!(failed["exchanges"][0]["model"]["answer"]["error"]["kind"], "unauthorized");
    for (name, recording) in [("first", first), ("second", second), ("failed", failed)] {
        let path = folder.write(&format!("{name}.recording.json"), recording.to_string());
        let ran = replayed(&folder, &path);
        assert_eq!(ran.code, 0, "{name}: {ran}");
    }

    let none = server.api.get(&of("research", "7")).await;
    assert_eq!((none.status, none.code()), (404, "attempt_unknown".to_owned()));
    let open = server.api.get(&of("keywords", "latest")).await;
    assert_eq!((open.status, open.code()), (404, "attempt_unknown".to_owned()));
    let nonsense = server.api.get(&of("research", "first")).await;
    assert_eq!((nonsense.status, nonsense.code()), (400, "id_invalid".to_owned()));
}

/// Each was made by the host of its day with the component of the contract's release, and replays on every later host.
#[test]
fn recordings_of_every_earlier_host_replay_equal() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let folder = Folder::new();
    let mut count = 0;
    for entry in std::fs::read_dir(fixtures.join("recordings")).expect("the recordings") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a recording");
        let recording: Value = serde_json::from_str(&text).expect("a recording is JSON");
        let contract = recording["contract_version"].as_str().expect("a version");
        let component = fixtures.join("contract").join(contract).join("golden.wasm");
        let [path, component] = [path, component].map(|path| path.display().to_string());
        let ran = stagewright(&folder, &["plugin", "replay", &path, "--component", &component]);
        assert_eq!(ran.code, 0, "{path}: {ran}");
        assert!(ran.stdout.starts_with("equal "), "{path}: {ran}");
        assert!(ran.stdout.ends_with("golden.wasm`; it is the recorded component\n"), "{ran}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn a_replay_in_a_project_is_with_what_that_has_built_and_says_so() {
    let folder = Folder::new();
    foundation(&folder);
    let (kept, _) = recorded(&folder, "research");
    let project = "language: rust\ncomponent: dist/plugin.wasm\n";
    folder.write("mine/stagewright-plugin.yaml", project);
    let own = folder.path().join("mine/own.recording.json");
    std::fs::copy(&kept, &own).expect("a copy");
    let [kept, own] = [kept, own].map(|path| path.display().to_string());
    let replay = |recording: &str| stagewright(&folder, &["plugin", "replay", recording]);
    let bytes = |wanted: &str| {
        let mut plugins = plugin_bundle::PLUGINS.iter();
        plugins.find(|(name, _)| *name == wanted).expect("it ships with the program").1
    };
    let of_host = |ran: &Ran| {
        assert_eq!(ran.code, 0, "{ran}");
        let words = ": the plugin that this host keeps; it is the recorded component\n";
        assert!(ran.stdout.ends_with(words), "{ran}");
    };
    let ran = replay(&own);
    of_host(&ran);
    assert_eq!(ran.stderr, "", "nothing was built that could be passed over");

    // The same plugin in other bytes: a section that nobody reads is added.
    let changed = [bytes("research"), &[0, 2, 1, b'x']].concat();
    folder.write("mine/dist/plugin.wasm", changed);
    let ran = replay(&own);
    assert_eq!(ran.code, 0, "{ran}");
    let words = "dist/plugin.wasm`, which the project has built; recorded was another component: ";
    assert!(ran.stdout.contains("\nreplayed with ") && ran.stdout.contains(words), "{ran}");
    let told = stagewright(&folder, &["plugin", "replay", &own, "-o", "json"]).json();
    assert_eq!((&told["origin"], &told["is_other_component"]), (&json!("project"), &json!(true)));
    assert_ne!(told["digest"], told["recorded_digest"]);

    of_host(&replay(&kept));
    folder.write("stagewright-plugin.yaml", "language: rust\ncomponent: mine/dist/plugin.wasm\n");
    let ran = replay(&kept);
    assert!(ran.stdout.contains("which the project has built"), "the working folder's: {ran}");
    folder.write("named.wasm", bytes("research"));
    let ran = stagewright(&folder, &["plugin", "replay", &own, "--component", "named.wasm"]);
    assert!(ran.stdout.ends_with(": `named.wasm`; it is the recorded component\n"), "{ran}");
}

#[test]
fn what_a_project_built_that_is_not_the_recorded_plugin_is_passed_over_and_told() {
    let folder = Folder::new();
    foundation(&folder);
    let (kept, _) = recorded(&folder, "research");
    folder.write("stagewright-plugin.yaml", "language: rust\ncomponent: plugin.wasm\n");
    let replay = || stagewright(&folder, &["plugin", "replay", &kept.display().to_string()]);
    let mut plugins = plugin_bundle::PLUGINS.iter();
    let (_, other) = plugins.find(|(name, _)| *name == "keywords").expect("it ships with it");
    let old = b"\0asm\x01\0\0\0".as_slice(); // A module, and no component.
    for (built, why_not) in [
        (*other, "it is `keywords`, and recorded was `research`\n"),
        (old, "it cannot be used: "),
        (b"<html>", "it cannot be used: "),
    ] {
        folder.write("plugin.wasm", built);
        let ran = replay();
        assert_eq!(ran.code, 0, "{ran}");
        let words = ": the plugin that this host keeps; it is the recorded component\n";
        assert!(ran.stdout.ends_with(words), "{ran}");
        let said = format!("plugin.wasm`, which the project has built, is passed over: {why_not}");
        assert_eq!(ran.stderr.matches(&said).count(), 1, "{ran}");
        assert!(ran.stderr.contains("hint: say with `--component FILE` which one"), "{ran}");
    }
    std::fs::remove_file(folder.path().join("plugin.wasm")).expect("the component");
    assert_eq!(replay().stderr, "", "a project that has built nothing is no matter");
}

#[test]
fn a_replay_in_which_the_stage_failed_before_its_question_says_how() {
    let folder = Folder::new();
    let rogue = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the rogue stage");
    folder.write("rogue.wasm", rogue);
    folder.write("input.yaml", "request_text: bees\nsettings: { verb: ask, text: no sections }\n");
    folder.write("answer.md", "Honey.");
    let run = ["plugin", "run", "rogue.wasm", "--input", "input.yaml", "--answer", "answer.md"];
    let ran = stagewright(&folder, &[&run[..], &["--record", "r.json"]].concat());
    assert_eq!(ran.code, 0, "{ran}");
    let text = std::fs::read_to_string(folder.path().join("r.json")).expect("a recording");
    let recorded: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let replay = ["plugin", "replay", "r.json", "--component", "rogue.wasm"];
    let with = |verb: &str| {
        let mut recording = recorded.clone();
        recording["context"]["settings"]["verb"] = json!(verb);
        folder.write("r.json", recording.to_string());
        let told = stagewright(&folder, &[&replay[..], &["-o", "json"]].concat()).json();
        (stagewright(&folder, &replay), told)
    };
    let (ran, told) = with("panic");
    assert_eq!(ran.code, 1, "{ran}");
    let (differs, failed) = ran.stdout.split_once("  the stage failed: ").expect("the failure");
    assert!(differs.contains("at question 1: it was asked when it was recorded"), "{ran}");
    assert!(failed.contains("panicked: no sections"), "{ran}");
    assert!(failed.contains("in its code, innermost first:"), "{ran}");
    assert_eq!(told["divergence"]["part"], "question 1", "{told}");
    assert_eq!(told["failure"]["error_code"], "plugin_trapped", "{told}");
    let (ran, told) = with("bad-input");
    assert!(ran.stdout.contains("(stage_bad_input, plugin code `"), "{ran}");
    assert_eq!(told["failure"]["error_code"], "stage_bad_input", "{told}");

    let (ran, told) = with("ask");
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(told["failure"], Value::Null, "it did not fail: {told}");
    // Stopped because it asked something else is no failure of the stage.
    let mut other = recorded.clone();
    let model = &mut other["exchanges"][0]["model"];
    model["request_digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    folder.write("r.json", other.to_string());
    let ran = stagewright(&folder, &replay);
    assert!(ran.code == 1 && ran.stdout.contains("at question 1: "), "{ran}");
    assert!(!ran.stdout.contains("the stage failed"), "{ran}");
}

#[test]
fn the_replay_that_is_told_next_has_its_file_as_one_word_for_a_shell() {
    let folder = Folder::new();
    folder.write_rogue_profile("rogue", &["{ verb: fine }"]);
    let ran = stagewright(&folder, &["run", "rogue", "--request", "bees"]);
    assert_eq!(ran.code, 0, "{ran}");
    let record = ["plugin", "record", "last", "stage-0", "--to", "of bees.json"];
    let ran = stagewright(&folder, &record);
    assert!(ran.stdout.contains("next: stagewright plugin replay 'of bees.json'\n"), "{ran}");
}

#[test]
fn an_attempt_whose_texts_were_removed_is_refused_with_the_reason() {
    let folder = Folder::new();
    folder.write("stagewright.yaml", "records: { texts: \"off\" }\n");
    foundation(&folder);
    let ran = stagewright(&folder, &["plugin", "record", "last", "research", "--to", "r.json"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("the configuration says so"), "{ran}");
    assert!(!folder.path().join("r.json").exists());
}

#[test]
fn a_recording_whose_plugin_is_not_there_says_how_to_name_one() {
    let folder = Folder::new();
    foundation(&folder);
    let (_, mut recording) = recorded(&folder, "research");
    recording["plugin"]["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    let path = folder.write("stranger.recording.json", recording.to_string());
    let ran = replayed(&folder, &path);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("--component FILE"), "{ran}");
}
