//! Bad input: each with a clear error, and nothing is changed.
use std::path::PathBuf;

use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};

use crate::support::{Folder, Server, stagewright};

/// A request that is refused: its status, its code, and words that its text must have.
struct Refused<'a> {
    body: &'a str,
    status: u16,
    code: &'a str,
    says: &'a [&'a str],
}

#[tokio::test]
async fn a_request_that_cannot_be_carried_out_begins_no_run() {
    let mut folder = Folder::new();
    folder.set("STAGEWRIGHT_FALLBACK", "off");
    let server = Server::start(&folder);
    let huge = json!({"mode": "foundation_stack", "request_text": "x".repeat(2 << 20)}).to_string();
    let cases = [
        Refused {
            body: r#"{"mode": "foundation_stack", "request_text": "  "}"#,
            status: 400,
            code: "request_invalid",
            says: &["/request_text", "empty"],
        },
        Refused { body: &huge, status: 413, code: "body_too_large", says: &[] },
        Refused {
            body: r#"{"mode": "foundation_stak", "request_text": "bees"}"#,
            status: 400,
            code: "request_invalid",
            says: &["/mode", "foundation_stack"],
        },
        Refused {
            body: "{\"mode\": \"foundation_stack\",\n \"request_text\": }",
            status: 400,
            code: "json_malformed",
            says: &["line 2"],
        },
        Refused {
            body: r#"{"mode": "foundation_stack", "request_text": "bees", "stage_overrides": {"research": {"settings": {"depth": "bottomless"}}}}"#,
            status: 400,
            code: "request_invalid",
            says: &["/stage_overrides/research/settings/depth"],
        },
        Refused {
            body: r#"{"mode": "foundation_stack", "request_text": "bees", "colour": "red"}"#,
            status: 400,
            code: "request_invalid",
            says: &["/colour"],
        },
    ];
    for case in cases {
        let request = server
            .api
            .request("POST", "/api/v2/workflow-runs")
            .header("content-type", "application/json")
            .body(case.body.to_owned());
        let answer = server.api.send(request).await;
        let shown = &case.body[..case.body.len().min(100)];
        assert_eq!(answer.status, case.status, "{shown}: {answer:?}");
        assert_eq!(answer.code(), case.code, "{shown}: {answer:?}");
        for words in case.says {
            assert!(answer.text.contains(words), "{shown}: no `{words}` in {answer:?}");
        }
        assert!(answer.json()["hint"].is_string(), "{answer:?}");
    }
    let runs = server.api.get("/api/v2/workflow-runs").await.ok();
    assert_eq!(runs["items"], json!([]));
}

#[tokio::test]
async fn a_decision_that_is_not_possible_changes_nothing() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let unknown = server.api.grant("appr_00000000000000000000000000000000").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "approval_unknown"));
    let garbage = server.api.grant("../../etc/passwd").await;
    assert!((400..500).contains(&garbage.status), "{garbage:?}");

    let run = server.api.start("foundation_stack").await;
    let approval = server.api.gate(&run).await;
    let before = server.api.journal(&run).await;
    let decide = |verdict: &str, body: Value| {
        let path = format!("/api/v2/approvals/{approval}/{verdict}");
        let api = server.api.clone();
        async move { api.post(&path, &body).await }
    };
    let changed = decide(
        "grant",
        json!({"actor": "a", "content_hash": format!("sha256:{}", "0".repeat(64))}),
    )
    .await;
    assert_eq!((changed.status, changed.code().as_str()), (412, "content_changed"), "{changed:?}");
    let nobody = decide("grant", json!({})).await;
    assert!((400..500).contains(&nobody.status), "{nobody:?}");
    assert_eq!(server.api.journal(&run).await, before);

    assert_eq!(decide("reject", json!({"actor": "a", "comment": "no"})).await.status, 200);
    let after = server.api.journal(&run).await;
    let late = decide("grant", json!({"actor": "b"})).await;
    assert_eq!((late.status, late.code().as_str()), (409, "approval_decided"), "{late:?}");
    assert_eq!(decide("reject", json!({"actor": "b"})).await.status, 200, "the same again");
    assert_eq!(server.api.journal(&run).await, after);
}

#[tokio::test]
async fn a_path_is_no_artifact() {
    let folder = Folder::new();
    folder.write("secret.md", "secret");
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    server.api.gate(&run).await;
    for name in ["..%2F..%2Fsecret.md", "../secret.md", "%2e%2e%2fsecret.md", ".env"] {
        let path = format!("/api/v2/workflow-runs/{run}/artifacts/research/{name}");
        let answer = server.api.get(&path).await;
        assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
        assert!(!answer.text.contains("secret\n"), "{answer:?}");
    }
    folder.write_rogue_profile("climber", &["{ verb: bad-name }"]);
    let run = server.api.start("climber").await;
    let failed = server.api.reaches(&run, &["failed"]).await;
    assert_eq!(failed["fault"]["error_code"], "artifact_name_invalid", "{failed:#}");
    assert!(!folder.files().iter().any(|path| path.ends_with("evil.md")));
}

