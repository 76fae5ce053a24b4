//! Plugins that come while the program works, and go: over the API and at the terminal, with a server and without.
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Answer, Api, Folder, Server, stagewright};

const PLUGINS: &str = "/api/v2/plugins";
/// Runs of the load test. With two cores, some wait for room while others work.
const RUN_COUNT: usize = 40;
/// How often the plugin is swapped meanwhile.
const SWAP_COUNT: usize = 6;
/// Large uploads that are refused at once: more than a socket takes in without somebody who reads.
const REFUSAL_COUNT: usize = 10;
const LARGE_BYTES: usize = 16 << 20;

fn rogue() -> Vec<u8> {
    std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the rogue stage")
}

/// The same component with other bytes, as a build at another time makes.
fn rebuilt(note: &str) -> Vec<u8> {
    let mut bytes = rogue();
    let size = u8::try_from(note.len() + 2).expect("a short note");
    // A custom section with the name `n`.
    bytes.extend_from_slice(&[0, size, 1, b'n']);
    bytes.extend_from_slice(note.as_bytes());
    bytes
}

/// The rogue stage with another version. Versions of interfaces, which stand behind an `@`, stay as they are.
fn with_version(version: &str) -> Vec<u8> {
    let mut bytes = rogue();
    let old = b"1.0.0";
    assert_eq!(version.len(), old.len());
    let places: Vec<usize> = (1..bytes.len() - old.len())
        .filter(|&place| bytes[place..].starts_with(old) && bytes[place - 1] != b'@')
        .collect();
    for place in places {
        bytes[place..place + old.len()].copy_from_slice(version.as_bytes());
    }
    bytes
}

/// A profile with one stage that a name means.
fn write_profile(folder: &Folder, mode: &str, plugin: &str, verb: &str, gate: &str) {
    let text = format!(
        "profile: {mode}\ntitle: T\ndescription: D.\nversion: \"1\"\nstages:\n  - {{ key: only, title: Only, plugin: \"{plugin}\", gate: {gate}, settings: {{ verb: {verb} }} }}\n  - {{ key: next, title: Next, plugin: \"{plugin}\", gate: none, settings: {{ verb: {verb} }} }}\n"
    );
    folder.write(&format!(".stagewright/profiles/{mode}.yaml"), text);
}

async fn add(api: &Api, query: &str, bytes: Vec<u8>) -> Answer {
    let request = api.request("POST", &format!("{PLUGINS}{query}"));
    api.send(request.header("content-type", "application/wasm").body(bytes)).await
}

async fn remove(api: &Api, name_and_query: &str) -> Answer {
    api.send(api.request("DELETE", &format!("{PLUGINS}/{name_and_query}"))).await
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn an_upload_is_checked_kept_shown_and_removed() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let api = &server.api;

    let added = add(api, "?actor=anna", rogue()).await;
    assert_eq!(added.status, 201, "{added:?}");
    let plugin = added.json();
    assert_eq!((text(&plugin, "name"), text(&plugin, "version")), ("rogue-stage", "1.0.0"));
    assert_eq!((text(&plugin, "source"), text(&plugin, "uploaded_by")), ("uploaded", "anna"));
    assert!(text(&plugin, "uploaded_at").ends_with('Z'), "{plugin}");
    let digest = text(&plugin, "digest").to_owned();
    assert_eq!(api.get(&format!("{PLUGINS}/{digest}")).await.ok(), plugin);
    assert_eq!(add(api, "?actor=otto", rogue()).await.status, 200);

    let refused = add(api, "", rebuilt("x")).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "plugin_version_taken"));
    assert!(text(&refused.json(), "hint").contains("raise the version"), "{refused:?}");
    let replaced = add(api, "?replace=true", rebuilt("x")).await.ok();
    let found = api.get(&format!("{PLUGINS}/rogue-stage@1.0.0")).await.ok();
    assert_eq!(text(&found, "digest"), text(&replaced, "digest"));
    assert_eq!(add(api, "", with_version("1.0.1")).await.status, 201);
    let newest = api.get(&format!("{PLUGINS}/rogue-stage")).await.ok();
    assert_eq!(text(&newest, "version"), "1.0.1");

    let ambiguous = remove(api, "rogue-stage").await;
    assert_eq!((ambiguous.status, ambiguous.code().as_str()), (409, "plugin_ambiguous"));
    assert_eq!(remove(api, "rogue-stage@1.0.1").await.status, 200);
    assert_eq!(remove(api, text(&replaced, "digest")).await.status, 200);
    let removed = remove(api, "rogue-stage").await.ok();
    assert_eq!(text(&removed, "digest"), digest);
    let again = remove(api, "rogue-stage").await;
    assert_eq!((again.status, again.code().as_str()), (404, "plugin_unknown"));
    let shipped = remove(api, "research").await;
    assert_eq!((shipped.status, shipped.code().as_str()), (409, "plugin_not_uploaded"));
}

