//! Files that a person may open.
use std::fs;

use domain::run::Verdict;
use serde_json::Value;

use super::scene::{Scene, answered, completion, creation, digest, retry, run_id, stage_call};
use crate::{Error, Store};

impl Scene {
    fn path(&self, of: &str) -> std::path::PathBuf {
        self.folder.path().join("runs").join(self.run.id().as_str()).join(of)
    }

    fn json(&self, of: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(of)).unwrap()).unwrap()
    }

    async fn write(&self) {
        self.store.write_run_files(self.run.id()).await.unwrap();
    }

    fn tree(&self) -> String {
        let mut found = Vec::new();
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.path("")).unwrap();
                    found.push(name.display().to_string());
                }
            }
        }
        found.sort();
        found.join("\n")
    }
}

#[tokio::test]
async fn a_run_leaves_its_plan_its_artifacts_and_what_became_of_each_stage() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let call = stage_call(1, scene.run.id(), 1, 1);
    scene.store.keep_answer(answered(call, Ok(completion("x", Some(5))))).await.unwrap();
    scene.finish(0, "Bees like light").await;
    scene.decide(Verdict::Granted).await;
    scene.start(1).await;
    scene.fail(1).await;
    scene.write().await;
    insta::assert_snapshot!(scene.tree(), @r"
    01-research/manifest.json
    01-research/output.json
    01-research/research.md
    02-voice/manifest.json
    02-voice/output.json
    manifest.json
    plan.json
    ");
    assert_eq!(
        fs::read_to_string(scene.path("01-research/research.md")).unwrap(),
        "Bees like light"
    );
    let plan = scene.json("plan.json");
    assert_eq!(plan["fallback_applied"], true);
    assert_eq!(plan["requested_mode"], "fancy");
    assert_eq!(plan["effective_mode"], "foundation_stack");
    assert_eq!(plan["stages"][0]["settings"]["depth"], 2);
    let output = scene.json("01-research/output.json");
    assert_eq!(output["model"], "scripted-1.1");
    assert_eq!(output["status"], "done");
    assert_eq!(output["usage"]["input_tokens"], 100);
    assert_eq!(output["data"]["words"], 3);
    assert_eq!(output["started_at"], "1970-01-01T00:00:00.01Z");
    let manifest = scene.json("01-research/manifest.json");
    assert_eq!(manifest["plugin"]["name"], "research");
    assert_eq!(manifest["artifacts"][0]["size_bytes"], 15);
    let failed = scene.json("02-voice/output.json");
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["error_code"], "model_rate_limited");
    assert_eq!(failed["retryable"], true);
    let run = scene.json("manifest.json");
    assert_eq!(run["files_version"], scene.version);
    assert_eq!(run["usage"]["cost_nano_usd"], 5);
    assert_eq!(run["stages"][1]["folder"], "02-voice");
}

#[tokio::test]
async fn files_that_are_old_or_missing_are_found_and_made_again() {
    let mut scene = Scene::new().await;
    let run = [scene.run.id().clone()];
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), run);
    scene.write().await;
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), []);
    scene.start(0).await;
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), run);
    scene.write().await;
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), []);
    fs::remove_dir_all(scene.folder.path().join("runs")).unwrap();
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), run);
    scene.write().await;
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), []);
    fs::remove_file(scene.path("manifest.json")).unwrap();
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), run);
    scene.store.write_run_files(&run_id(9)).await.unwrap();
    assert!(!scene.folder.path().join("runs").join(run_id(9).as_str()).exists());
}

#[tokio::test]
async fn files_that_somebody_deleted_or_a_power_cut_emptied_are_found_and_made_again() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "Bees like light").await;
    scene.write().await;
    scene.store.append(creation(2)).await.unwrap();
    scene.store.write_run_files(&run_id(2)).await.unwrap();
    let files = ["01-research/research.md", "01-research/output.json", "01-research/manifest.json"];
    for of in files.into_iter().chain(["plan.json", "manifest.json"]) {
        let path = scene.path(of);
        let before = fs::read(&path).unwrap();
        for spoil in [
            (|path| fs::remove_file(path).unwrap()) as fn(&std::path::Path),
            |path| fs::write(path, "").unwrap(),
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
        ] {
            assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), [], "{of}");
            spoil(&path);
            let stale = scene.store.runs_with_stale_files().await.unwrap();
            assert_eq!(stale, [scene.run.id().clone()], "{of}");
            if path.is_dir() {
                fs::remove_dir(&path).unwrap();
            }
            scene.write().await;
            assert_eq!(fs::read(&path).unwrap(), before, "{of}");
        }
    }
    fs::write(scene.path("01-research/research.md"), "Bees like").unwrap();
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), [scene.run.id().clone()]);
}