#[tokio::test]
async fn a_component_that_is_none_is_refused_with_its_file_and_what_to_do() {
    let folder = Folder::new();
    let whole = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the plugin was built");
    let core_module = b"\0asm\x01\0\0\0";
    let no_export = wat::parse_str("(component)").expect("a component");
    let importing = wat::parse_str(
        r#"(component (import "acme:files/secret@1.0.0" (instance (export "read" (func)))))"#,
    )
    .expect("a component");
    let cases: [(&str, &[u8], &str); 4] = [
        ("truncated", &whole[..whole.len() / 2], "cut off"),
        ("core", core_module, "core module"),
        ("no-export", &no_export, "stagewright:stage/plugin"),
        ("importing", &importing, "acme:files/secret"),
    ];
    for (name, bytes, says) in cases {
        let file = folder.write(&format!("{name}.wasm"), bytes);
        let profile = folder.write(
            &format!("{name}.yaml"),
            format!(
                "profile: broken\ntitle: Broken\ndescription: Broken.\nversion: \"1\"\nstages:\n  - {{ key: one, title: One, plugin: \"{}\", gate: none }}\n",
                file.display()
            ),
        );
        let ran = stagewright(&folder, &["profiles", "check", &profile.display().to_string()]);
        assert_eq!(ran.code, 1, "{name}: {ran}");
        assert!(
            ran.stderr.contains(says) || ran.stdout.contains(says),
            "{name}: no `{says}` in {ran}"
        );
        assert!(ran.to_string().contains(&format!("{name}.wasm")), "{name}: {ran}");
    }
}

#[tokio::test]
async fn a_guest_that_reaches_for_the_machine_finds_nothing() {
    let mut folder = Folder::new();
    folder.set("PLANTED", "reachable");
    folder.write("secret.md", "reachable");
    let verbs = ["open-socket", "read-file", "read-env"];
    let settings: Vec<String> = verbs.iter().map(|verb| format!("{{ verb: {verb} }}")).collect();
    for (verb, settings) in verbs.iter().zip(&settings) {
        folder.write_rogue_profile(&verb.replace('-', "_"), &[settings]);
    }
    let server = Server::start(&folder);
    let mut runs = Vec::new();
    for verb in verbs {
        let run = server.api.start(&verb.replace('-', "_")).await;
        let ended = server.api.finish(&run).await;
        assert_eq!(ended["status"], "completed", "{verb}: {ended:#}");
        runs.push(run);
    }
    server.stop();
    let told: Vec<Value> = runs
        .iter()
        .map(|run| {
            let path = folder.run(run).join("01-stage-0/output.json");
            let text = std::fs::read_to_string(path).expect("what the stage gave back");
            assert!(!text.contains("reachable"), "{text}");
            let output: Value = serde_json::from_str(&text).expect("JSON");
            output["data"].clone()
        })
        .collect();
    let denied = json!({ "error": "Permission denied (os error 2)" });
    let nothing = json!({ "error": "No such file or directory (os error 44)" });
    assert_eq!(
        told,
        [
            json!({ "connected": denied }),
            json!({ "here": nothing, "read": nothing, "root": nothing }),
            json!({ "arguments": [], "folder": { "ok": "\"/\"" }, "variables": [] }),
        ]
    );
}