#[tokio::test]
async fn what_cannot_be_a_plugin_is_refused_with_its_findings() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let api = &server.api;
    let refused = add(api, "", b"\0asm\x01\0\0\0".to_vec()).await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "plugin_unfit"));
    let problems = refused.json()["problems"].clone();
    assert_eq!(problems[0]["place"], "the component");
    assert!(text(&problems[0], "message").contains("build it for `wasm32-wasip2`"), "{problems}");
    let as_json = api.post(PLUGINS, &json!({})).await;
    assert_eq!((as_json.status, as_json.code().as_str()), (415, "media_type_unsupported"));
    for _ in 0..REFUSAL_COUNT {
        // The answer is there before the body was sent, and still arrives.
        let unknown = add(api, "?replac=true", vec![0; LARGE_BYTES]).await;
        assert_eq!((unknown.status, unknown.code().as_str()), (400, "request_invalid"));
    }
    let list = api.get(PLUGINS).await.ok();
    assert!(list["items"].as_array().expect("items").iter().all(|it| it["source"] == "bundled"));
    assert_eq!(list["unusable"], json!([]));
}

#[tokio::test]
async fn a_plugin_stays_while_a_run_or_a_profile_needs_it_and_a_run_outlives_its_removal() {
    let folder = Folder::new();
    write_profile(&folder, "mine", "rogue-stage", "fine", "required");
    let server = Server::start(&folder);
    let plugin = add(&server.api, "", rogue()).await.ok();
    assert_eq!(plugin["profiles"], json!(["mine"]));
    let run = server.api.start("mine").await;
    server.api.gate(&run).await;

    let refused = remove(&server.api, "rogue-stage").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "plugin_in_use"));
    let detail = text(&refused.json(), "detail").to_owned();
    assert!(detail.contains("the profiles mine mean it") && detail.contains(&run), "{detail}");
    std::fs::remove_file(folder.data().join("profiles/mine.yaml")).expect("the profile");
    let refused = remove(&server.api, "rogue-stage").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "plugin_in_use"));
    assert_eq!(remove(&server.api, "rogue-stage?force=true").await.status, 200);
    drop(server);

    let server = Server::start(&folder);
    let finished = server.api.finish(&run).await;
    assert_eq!(finished["status"], "completed", "{finished:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_a_plugin_under_load_fails_no_run() {
    let folder = Folder::new();
    write_profile(&folder, "mine", "rogue-stage", "fine", "none");
    let server = Server::start(&folder);
    let api = &server.api;
    add(api, "", rogue()).await.ok();

    let starting = async {
        let mut runs = Vec::new();
        for _ in 0..RUN_COUNT {
            runs.push(api.start("mine").await);
        }
        runs
    };
    let swapping = async {
        let mut earlier: Option<String> = None;
        let mut digests = Vec::new();
        for idx in 0..SWAP_COUNT {
            let added = add(api, "?replace=true", rebuilt(&idx.to_string())).await.ok();
            let digest = text(&added, "digest").to_owned();
            if let Some(earlier) = earlier.replace(digest.clone()) {
                remove(api, &format!("{earlier}?force=true")).await.ok();
            }
            digests.push(digest);
        }
        digests
    };
    let (runs, digests) = tokio::join!(starting, swapping);

    for run in &runs {
        let run = api.reaches(run, &["completed", "failed", "canceled"]).await;
        assert_eq!(run["status"], "completed", "{run:#}");
        // One version from the start to the end.
        let plugins: Vec<&Value> = run["stages"]
            .as_array()
            .expect("stages")
            .iter()
            .map(|stage| &stage["plugin"]["digest"])
            .collect();
        assert!(plugins.windows(2).all(|pair| pair[0] == pair[1]), "{plugins:?}");
    }
    // Whoever begins after the last swap has the last version.
    let last = api.start("mine").await;
    let last = api.reaches(&last, &["completed"]).await;
    let plan = last["plan"]["stages"][0]["plugin"]["digest"].as_str();
    let plan = plan.or(last["stages"][0]["plugin"]["digest"].as_str());
    assert_eq!(plan, digests.last().map(String::as_str), "{last:#}");
}

