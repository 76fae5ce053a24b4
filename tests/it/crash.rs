//! `kill -9` at every point where something could be lost or paid twice.
use std::collections::BTreeMap;
use std::path::PathBuf;

use model_server::{After, Behavior, MODEL, ModelServer};
use serde_json::json;

use crate::support::{Api, Folder, Server};

/// Runs whose files are being written when the process is killed.
const FILE_RUNS: usize = 20;
/// Bytes that a torn log loses: less than the frame of one page.
const TORN_BYTES: u64 = 1_000;
/// Tries to kill the process in the middle of writing files.
const FILE_TRIES: usize = 5;

#[tokio::test]
async fn before_the_first_stage() {
    let models = ModelServer::start().await;
    models.hold();
    let mut folder = Folder::with_models(&models);
    // One attempt at a time: the second run cannot begin while the first waits for its model.
    folder.set("STAGEWRIGHT_ATTEMPTS", "1");
    let server = Server::start(&folder);
    let first = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;
    let second = server.api.start("foundation_stack").await;
    assert_eq!(server.api.run(&second).await["status"], "queued");

    server.kill();
    models.release();
    let server = Server::start(&folder);

    server.api.reaches(&first, &["waiting_approval"]).await;
    server.api.reaches(&second, &["waiting_approval"]).await;
    assert_eq!(models.count(), 3, "the first call twice, since it was in flight");
    check_ended_well(&server.api, &folder, &[&first, &second]).await;
}

#[tokio::test]
async fn while_a_model_call_is_open() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;

    server.kill();
    models.release();
    let server = Server::start(&folder);
    server.api.reaches(&run, &["waiting_approval"]).await;

    assert_eq!(models.count(), 2);
    let requests = models.requests();
    assert_eq!(requests[0].body, requests[1].body, "the same question");
    let key = |idx: usize| requests[idx].header("idempotency-key").map(str::to_owned);
    assert!(key(0).is_some());
    assert_eq!(key(0), key(1), "under the same key");
    let calls = server.api.get(&format!("/api/v2/workflow-runs/{run}/llm-calls")).await.ok();
    assert_eq!(calls["items"].as_array().expect("calls").len(), 1, "it is one call: {calls:#}");
    check_ended_well(&server.api, &folder, &[&run]).await;
}

#[tokio::test]
async fn after_an_answer_was_stored() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    folder.write_rogue_profile("twice", &["{ verb: ask-many, count: 2 }"]);
    models.push(Behavior::answer());
    models.otherwise(Behavior::Hang);
    let server = Server::start(&folder);
    let run = server.api.start("twice").await;
    models.wait_for_requests(2).await;
    assert!(
        server.api.journal(&run).await.contains("model_answered stage=stage-0 attempt=1 ordinal=1")
    );

    server.kill();
    models.otherwise(Behavior::answer());
    let server = Server::start(&folder);
    let ended = server.api.finish(&run).await;

    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(models.count(), 3, "the first answer was kept; the second call was in flight");
    let requests = models.requests();
    assert_eq!(requests[1].body, requests[2].body);
    check_ended_well(&server.api, &folder, &[&run]).await;
}

#[tokio::test]
async fn while_a_gate_waits() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    let approval = server.api.gate(&run).await;

    server.kill();
    let server = Server::start(&folder);

    assert_eq!(server.api.gate(&run).await, approval, "it is the same question");
    assert_eq!(models.count(), 1, "nothing was asked again");
    check_ended_well(&server.api, &folder, &[&run]).await;
    assert_eq!(models.count(), 5);
}

#[tokio::test]
async fn a_plugin_that_was_swapped_meanwhile_does_not_matter() {
    let models = ModelServer::start().await;
    models.otherwise(Behavior::Hang);
    let folder = Folder::with_models(&models);
    let plugin = folder.write("mine.wasm", std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).unwrap());
    let profile = format!(
        "profile: mine\nversion: \"1\"\nstages:\n  - key: only\n    plugin: {:?}\n    settings: {{ verb: ask }}\n",
        plugin.display().to_string()
    );
    folder.write(".stagewright/profiles/mine.yaml", profile);
    let server = Server::start(&folder);
    let run = server.api.start("mine").await;
    models.wait_for_requests(1).await;

    server.kill();
    models.otherwise(Behavior::text("Honey."));
    let (_, other) = plugin_bundle::PLUGINS[0];
    std::fs::write(&plugin, other).unwrap();
    let server = Server::start(&folder);
    let ended = server.api.finish(&run).await;

    assert_eq!(ended["status"], "completed", "{ended:#}");
    let requests = models.requests();
    assert_eq!(requests[0].body, requests[1].body, "the plugin that the run began with asks");
    check_files(&server.api, &folder, &[&run]).await;
}