#[tokio::test]
async fn a_broken_profile_is_refused_with_line_and_column_of_every_problem() {
    let folder = Folder::new();
    let profile = folder.write(
        "broken.yaml",
        "profile: broken\ntitle: Broken\nversion: \"1\"\nstages:\n  - key: research\n    title: R\n    plugin: research\n    settings: { depth: bottomless }\n    colour: red\n  - key: keywords\n    title: K\n    plugin: keywords\n",
    );
    let ran = stagewright(&folder, &["profiles", "check", &profile.display().to_string()]);
    assert_eq!(ran.code, 1, "{ran}");
    for says in ["broken.yaml:8:", "depth", "broken.yaml:9:", "colour", "positioning.md"] {
        assert!(ran.to_string().contains(says), "no `{says}` in {ran}");
    }
    let cut = folder.write("cut.yaml", "profile: [a\n");
    let ran = stagewright(&folder, &["profiles", "check", &cut.display().to_string()]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.to_string().contains("cut.yaml:"), "{ran}");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_named_with_the_cure() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let second = stagewright(&folder, &["serve", "--port", "0"]);
    assert_eq!(second.code, 1, "{second}");
    assert!(
        second.stderr.contains("served by process") && second.stderr.contains("hint:"),
        "{second}"
    );
    server.stop();

    let file = folder.write("a-file", "not a folder");
    let below = format!("{}/data", file.display());
    let ran = stagewright(&folder, &["--data-dir", &below, "serve", "--port", "0"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.stderr.contains("a-file") && ran.stderr.contains("hint:"), "{ran}");

    // A folder of the kernel is read-only for everybody, also for root.
    let ran = stagewright(&folder, &["--data-dir", "/proc/stagewright", "serve", "--port", "0"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.stderr.contains("/proc/stagewright") && ran.stderr.contains("hint:"), "{ran}");
}

/// Where a database says which schema it has (<https://sqlite.org/fileformat.html>, user version).
const SCHEMA_OFFSET: usize = 60;

/// A folder with a run in it whose database was changed by hand; the path of the database, and its bytes.
fn changed_by_hand(folder: &Folder, change: impl FnOnce(&mut Vec<u8>)) -> (PathBuf, Vec<u8>) {
    let ran = stagewright(folder, &["run", "foundation_express", "--request", "bees", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    let path = folder.data().join("stagewright.db");
    let mut bytes = std::fs::read(&path).expect("a database");
    change(&mut bytes);
    std::fs::write(&path, &bytes).expect("a file");
    (path, bytes)
}

/// The names of everything in the data folder.
fn names(folder: &Folder) -> Vec<PathBuf> {
    folder.files().into_iter().filter(|path| path.starts_with(folder.data())).collect()
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_as_it_is_with_a_plain_message() {
    let folder = Folder::new();
    let (path, bytes) = changed_by_hand(&folder, |bytes| {
        bytes[SCHEMA_OFFSET..SCHEMA_OFFSET + 4].copy_from_slice(&9_000_u32.to_be_bytes());
    });
    let before = names(&folder);
    let commands: [&[&str]; 4] = [
        &["runs", "list"],
        &["run", "foundation_express", "--request", "wasps", "--yes"],
        &["serve", "--port", "0"],
        &["approvals", "list", "-o", "json"],
    ];
    for arguments in commands {
        let ran = stagewright(&folder, arguments);
        assert_eq!(ran.code, 3, "{arguments:?}: {ran}");
        for says in ["later version", "9000", "stagewright.db", "hint:"] {
            assert!(ran.stderr.contains(says), "{arguments:?}: no `{says}` in {ran}");
        }
        assert_eq!(ran.stdout, "", "{arguments:?}: {ran}");
    }
    let doctor = stagewright(&folder, &["doctor", "--deep"]);
    assert_eq!(doctor.code, 1, "{doctor}");
    assert!(doctor.stdout.contains("later version"), "{doctor}");
    assert!(std::fs::read(&path).expect("a database") == bytes, "the file is as it was");
    assert_eq!(names(&folder), before, "and nothing lies beside it");
}

#[tokio::test]
async fn a_damaged_database_is_named_with_what_to_do_and_left_as_it_is() {
    let folder = Folder::new();
    let (path, bytes) = changed_by_hand(&folder, |bytes| bytes[..100].fill(0xff));
    for arguments in [&["runs", "list"][..], &["serve", "--port", "0"]] {
        let ran = stagewright(&folder, arguments);
        assert_eq!(ran.code, 3, "{arguments:?}: {ran}");
        for says in ["damaged", "stagewright.db", "hint:", "restore"] {
            assert!(ran.stderr.contains(says), "{arguments:?}: no `{says}` in {ran}");
        }
    }
    assert!(std::fs::read(&path).expect("a database") == bytes, "the file is as it was");

    // The beginning is whole, so that it opens: only whoever looks into everything finds it.
    let folder = Folder::new();
    let (path, bytes) = changed_by_hand(&folder, |bytes| {
        let half = bytes.len() / 2;
        bytes[half..].fill(0xff);
    });
    let doctor = stagewright(&folder, &["doctor", "--deep"]);
    assert_eq!(doctor.code, 1, "{doctor}");
    assert!(doctor.stdout.contains("integrity") || doctor.stdout.contains("damaged"), "{doctor}");
    assert!(doctor.stdout.contains("restore"), "{doctor}");
    assert!(std::fs::read(&path).expect("a database") == bytes, "the file is as it was");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_cure() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let ran = stagewright(&folder, &["serve", "--port", &port]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains(&port) && ran.stderr.contains("in use"), "{ran}");
    assert!(ran.stderr.contains("hint:"), "{ran}");

    let open = stagewright(&folder, &["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert_ne!(open.code, 0, "{open}");
    assert!(open.stderr.contains("token"), "{open}");
}

#[tokio::test]
async fn a_model_that_does_not_keep_its_protocol_fails_the_stage_with_a_code_of_its_own() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let bad_key = r#"{"error": {"message": "Invalid Authentication", "type": "invalid_authentication_error"}}"#;
    let cases = [
        (Behavior::status(200, ""), "model_bad_response"),
        (Behavior::status(200, "<html>hello</html>"), "model_bad_response"),
        (Behavior::status(401, bad_key), "model_unauthorized"),
    ];
    for (behavior, code) in cases {
        let before = models.count();
        models.push(behavior);
        let run = server.api.start("foundation_stack").await;
        let failed = server.api.reaches(&run, &["failed"]).await;
        assert_eq!(failed["fault"]["error_code"], code, "{failed:#}");
        assert_eq!(models.count(), before + 1, "it is not asked again");
    }
}