/// Puts a component where a command finds it.
fn component(folder: &Folder, name: &str, bytes: &[u8]) -> PathBuf {
    folder.write(name, bytes)
}

#[test]
fn the_terminal_does_the_same_without_a_server() {
    let folder = Folder::new();
    component(&folder, "mine.wasm", &rogue());
    component(&folder, "core.wasm", b"\0asm\x01\0\0\0");
    let run = |arguments: &[&str]| stagewright(&folder, arguments);

    let added = run(&["plugins", "add", "mine.wasm"]);
    assert_eq!(added.code, 0, "{added}");
    assert!(added.stdout.starts_with("rogue-stage@1.0.0  sha256:"), "{added}");
    assert!(added.stdout.trim_end().ends_with("added"), "{added}");
    let again = run(&["plugins", "add", "mine.wasm"]);
    assert!(again.stdout.trim_end().ends_with("was here already"), "{again}");

    let listed = run(&["plugins", "list"]);
    let row = listed.stdout.lines().find(|line| line.starts_with("rogue-stage"));
    assert!(row.is_some_and(|row| row.contains("uploaded")), "{listed}");
    let shown = run(&["plugins", "show", "rogue-stage"]);
    assert!(shown.stdout.contains("uploaded"), "{shown}");

    let unfit = run(&["plugins", "add", "core.wasm"]);
    assert_eq!(unfit.code, 1, "{unfit}");
    assert!(unfit.stderr.contains("the component: it is a core module"), "{unfit}");
    let missing = run(&["plugins", "add", "none.wasm"]);
    assert_eq!(missing.code, 2, "{missing}");
    assert!(missing.stderr.contains("`none.wasm` cannot be read"), "{missing}");
    assert!(!missing.stderr.contains("checking"), "there is nothing to check: {missing}");

    // A file that somebody has changed is told, and not used.
    let uploads = folder.data().join("plugins/uploaded");
    let mut kept =
        std::fs::read_dir(&uploads).expect("uploads").map(|entry| entry.expect("one").path());
    let file = kept.find(|path| path.extension().is_some_and(|it| it == "wasm")).expect("bytes");
    std::fs::write(&file, rebuilt("tampered")).expect("the file");
    let listed = run(&["plugins", "list"]);
    assert!(listed.stderr.contains("somebody has changed the bytes"), "{listed}");
    let shown = run(&["plugins", "show", "rogue-stage"]);
    assert_eq!(shown.code, 1, "{shown}");
    assert!(shown.stderr.contains("somebody has changed the bytes"), "{shown}");

    let removed = run(&["plugins", "remove", "rogue-stage"]);
    assert_eq!(removed.code, 0, "{removed}");
    let refused = run(&["plugins", "remove", "research"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("it is part of the program"), "{refused}");
}

#[test]
fn a_file_that_is_larger_than_any_plugin_is_refused_before_it_is_sent() {
    let folder = Folder::new();
    let path = folder.path().join("large.wasm");
    let file = std::fs::File::create(&path).expect("a file");
    // A hole: it takes no room on the disk.
    file.set_len(domain::upload::PLUGIN_BYTES_MAX + 1).expect("a size");
    let server = Server::start(&folder);
    let ran = stagewright(&folder, &["plugins", "add", &path.display().to_string()]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("large.wasm` has more than 128 MiB"), "{ran}");
    assert_eq!(server.stop(), 0);
}

/// Files in a folder of the data folder.
fn files_in(folder: &Folder, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.data().join(name)).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[tokio::test]
async fn a_removed_plugin_begins_no_run_and_its_copy_goes_with_the_last_run() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let api = &server.api;
    let plugin = add(api, "", rogue()).await.ok();
    let digest = text(&plugin, "digest").to_owned();
    write_profile(&folder, "mine", &digest, "fine", "none");
    let run = api.start("mine").await;
    assert_eq!(api.finish(&run).await["status"], "completed");
    assert_eq!(files_in(&folder, "pinned").len(), 1);
    assert_eq!(remove(api, &format!("{digest}?force=true")).await.status, 200);

    let asked = json!({ "mode": "mine", "request_text": "bees" });
    let refused = api.post("/api/v2/workflow-runs", &asked).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "request_invalid"));
    assert!(refused.json().to_string().contains(&digest), "{refused:?}");
    let shown = api.get(&format!("{PLUGINS}/{digest}")).await;
    assert_eq!((shown.status, shown.code().as_str()), (404, "plugin_unknown"));
    let again = remove(api, &digest).await;
    assert_eq!((again.status, again.code().as_str()), (404, "plugin_unknown"));
    assert!(text(&again.json(), "detail").contains("keep their copy"), "{again:?}");
    let typed = stagewright(&folder, &["plugins", "remove", &digest]);
    assert!(typed.stderr.contains("hint: there is nothing to remove"), "{typed}");
    drop(server);

    // Whoever looks at the run has its plugin yet.
    let record = ["plugin", "record", &run, "only", "--to", "only.json"];
    assert_eq!(stagewright(&folder, &record).code, 0);
    let replayed = stagewright(&folder, &["plugin", "replay", "only.json"]);
    assert_eq!(replayed.code, 0, "{replayed}");

    let other = stagewright(&folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(other.code, 0, "{other}");
    let before = files_in(&folder, "pinned").len();
    assert!(before > 1);
    let prune = |keep: &str| {
        let pruned = stagewright(&folder, &["runs", "prune", "--keep", keep, "--apply"]);
        assert_eq!(pruned.code, 0, "{pruned}");
        files_in(&folder, "pinned").len()
    };
    assert_eq!(prune("9"), before, "both runs are there");
    let pruned =
        stagewright(&folder, &["runs", "prune", "--keep", "0", "--mode", "mine", "--apply"]);
    assert_eq!(pruned.code, 0, "{pruned}");
    assert_eq!(files_in(&folder, "pinned").len(), before - 1, "{pruned}");
    assert_eq!(prune("0"), 0);
}