#[tokio::test]
async fn a_write_ahead_log_that_lost_its_end_is_a_shorter_log() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let first = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;
    let before = server.api.journal(&first).await;
    let second = server.api.start("foundation_stack").await;
    models.wait_for_requests(2).await;
    // Whatever the last commit is, it is none of the first two.
    server.api.start("foundation_stack").await;
    models.wait_for_requests(3).await;

    server.kill();
    models.release();
    let log = folder.data().join("stagewright.db-wal");
    let size = std::fs::metadata(&log).expect("the log").len();
    let file = std::fs::OpenOptions::new().write(true).open(&log).expect("the log");
    // The last frame of the last commit is cut in its middle.
    file.set_len(size - TORN_BYTES).expect("a shorter log");
    let server = Server::start(&folder);

    assert!(server.api.journal(&first).await.starts_with(&before));
    check_ended_well(&server.api, &folder, &[&first, &second]).await;
}

#[tokio::test]
async fn before_anything_was_stored() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    Server::start(&folder).kill();
    // As if it had been killed in the middle of its first commit.
    let log = folder.data().join("stagewright.db-wal");
    let file = std::fs::OpenOptions::new().write(true).open(&log).expect("the log");
    file.set_len(TORN_BYTES).expect("a shorter log");

    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    check_ended_well(&server.api, &folder, &[&run]).await;
}

#[tokio::test]
async fn in_the_middle_of_writing_run_files() {
    for _ in 0..FILE_TRIES {
        let models = ModelServer::start().await;
        models.hold();
        let folder = Folder::with_models(&models);
        let server = Server::start(&folder);
        let mut runs = Vec::new();
        for _ in 0..FILE_RUNS {
            runs.push(server.api.start("foundation_stack").await);
        }
        let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
        models.wait_for_requests(FILE_RUNS).await;
        models.release();
        wait_for_a_stage_folder(&folder).await;
        server.kill();
        let written = runs.iter().filter(|run| is_written(&folder, run)).count();

        let server = Server::start(&folder);
        for run in &runs {
            server.api.reaches(run, &["waiting_approval"]).await;
        }
        check_files(&server.api, &folder, &runs).await;
        assert!(models.count() <= FILE_RUNS * 2, "only calls in flight are asked again");
        assert_eq!(server.stop(), 0);
        if written < FILE_RUNS {
            return;
        }
    }
    panic!("the files were always written before the process could be killed: use more runs");
}

async fn wait_for_a_stage_folder(folder: &Folder) {
    for _ in 0..10_000 {
        if folder.files().iter().any(|path| path.to_string_lossy().contains("01-research")) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("no file of a stage was written");
}

fn is_written(folder: &Folder, run: &str) -> bool {
    folder.run(run).join("01-research/manifest.json").is_file()
}

#[tokio::test]
async fn a_provider_that_stalls_is_given_up_and_the_stage_is_tried_again() {
    let models = ModelServer::start().await;
    models.push(Behavior::Hang);
    models.push(Behavior::begun("Honey is", After::Hang));
    models.otherwise(Behavior::text("Honey."));
    let folder = Folder::new();
    let url = models.base_url();
    let limits = "tries: 1, first_token_s: 1, idle_s: 1";
    let provider = format!("{{ base_url: {url:?}, model: {MODEL}, {limits} }}");
    folder.write(
        "stagewright.yaml",
        format!("provider: local\nproviders: {{ local: {provider} }}\n"),
    );
    let profile = format!(
        "profile: patient\nversion: \"1\"\ndefaults: {{ retry: {{ attempts: 3, wait_s: 0 }} }}\nstages:\n  \
         - {{ key: only, plugin: {:?}, settings: {{ verb: ask-fail }} }}\n",
        plugin_bundle::ROGUE_STAGE_PATH
    );
    folder.write(".stagewright/profiles/patient.yaml", profile);
    let server = Server::start(&folder);
    let run = server.api.start("patient").await;
    let ended = server.api.finish(&run).await;

    assert_eq!(ended["status"], "completed", "{ended:#}");
    let journal = server.api.journal(&run).await;
    let failures: Vec<&str> =
        journal.lines().filter(|line| line.contains("stage_failed")).collect();
    assert_eq!(failures.len(), 2, "{journal}");
    assert!(failures.iter().all(|line| line.contains("model_timeout")), "{journal}");
}

// The server is waited for in this thread, while the model server answers in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_lets_the_open_call_end_and_nothing_is_asked_again() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;

    server.terminate();
    models.release();
    assert_eq!(server.ended(), 0);
    let server = Server::start(&folder);
    server.api.reaches(&run, &["waiting_approval"]).await;

    assert_eq!(models.count(), 1, "its answer was kept before the end");
    check_ended_well(&server.api, &folder, &[&run]).await;
}

