//! A data folder in order: what may go goes, runs travel, and a copy is as good as the folder.
use std::collections::BTreeMap;
use std::time::Duration;

use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Api, Folder, Server, stagewright};

/// Runs that are at work while a backup is made.
const BUSY_RUNS: usize = 20;

/// A profile of one stage without a gate.
const SINGLE: &str = "profile: single\ntitle: Single\ndescription: One stage.\nversion: \"1\"\nstages:\n  - { key: research, title: Research, plugin: research, gate: none }\n";

fn with_single() -> Folder {
    let folder = Folder::new();
    folder.write(".stagewright/profiles/single.yaml", SINGLE);
    folder
}

/// Runs the profile to its end; gives the run.
fn run(folder: &Folder, mode: &str) -> String {
    let ran = stagewright(folder, &["run", mode, "--request", "Honey", "--yes", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran}");
    let listed = stagewright(folder, &["runs", "list", "--limit", "1", "-o", "json"]).json();
    listed["items"][0]["run_id"].as_str().expect("a run").to_owned()
}

fn shown(folder: &Folder, arguments: &[&str]) -> Value {
    let ran = stagewright(folder, &[arguments, &["-o", "json"]].concat());
    assert_eq!(ran.code, 0, "{ran}");
    ran.json()
}

/// Everything that the program tells of a run.
fn everything(folder: &Folder, run: &str) -> BTreeMap<&'static str, String> {
    let told = |what: &'static str| {
        let ran = stagewright(folder, &["runs", what, run, "-o", "json"]);
        assert_eq!(ran.code, 0, "{ran}");
        (what, ran.stdout)
    };
    let mut all: BTreeMap<_, _> =
        ["show", "events", "artifacts", "calls"].into_iter().map(told).collect();
    all.insert("files", files_of(folder, run));
    all
}

/// The files of a run with their content.
fn files_of(folder: &Folder, run: &str) -> String {
    let root = folder.run(run);
    let paths = folder.files().into_iter().filter(|path| path.starts_with(&root));
    let line = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file of a run is text");
        format!("{}: {text}\n", path.strip_prefix(&root).expect("it lies below").display())
    };
    paths.map(line).collect()
}

#[test]
fn what_may_go_is_listed_first_and_then_removed_with_everything_but_its_sums() {
    let folder = with_single();
    let first = run(&folder, "single");
    let second = run(&folder, "single");
    let usage = shown(&folder, &["usage", "--by", "day,mode"]);

    let unsaid = stagewright(&folder, &["runs", "prune"]);
    assert_eq!(unsaid.code, 1, "{unsaid}");
    assert!(unsaid.stderr.contains("which runs may go"), "{unsaid}");
    let young = shown(&folder, &["runs", "prune", "--older-than", "30d", "--apply"]);
    assert_eq!(young["runs"], json!([]));
    let planned = shown(&folder, &["runs", "prune", "--keep", "1"]);
    assert_eq!(planned["dry_run"], true);
    assert_eq!(planned["runs"][0]["run_id"], first.as_str());
    assert!(planned["size_bytes"].as_u64() > Some(0));
    assert!(folder.run(&first).exists(), "nothing was removed yet");
    let removed = shown(&folder, &["runs", "prune", "--keep", "1", "--apply"]);
    assert_eq!(removed["runs"].as_array().map(Vec::len), Some(1));

    let gone = stagewright(&folder, &["runs", "show", &first]);
    assert_eq!(gone.code, 1, "{gone}");
    assert!(gone.stderr.contains("run_unknown"), "{gone}");
    assert!(!folder.run(&first).exists());
    assert_eq!(shown(&folder, &["runs", "show", &second])["status"], "completed");
    assert_eq!(shown(&folder, &["usage", "--by", "day,mode"]), usage);
    let sound = stagewright(&folder, &["doctor", "--deep"]);
    assert!(!sound.stdout.contains("damaged"), "{sound}");
}