#[tokio::test]
async fn what_a_retry_took_back_is_not_missed() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "first").await;
    scene.decide(Verdict::Rejected).await;
    scene.give(retry(None)).await;
    scene.write().await;
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), []);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_writing_leaves_old_or_new_files_and_a_mark() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.write().await;
    scene.finish(0, "draft").await;
    // As if the process had died between a temporary file and its new name.
    fs::write(scene.path("01-research/.output.json.tmp"), "{\"half\": ").unwrap();
    scene.store.close();
    assert_eq!(scene.json("01-research/output.json")["status"], "running");
    scene.store = Store::open(scene.folder.path()).unwrap();
    let run = scene.run.id().clone();
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), [run]);
    scene.write().await;
    assert_eq!(scene.json("01-research/output.json")["status"], "waiting_approval");
    assert!(!scene.path("01-research/.output.json.tmp").exists());
}

#[tokio::test]
async fn a_retry_takes_away_the_artifacts_that_no_longer_hold() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "first").await;
    scene.decide(Verdict::Rejected).await;
    scene.write().await;
    assert!(scene.path("01-research/research.md").exists());
    scene.give(retry(None)).await;
    scene.write().await;
    assert!(!scene.path("01-research/research.md").exists());
    scene.start(0).await;
    scene.finish(0, "second").await;
    scene.write().await;
    assert_eq!(fs::read_to_string(scene.path("01-research/research.md")).unwrap(), "second");
    assert_eq!(scene.json("01-research/manifest.json")["artifacts"][0]["version"], 2);
}

#[tokio::test]
async fn the_file_of_an_edited_artifact_has_the_reviewers_text_and_its_manifest_says_so() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "first").await;
    scene.write().await;
    assert_eq!(scene.json("01-research/manifest.json")["artifacts"][0].get("edited_by"), None);
    scene.decide(Verdict::Revised).await;
    scene.write().await;
    assert!(!scene.path("01-research/research.md").exists(), "no version holds");
    let output = scene.json("01-research/output.json");
    assert_eq!((&output["status"], &output["feedback"]), (&"pending".into(), &"as it is".into()));
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), []);
    scene.start(0).await;
    scene.finish(0, "second").await;
    scene.edit_as("ann", "the reviewer's own").await;
    scene.write().await;
    assert_eq!(scene.store.runs_with_stale_files().await.unwrap(), []);
    let path = scene.path("01-research/research.md");
    assert_eq!(fs::read_to_string(path).unwrap(), "the reviewer's own");
    assert_eq!(scene.json("01-research/output.json").get("feedback"), None);
    let manifest = scene.json("01-research/manifest.json");
    let artifact = &manifest["artifacts"][0];
    assert_eq!((&artifact["version"], &artifact["edited_by"]), (&3.into(), &"ann".into()));
    let earlier = artifact["earlier_versions"].as_array().unwrap();
    let digests: Vec<_> = earlier.iter().map(|version| version["digest"].clone()).collect();
    assert_eq!(digests, [digest("first").as_str(), digest("second").as_str()]);
    assert_eq!(earlier[1]["attempt"], 2);
    assert_eq!(manifest["content_hash"], digest("the reviewer's own").as_str());
}

#[tokio::test]
async fn two_runs_of_one_thread_share_no_file() {
    let scene = Scene::new().await;
    scene.store.append(creation(2)).await.unwrap();
    scene.write().await;
    scene.store.write_run_files(&run_id(2)).await.unwrap();
    assert_eq!(fs::read_dir(scene.folder.path().join("runs")).unwrap().count(), 2);
    assert_eq!(scene.json("plan.json")["run_id"], run_id(1).as_str());
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let mut scene = Scene::new().await;
    scene.write().await;
    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    fs::write(&precious, "mine").unwrap();
    fs::remove_file(scene.path("manifest.json")).unwrap();
    symlink(&precious, scene.path("manifest.json")).unwrap();
    scene.write().await;
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    assert_eq!(scene.json("manifest.json")["status"], "queued");
    scene.start(0).await;
    symlink(outside.path(), scene.path("01-research")).unwrap();
    let error = scene.store.write_run_files(scene.run.id()).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}