#[tokio::test]
async fn a_canceled_run_hangs_up_on_its_model_and_the_call_is_recorded() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;

    let path = format!("/api/v2/workflow-runs/{run}");
    let canceled = server.api.post(&format!("{path}/cancel"), &json!({ "actor": "a" })).await.ok();
    assert_eq!(canceled["status"], "canceled");
    models.wait_for_abandoned(1).await;
    let mut looks = 0;
    while server.api.get(&format!("{path}/llm-calls")).await.ok()["items"][0]["status"]
        != "canceled"
    {
        looks += 1;
        assert!(looks < 1_000, "the call is recorded as canceled");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let resumed = server.api.post(&format!("{path}/resume"), &json!({})).await.ok();
    assert_eq!(resumed["status"], "canceled", "a resume of an ended run changes nothing");
}

/// Grants what waits, and sees that each run ends with every file as its log has it.
async fn check_ended_well(api: &Api, folder: &Folder, runs: &[&str]) {
    for run in runs {
        let ended = api.finish(run).await;
        assert_eq!(ended["status"], "completed", "{ended:#}");
    }
    check_files(api, folder, runs).await;
}

/// The files follow their events by moments; then each artifact lies there as the API gives it, and nothing else does.
async fn check_files(api: &Api, folder: &Folder, runs: &[&str]) {
    for run in runs {
        let wanted = artifacts(api, run).await;
        assert!(!wanted.is_empty());
        let mut looks = 0;
        while files(folder, run) != wanted {
            looks += 1;
            assert!(
                looks < 1_000,
                "{run}: {:?} are wanted, not {:?}",
                wanted.keys(),
                files(folder, run).keys()
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

async fn artifacts(api: &Api, run: &str) -> BTreeMap<String, String> {
    let list = api.get(&format!("/api/v2/workflow-runs/{run}/artifacts")).await.ok();
    let mut bodies = BTreeMap::new();
    for artifact in list["items"].as_array().expect("artifacts") {
        let stage = artifact["stage"].as_str().expect("a stage");
        let name = artifact["name"].as_str().expect("a name");
        let path = format!("/api/v2/workflow-runs/{run}/artifacts/{stage}/{name}");
        bodies.insert(format!("{stage}/{name}"), api.get(&path).await.text);
    }
    bodies
}

/// The artifacts that lie below a run's folder; temporary files would be among them.
fn files(folder: &Folder, run: &str) -> BTreeMap<String, String> {
    let root = folder.run(run);
    let is_host_file = |path: &PathBuf| {
        path.ends_with("output.json")
            || path.ends_with("manifest.json")
            || path.ends_with("plan.json")
    };
    let paths = folder.files().into_iter().filter(|path| path.starts_with(&root));
    let key = |path: &PathBuf| {
        let below = path.strip_prefix(&root).expect("it lies below").display().to_string();
        below.split_once('-').map_or(below.clone(), |(_, rest)| rest.to_owned())
    };
    paths
        .filter(|path| !is_host_file(path))
        // A temporary file may be renamed between the listing and the reading.
        .filter_map(|path| Some((key(&path), std::fs::read_to_string(&path).ok()?)))
        .collect()
}
