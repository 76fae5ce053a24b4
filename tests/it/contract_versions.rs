//! Every released version of the contract stays runnable: a component that was compiled when it was released is run for
//! ever, and what a version says is not changed after its release.
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Folder, Server, stagewright};

/// Where each released version lies, with its WIT and its component.
fn released() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/contract");
    let entries = std::fs::read_dir(folder).expect("the released versions");
    let mut found: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().expect("a name").to_str().expect("UTF-8").to_owned(), path))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn golden(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("golden.wasm")).expect("the component of the version")
}

/// A WIT without its comments, which may be made clearer at any time.
fn said(wit: &str) -> Vec<&str> {
    let lines = wit.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect()
}

#[test]
fn what_a_released_version_says_is_not_changed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let current = std::fs::read_to_string(root.join("wit/stage.wit")).expect("the contract");
    let package = current.lines().find_map(|line| line.strip_prefix("package stagewright:stage@"));
    let version = package.expect("a package").trim_end_matches(';');
    let released = released();
    let (_, folder) = released.iter().find(|(known, _)| known == version).unwrap_or_else(|| {
        panic!("version {version} has no folder in tests/fixtures/contract; its README says how it is made")
    });
    let kept = std::fs::read_to_string(folder.join("stage.wit")).expect("the WIT of the release");
    assert_eq!(
        said(&current),
        said(&kept),
        "wit/stage.wit is not what was released as {version}: give it a new version, and add a folder for that"
    );
}

/// A plugin that makes what the golden one needs, then the golden one, each way it can end.
fn profile(version: &str, end: &str) -> String {
    let name = version.replace('.', "-");
    format!(
        "profile: golden\nversion: \"1\"\nskills: {{house: No puns.}}\nstages:\n  \
         - {{key: research, plugin: research}}\n  \
         - {{key: golden, plugin: golden-{name}, skills: [house], gate: required, settings: {{end: {end}}}}}\n"
    )
}

fn prepared(version: &str, folder: &Path, end: &str) -> Folder {
    let prepared = Folder::new();
    prepared.write(".stagewright/plugins/golden.wasm", golden(folder));
    prepared.write(".stagewright/profiles/golden.yaml", profile(version, end));
    prepared
}

#[tokio::test]
async fn a_component_of_every_released_version_does_all_that_it_could() {
    for (version, fixture) in released() {
        let folder = prepared(&version, &fixture, "done");
        let name = format!("golden-{}", version.replace('.', "-"));
        let told = stagewright(&folder, &["plugins", "show", &name, "-o", "json"]).json();
        assert_eq!(told["contract_version"], version.as_str(), "{told:#}");

        let server = Server::start(&folder);
        let run = server.api.start("golden").await;
        let approval = server.api.gate(&run).await;
        let revision = serde_json::json!({"actor": "tester", "comment": "Once more."});
        server.api.post(&format!("/api/v2/approvals/{approval}/revise"), &revision).await.ok();
        let ended = server.api.finish(&run).await;
        assert_eq!(ended["status"], "completed", "{version}: {ended:#}");

        let path = format!("/api/v2/workflow-runs/{run}/artifacts/golden/golden.md");
        let seen = server.api.get(&path).await.text;
        for expected in [
            "- request: Honey from city bees, by subscription\n- run: true\n- thread: None\n",
            "- stage: golden\n- attempt: 2\n- settings: {\"end\":\"done\"}\n",
            "- variable: research_summary = \"The request",
            "- artifact: research research.md text/markdown true\n",
            "- skill: house = No puns.\n",
            "- revision: Once more. of 2\n",
            "- the same answer in pieces: true\n- usage: true\n- cost: Some(0)\n- any object: true\n",
        ] {
            assert!(seen.contains(expected), "{version}: {expected}\n{seen}");
        }
        let calls = server
            .api
            .get(&format!("/api/v2/workflow-runs/{run}/llm-calls?stage=golden"))
            .await
            .ok();
        assert_eq!(
            calls["items"].as_array().map(Vec::len),
            Some(8),
            "two attempts of four questions"
        );
    }
}

#[tokio::test]
async fn a_component_of_every_released_version_fails_as_it_says() {
    let ends = [
        ("bad_input", "stage_bad_input"),
        ("invalid_output", "stage_invalid_output"),
        ("transient", "stage_transient"),
        ("needs_human", "stage_needs_human"),
        ("not_granted", "model_not_granted"),
    ];
    for (version, fixture) in released() {
        for (end, code) in ends {
            let folder = prepared(&version, &fixture, end);
            let server = Server::start(&folder);
            let run = server.api.start("golden").await;
            let failed = server.api.reaches(&run, &["failed", "waiting_approval"]).await;
            assert_eq!(failed["fault"]["error_code"], code, "{version}, {end}: {failed:#}");
        }
    }
}

/// The component with another version in all its names: what a later or an earlier toolchain would have made.
fn claiming(bytes: &[u8], version: &str) -> Vec<u8> {
    let said = b"@1.0.0";
    assert_eq!(said.len(), version.len() + 1, "lengths stand in front of names");
    let mut patched = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len() - said.len())
        .filter(|at| bytes[*at..].starts_with(said) && is_ours(&bytes[..*at]))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        patched[at + 1..at + said.len()].copy_from_slice(version.as_bytes());
    }
    patched
}

/// Whether what stands before a version is a name of the contract.
fn is_ours(before: &[u8]) -> bool {
    let names: [&[u8]; 4] = [
        b"stagewright:stage/plugin",
        b"stagewright:stage/llm",
        b"stagewright:stage/log",
        b"stagewright:stage/types",
    ];
    names.iter().any(|name| before.ends_with(name))
}

/// What a person is told who uses such a component.
fn told_of(version: &str) -> String {
    let (_, fixture) = released().into_iter().find(|(known, _)| known == "1.0.0").expect("1.0.0");
    let folder = Folder::new();
    folder.write("other.wasm", claiming(&golden(&fixture), version));
    let text = "profile: other\nversion: \"1\"\nstages:\n  - {key: only, plugin: ./other.wasm}\n";
    folder.write("other.yaml", text);
    let ran = stagewright(&folder, &["profiles", "check", "other.yaml"]);
    assert_eq!(ran.code, 1, "{ran}");
    ran.to_string()
}

#[test]
fn a_component_of_another_version_is_refused_with_the_way_out() {
    let later = told_of("1.1.0");
    assert!(later.contains("built for version 1.1.0 of `stagewright:stage/plugin`"), "{later}");
    assert!(later.contains("update the host"), "{later}");
    for (version, shown) in [("2.0.0", "2.0.0"), ("0.9.0", "0.9.0")] {
        let told = told_of(version);
        assert!(told.contains(&format!("built for version {shown}")), "{told}");
        assert!(told.contains("this host runs versions 1.x: build it again"), "{told}");
    }
}

#[test]
fn the_contract_version_of_a_shipped_plugin_is_a_released_one() {
    let listed = stagewright(&Folder::new(), &["plugins", "list", "-o", "json"]).json();
    let versions: Vec<String> = released().into_iter().map(|(version, _)| version).collect();
    let plugins: &Vec<Value> = listed["items"].as_array().or(listed.as_array()).expect("plugins");
    for plugin in plugins {
        let version = plugin["contract_version"].as_str().expect("a version");
        assert!(versions.iter().any(|known| known == version), "{plugin:#}");
    }
}