#[tokio::test]
async fn bytes_of_plugins_that_were_changed_are_found_by_the_doctor_and_told_by_a_server() {
    let folder = Folder::new();
    write_profile(&folder, "mine", "rogue-stage", "fine", "required");
    let server = Server::start(&folder);
    add(&server.api, "", rogue()).await.ok();
    let run = server.api.start("mine").await;
    server.api.gate(&run).await;
    drop(server);
    let sound = stagewright(&folder, &["doctor", "--deep"]);
    assert!(sound.stdout.contains("2 kept components compared with the digest"), "{sound}");

    let copy = files_in(&folder, "pinned").remove(0);
    std::fs::write(&copy, rebuilt("tampered")).expect("the copy");
    let doctor = stagewright(&folder, &["doctor", "--deep"]);
    assert_eq!(doctor.code, 1, "{doctor}");
    let name = copy.file_name().expect("a name").to_string_lossy().into_owned();
    for says in ["plugin bytes", &name, "somebody has changed the file", "plugins add"] {
        assert!(doctor.stdout.contains(says), "no `{says}` in {doctor}");
    }

    std::fs::write(folder.data().join("plugins/uploaded").join(name), "tampered").expect("bytes");
    let server = Server::start(&folder);
    let is_told = |line: &str| {
        line.contains("a plugin of the store cannot be used")
            && line.contains("has changed the bytes")
    };
    logs(&folder, 1, is_told).await;
    drop(server);
}