#[tokio::test]
async fn a_server_removes_by_itself_what_the_configuration_lets_go() {
    let folder = with_single();
    let gone = run(&folder, "single");
    let kept = run(&folder, "foundation_stack");
    let rules =
        "retention:\n  keep_days: 30\n  modes:\n    single: { keep_days: 0 }\n  automatic: on\n";
    folder.write("stagewright.yaml", rules);
    let server = Server::start(&folder);
    let path = format!("/api/v2/workflow-runs/{gone}");
    for looks in 0.. {
        let answer = server.api.get(&path).await;
        if answer.status == 404 && answer.code() == "run_unknown" {
            break;
        }
        assert!(looks < 1_000, "the run is removed: {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.api.run(&kept).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_watches_a_run_that_is_removed_is_told_no_more() {
    let folder = with_single();
    let server = Server::start(&folder);
    let started = server.api.start("single").await;
    server.api.finish(&started).await;
    let watch = server.api.request("GET", &format!("/api/v2/workflow-runs/{started}/events"));
    let body = json!({ "older_than_s": 0, "dry_run": false });
    let pruned = server.api.post("/api/v2/workflow-runs/prune", &body).await.ok();
    assert_eq!(pruned["runs"][0]["run_id"], started.as_str());
    assert_eq!(server.api.send(watch).await.status, 404);
    let listed = server.api.get("/api/v2/llm-calls").await.ok();
    assert_eq!(listed["items"], json!([]));
}

#[test]
fn what_cannot_be_done_is_told_in_the_words_of_the_command_line() {
    let folder = with_single();
    for command in [&["runs", "import", "none.tar.gz"], &["restore", "none.tar.gz"][..]] {
        let ran = stagewright(&folder, command);
        assert_eq!(ran.code, 2, "{command:?}: {ran}");
        assert!(ran.stderr.contains("`none.tar.gz` cannot be read"), "{command:?}: {ran}");
    }
    let unsaid = stagewright(&folder, &["runs", "prune"]);
    assert_eq!(unsaid.code, 1, "{unsaid}");
    assert!(unsaid.stderr.contains("hint: say `--older-than`, `--keep` or both"), "{unsaid}");

    let ran = stagewright(&folder, &["run", "single", "--request", "Honey"]);
    assert!(ran.stderr.contains("run created: `single`, 1 stage\n"), "{ran}");
    let unnamed = stagewright(&folder, &["runs", "retry", "last"]);
    assert_eq!(unnamed.code, 1, "{unnamed}");
    assert!(unnamed.stderr.contains("hint: name it with `--stage STAGE`"), "{unnamed}");
}

#[test]
fn a_run_is_the_same_in_another_folder() {
    let folder = with_single();
    let run = run(&folder, "foundation_stack");
    let written = shown(&folder, &["runs", "export", &run, "run.tar.gz"]);
    assert!(written["size_bytes"].as_u64() > Some(0));
    let twice = stagewright(&folder, &["runs", "export", &run, "run.tar.gz"]);
    assert_eq!(twice.code, 1, "it writes over nothing: {twice}");
    let other = Folder::new();
    let archive = folder.path().join("run.tar.gz").display().to_string();
    let imported = shown(&other, &["runs", "import", &archive]);
    assert_eq!(imported["status"], "completed");
    let (was, is) = (everything(&folder, &run), everything(&other, &run));
    for (what, told) in &was {
        assert_eq!(told, &is[what], "{what}");
    }
    assert_eq!(shown(&other, &["usage"]), shown(&folder, &["usage"]));
    let again = stagewright(&other, &["runs", "import", &archive]);
    assert_eq!(again.code, 1, "{again}");
    assert!(again.stderr.contains("run_exists"), "{again}");
    let bad = other.write("bad.tar.gz", "no archive");
    let bad = stagewright(&other, &["runs", "import", &bad.display().to_string()]);
    assert_eq!(bad.code, 1, "{bad}");
    assert!(bad.stderr.contains("archive_invalid"), "{bad}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_run_is_paused_where_it_comes_to_and_goes_on_there() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    server.api.gate(&run).await;
    let exported = stagewright(&folder, &["runs", "export", &run, "run.tar.gz"]);
    assert_eq!(exported.code, 0, "{exported}");
    let archive = folder.path().join("run.tar.gz").display().to_string();

    let other = Folder::new();
    let server = Server::start(&other);
    let imported = shown(&other, &["runs", "import", &archive]);
    assert_eq!(imported["status"], "paused");
    let journal = server.api.journal(&run).await;
    assert!(journal.contains("actor=stagewright:import"), "{journal}");
    let path = format!("/api/v2/workflow-runs/{run}/resume");
    server.api.post(&path, &json!({ "actor": "tester" })).await.ok();
    assert_eq!(server.api.finish(&run).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_at_work_is_not_exported() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;
    let refused = stagewright(&folder, &["runs", "export", &run]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("run_active"), "{refused}");
    assert!(refused.stderr.contains("pause"), "{refused}");
    let left = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let archives = left.filter(|entry| entry.file_name().to_string_lossy().contains(".tar"));
    assert_eq!(archives.count(), 0);
    models.release();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_sound_although_runs_go_on_and_what_it_holds_goes_on() {
    let models = ModelServer::start().await;
    models.otherwise(Behavior::answer());
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let mut runs = Vec::new();
    for _ in 0..BUSY_RUNS {
        runs.push(server.api.start("foundation_stack").await);
    }
    let mut granting = JoinSet::new();
    granting.spawn(finish_all(server.api.clone(), runs.clone()));
    let saved = stagewright(&folder, &["backup", "backup.tar.gz"]);
    assert_eq!(saved.code, 0, "{saved}");
    let ended = granting.join_next().await.expect("a task");
    ended.expect("the runs of the server end as well");

    let archive = folder.path().join("backup.tar.gz").display().to_string();
    let mut other = Folder::with_models(&models);
    // The folder of a test has shared compiled code in it, and is not empty.
    other.set("STAGEWRIGHT_DATA_DIR", "restored");
    let restored = shown(&other, &["restore", &archive]);
    assert_eq!(restored["runs"], BUSY_RUNS);
    let again = Server::start(&other);
    for run in runs {
        assert_eq!(again.api.finish(&run).await["status"], "completed");
    }
    assert_eq!(again.stop(), 0);
}

async fn finish_all(api: Api, runs: Vec<String>) {
    for run in runs {
        assert_eq!(api.finish(&run).await["status"], "completed");
    }
}

#[test]
fn a_backup_has_keys_only_if_it_is_told_to_and_never_what_opens_them() {
    let folder = Folder::new();
    let set = crate::support::stagewright_with_input(
        &folder,
        &["secrets", "set", "SOME_KEY"],
        "sk-planted-0123456789",
    );
    assert_eq!(set.code, 0, "{set}");
    let without = stagewright(&folder, &["backup", "without.tar.gz"]);
    assert!(without.stderr.contains("--with-secrets"), "{without}");
    let with = stagewright(&folder, &["backup", "with.tar.gz", "--with-secrets"]);
    assert!(with.stderr.contains("vault.key"), "{with}");
    for (name, has_vault) in [("without", false), ("with", true)] {
        let archive = folder.path().join(format!("{name}.tar.gz")).display().to_string();
        let target = folder.path().join(name);
        let target_text = target.display().to_string();
        let restored = shown(&folder, &["restore", &archive, "--data-dir", &target_text]);
        assert_eq!(restored["with_secrets"], has_vault);
        assert_eq!(target.join("secrets.vault").exists(), has_vault);
        assert!(!target.join("vault.key").exists());
    }
    let archive = folder.path().join("with.tar.gz").display().to_string();
    let full = stagewright(&folder, &["restore", &archive]);
    assert_eq!(full.code, 1, "{full}");
    assert!(full.stderr.contains("not empty"), "{full}");
}