/// Waits until the servers of a folder have logged so many lines of a kind, and gives them.
async fn logs(folder: &Folder, count: usize, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let path = folder.path().join("server.log");
    for _ in 0..1_000 {
        let log = std::fs::read_to_string(&path).expect("a log");
        let found: Vec<String> =
            log.lines().filter(|line| is_meant(line)).map(ToOwned::to_owned).collect();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{}", std::fs::read_to_string(&path).expect("a log"));
}

#[tokio::test]
async fn no_first_call_waits_until_its_plugin_is_loaded() {
    let folder = Folder::new();
    let loaded = |line: &str| line.contains("loaded ahead of its first call");
    let server = Server::start(&folder);
    let plugin = add(&server.api, "", rogue()).await.ok();
    let digest = text(&plugin, "digest").to_owned();
    assert!(logs(&folder, 1, loaded).await[0].contains(&digest), "when it is added");
    drop(server);

    write_profile(&folder, "mine", "rogue-stage", "fine", "required");
    let server = Server::start(&folder);
    assert!(logs(&folder, 2, loaded).await[1].contains(&digest), "when a profile means it");
    let run = server.api.start("mine").await;
    server.api.gate(&run).await;
    drop(server);

    std::fs::remove_file(folder.data().join("profiles/mine.yaml")).expect("the profile");
    let server = Server::start(&folder);
    assert!(logs(&folder, 3, loaded).await[2].contains(&digest), "when a run needs it");
    let run = server.api.start("foundation_express").await;
    server.api.gate(&run).await;
    let all = logs(&folder, 6, loaded).await;
    let later = all.iter().filter(|line| !line.contains(&digest)).count();
    assert!(later >= 3, "when a run begins, the plugins of its later stages: {all:?}");
}

#[test]
fn what_a_name_does_not_mean_is_told_with_what_means_it() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| stagewright(&folder, arguments);
    component(&folder, "one.wasm", &rogue());
    component(&folder, "newer.wasm", &with_version("1.0.1"));
    component(&folder, "other.wasm", &rebuilt("x"));

    let first = run(&["plugins", "add", "one.wasm"]);
    assert!(first.stderr.contains("`plugin: rogue-stage`\n"), "{first}");
    assert_eq!(run(&["plugins", "add", "newer.wasm"]).code, 0);
    let older = run(&["plugins", "add", "one.wasm"]);
    let says = "`plugin: rogue-stage@1.0.0`; `rogue-stage` means `rogue-stage@1.0.1`";
    assert!(older.stderr.contains(says), "{older}");
    assert_eq!(run(&["plugins", "add", "other.wasm", "--replace"]).code, 0);
    let hidden = run(&["plugins", "add", "one.wasm"]);
    assert!(hidden.stderr.contains("`plugin: sha256:"), "{hidden}");
    let back = run(&["plugins", "add", "one.wasm", "--replace"]);
    assert!(back.stdout.trim_end().ends_with("was here already"), "{back}");
    assert!(back.stderr.contains(says), "{back}");

    let ambiguous = run(&["plugins", "remove", "rogue-stage@1.0.0"]);
    assert_eq!(ambiguous.code, 1, "{ambiguous}");
    assert!(ambiguous.stderr.contains("hint: name one of these digests"), "{ambiguous}");
    assert_eq!(ambiguous.stderr.matches("sha256:").count(), 2, "{ambiguous}");

    // A person's file takes the name over, and the list and the doctor say so.
    let file = rebuilt("by hand");
    component(&folder, ".stagewright/plugins/own.wasm", &file);
    let listed = run(&["plugins", "list"]);
    let marked = listed.stdout.lines().filter(|line| line.contains("uploaded, by digest only"));
    assert_eq!(marked.count(), 2, "{listed}");
    assert!(listed.stderr.contains("`rogue-stage@1.0.0` means"), "{listed}");
    assert!(listed.stderr.contains("own.wasm), so that"), "{listed}");
    let doctor = run(&["doctor"]);
    assert!(doctor.stdout.contains("`rogue-stage@1.0.0` means"), "{doctor}");
}

#[test]
fn eight_digits_of_a_digest_are_enough_for_a_command_and_fewer_are_refused_with_the_cure() {
    let folder = Folder::new();
    component(&folder, "mine.wasm", &rogue());
    let run = |arguments: &[&str]| stagewright(&folder, arguments);
    let added = run(&["plugins", "add", "mine.wasm", "-o", "json"]).json();
    let digest = text(&added, "digest").to_owned();
    let begun = &digest[.."sha256:".len() + 8];
    let shown = run(&["plugins", "show", begun]);
    assert!(shown.stdout.contains(&digest), "{shown}");
    let short = run(&["plugins", "show", &begun[..begun.len() - 1]]);
    assert_ne!(short.code, 0, "{short}");
    assert!(short.stderr.contains("eight digits are enough"), "{short}");
    assert!(!short.stderr.contains("run_"), "{short}");
    let registries = "registries: { enabled: true, allowed: [{ host: registry.example.com }] }\n";
    folder.write("stagewright.yaml", registries);
    let pushed = run(&["plugins", "push", "sha256:00000000", "registry.example.com/a:1"]);
    assert!(pushed.stderr.contains("no plugin `sha256:00000000`"), "{pushed}");
    // As the tables have it, without what all digests begin with.
    let bare = begun.trim_start_matches("sha256:");
    let shown = run(&["plugins", "show", bare]);
    assert!(shown.stdout.contains(&digest), "{shown}");
    write_profile(&folder, "mine", begun, "fine", "none");
    let refused = run(&["profiles", "check"]);
    assert!(refused.stdout.contains("a profile needs `sha256:` and all 64 digits"), "{refused}");
    let removed = run(&["plugins", "remove", bare]);
    assert_eq!(removed.code, 0, "{removed}");
}
