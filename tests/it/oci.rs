//! Plugins go to a real OCI registry and come back, and only where the configuration says so.
mod tools;

use std::process::Command;

use gateway::registry::{Component, Encryption, Patience, Reference, Registry};
use serde_json::{Value, json};

use self::tools::{Door, PASSWORD, RealRegistry, USERNAME, tool};
use crate::support::{Api, Folder, Ran, Server, stagewright, stagewright_with_input};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A folder whose configuration allows one registry; `more` goes on in its entry.
fn folder_with(host: &str, more: &str) -> Folder {
    let folder = Folder::new();
    let text =
        format!("registries:\n  enabled: true\n  allowed:\n    - {{ host: \"{host}\"{more} }}\n");
    folder.write("stagewright.yaml", text);
    folder
}

fn push(folder: &Folder, reference: &str) -> Ran {
    stagewright(
        folder,
        &["plugins", "push", plugin_bundle::ROGUE_STAGE_PATH, reference, "-o", "json"],
    )
}

fn pull(folder: &Folder, reference: &str) -> Ran {
    stagewright(folder, &["plugins", "pull", reference, "-o", "json"])
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value}"))
}

#[test]
fn registries_are_off_until_the_configuration_says_otherwise() {
    let folder = Folder::new();
    let reference = "registry.example.com/acme/outline:1.0.0";
    for arguments in
        [&["plugins", "push", "research", reference][..], &["plugins", "pull", reference]]
    {
        let ran = stagewright(&folder, arguments);
        assert_eq!(ran.code, 1, "{ran}");
        assert!(ran.stderr.contains("`registries.enabled` is not `true`"), "{ran}");
        assert!(ran.stderr.contains("stagewright.yaml"), "{ran}");
    }
    let named_and_off = "registries:\n  allowed: [{ host: registry.example.com }]\n";
    folder.write("stagewright.yaml", named_and_off);
    assert!(pull(&folder, reference).stderr.contains("`registries.enabled`"));
}

#[test]
fn only_registries_that_are_named_are_asked() {
    let folder = folder_with("registry.example.com", "");
    let ran = pull(&folder, "registry.example.net/acme/outline:1.0.0");
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("`registry.example.net` is not among those"), "{ran}");
    assert!(ran.stderr.contains("`registry.example.com`"), "{ran}");
}

#[test]
fn a_reference_and_a_configuration_that_cannot_be_used_are_told_with_the_cure() {
    let folder = folder_with("registry.example.com", "");
    for (reference, expected) in [
        ("https://registry.example.com/a:1", "no host of a registry"),
        ("outline/draft:1", "no host of a registry"),
        ("registry.example.com/outline", "neither a tag nor a digest"),
    ] {
        let ran = pull(&folder, reference);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(ran.stderr.contains(expected) && ran.stderr.contains("hint:"), "{ran}");
    }
    for (entry, expected) in [
        ("host: \"https://ghcr.io\"", "a host that cannot be one"),
        ("host: ghcr.io, username: anna", "only one of `username` and `password_env`"),
        (
            "host: ghcr.io, plain_http: true, username: anna, password_env: GHCR_TOKEN",
            "both `plain_http: true` and `username` for `ghcr.io`",
        ),
        ("host: ghcr.io, password: x", "unknown field `password`"),
    ] {
        let file = format!("registries: {{ enabled: true, allowed: [{{ {entry} }}] }}\n");
        folder.write("stagewright.yaml", file);
        let ran = stagewright(&folder, &["plugins", "list"]);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(ran.stderr.contains(expected), "{ran}");
    }
    folder.write("stagewright.yaml", "registries: { enabled: true }\n");
    let ran = stagewright(&folder, &["plugins", "list"]);
    assert!(ran.stderr.contains("names no registry"), "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_pushed_in_the_layout_of_other_tools() {
    let Some(registry) = RealRegistry::start(Door::Open) else { return };
    let folder = folder_with(&registry.host, "");
    let pushed = push(&folder, &format!("{}/acme/rogue-stage:1.0.0", registry.host)).json();
    let pinned = text(&pushed, "pinned_reference").split('@').nth(1).expect("a digest").to_owned();

    let api = Api::new(&format!("http://{}", registry.host));
    let tagged = api.request("GET", "/v2/acme/rogue-stage/manifests/1.0.0");
    let manifest = api.send(tagged.header("accept", MANIFEST_TYPE)).await.ok();
    let size = std::fs::metadata(plugin_bundle::ROGUE_STAGE_PATH).expect("a file").len();
    let config = text(&manifest["config"], "digest").to_owned();
    assert_eq!(manifest["mediaType"], MANIFEST_TYPE);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    let layer = json!({"mediaType": "application/wasm", "digest": pushed["digest"], "size": size});
    assert_eq!(manifest["layers"], json!([layer]));
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.title"], pushed["name"]);
    assert_eq!(annotations["org.opencontainers.image.version"], pushed["version"]);

    let config = api.request("GET", &format!("/v2/acme/rogue-stage/blobs/{config}"));
    let config = api.send(config).await.ok();
    assert_eq!(config["architecture"], "wasm");
    assert_eq!(config["os"], "wasip2");
    assert_eq!(config["layerDigests"], json!([pushed["digest"]]));
    assert_eq!(config["component"]["exports"], json!(["stagewright:stage/plugin@1.0.0"]));
    assert!(config["component"]["imports"].to_string().contains("stagewright:stage/llm@1.0.0"));

    let again = push(&folder, &format!("{}/acme/rogue-stage:latest", registry.host)).json();
    assert!(text(&again, "pinned_reference").ends_with(&pinned), "the same bytes, the same digest");
}

#[test]
fn a_plugin_is_pulled_by_tag_and_by_digest_and_runs() {
    let Some(registry) = RealRegistry::start(Door::Open) else { return };
    let from = folder_with(&registry.host, "");
    let pushed = push(&from, &format!("{}/acme/rogue-stage:1.0.0", registry.host)).json();

    let by_tag = folder_with(&registry.host, "");
    let pulled = pull(&by_tag, text(&pushed, "reference")).json();
    assert_eq!(pulled["plugin"]["digest"], pushed["digest"]);
    assert_eq!(pulled["pinned_reference"], pushed["pinned_reference"]);
    let digest = text(&pushed, "digest");
    by_tag.write(
        ".stagewright/profiles/pulled.yaml",
        format!(
            "profile: pulled\nversion: \"1\"\nstages:\n  - {{ key: only, plugin: \"{digest}\", gate: none, settings: {{ verb: ask-many, count: 2 }} }}\n"
        ),
    );
    let ran = stagewright(&by_tag, &["run", "pulled", "--request", "bees"]);
    assert_eq!(ran.code, 0, "{ran}");
    let shown = stagewright(&by_tag, &["plugins", "show", digest, "-o", "json"]).json();
    assert_eq!(shown["name"], pushed["name"]);
    assert_eq!(shown["source"], "uploaded");

    let by_digest = folder_with(&registry.host, "");
    let server = Server::start(&by_digest);
    let pulled = pull(&by_digest, text(&pushed, "pinned_reference")).json();
    assert_eq!(pulled["plugin"]["digest"], pushed["digest"], "also while a server runs");
    assert_eq!(server.stop(), 0);

    let missing = pull(&by_tag, &format!("{}/acme/rogue-stage:2.0.0", registry.host));
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.stderr.contains("is not in the registry: MANIFEST_UNKNOWN"), "{missing}");
}

#[test]
fn a_registry_with_accounts_is_told_who_asks() {
    let Some(registry) = RealRegistry::start(Door::Locked) else { return };
    let reference = format!("{}/acme/rogue-stage:1.0.0", registry.host);
    let anonymous = push(&folder_with(&registry.host, ""), &reference);
    assert_eq!(anonymous.code, 1, "{anonymous}");
    assert!(anonymous.stderr.contains("wants to know who asks"), "{anonymous}");

    let account = format!(", username: {USERNAME}, password_env: REGISTRY_TOKEN");
    let mut folder = folder_with(&registry.host, &account);
    let unset = push(&folder, &reference);
    assert_eq!(unset.code, 2, "{unset}");
    assert!(unset.stderr.contains("stagewright secrets set REGISTRY_TOKEN"), "{unset}");

    folder.set("REGISTRY_TOKEN", "wrong-password");
    let refused = push(&folder, &reference);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("does not accept the user name"), "{refused}");
    assert!(!refused.to_string().contains("wrong-password"), "{refused}");

    folder.set("REGISTRY_TOKEN", PASSWORD);
    folder.set("STAGEWRIGHT_LOG", "trace,cranelift_codegen=info,wasmtime=info,regalloc2=info");
    let pushed = push(&folder, &reference);
    assert_eq!(pushed.code, 0, "{pushed}");
    let doctor = stagewright(&folder, &["doctor"]);
    assert!(doctor.stdout.contains("registries.allowed"), "{doctor}");
    for ran in [&pushed, &doctor] {
        assert!(!ran.to_string().contains(PASSWORD), "the password is told");
    }

    let with_vault = folder_with(&registry.host, &account);
    stagewright_with_input(&with_vault, &["secrets", "set", "REGISTRY_TOKEN"], PASSWORD);
    let listed = stagewright(&with_vault, &["secrets", "list"]);
    assert!(listed.stdout.contains("password_env"), "{listed}");
    let pulled = pull(&with_vault, &reference);
    assert_eq!(pulled.code, 0, "{pulled}");
}

#[test]
fn what_was_replaced_in_a_registry_is_refused() {
    let Some(registry) = RealRegistry::start(Door::Open) else { return };
    let folder = folder_with(&registry.host, "");
    let reference = format!("{}/acme/rogue-stage:1.0.0", registry.host);
    let pushed = push(&folder, &reference).json();
    let blob = registry.blob(text(&pushed, "digest"));
    let mut bytes = std::fs::read(&blob).expect("the registry keeps it there");
    let last = bytes.last_mut().expect("it is not empty");
    *last ^= 1;
    std::fs::write(&blob, bytes).expect("it can be written");
    let elsewhere = folder_with(&registry.host, "");
    let refused = pull(&elsewhere, &reference);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("the component has the digest"), "{refused}");
    let kept = elsewhere.files().into_iter().find(|file| file.extension() == Some("wasm".as_ref()));
    assert_eq!(kept, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_plugin_is_neither_pushed_nor_kept() {
    let Some(registry) = RealRegistry::start(Door::Open) else { return };
    let folder = folder_with(&registry.host, "");
    let module = wat::parse_str("(module)").expect("a module");
    let path = folder.write("module.wasm", &module).display().to_string();
    let reference = format!("{}/acme/module:1", registry.host);
    let ran = stagewright(&folder, &["plugins", "push", &path, &reference]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("hint:"), "{ran}");
    assert!(pull(&folder, &reference).stderr.contains("is not in the registry"));

    // Somebody else's tool pushes it all the same, with the papers of a component.
    let reference: Reference = reference.parse().expect("a reference");
    let host = reference.host().clone();
    let tool =
        Registry::open(host, Encryption::Plain, None, Patience::default()).expect("it opens");
    let mislabeled = Component {
        bytes: module.into(),
        title: "module".to_owned(),
        version: "1".to_owned(),
        summary: "Is no plugin.".to_owned(),
        exports: Vec::new(),
        imports: Vec::new(),
    };
    tool.push(&reference, &mislabeled).await.expect("a registry looks into nothing");
    let refused = pull(&folder, &reference.to_string());
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("core module"), "{refused}");
    let listed = stagewright(&folder, &["plugins", "list", "-o", "json"]).json();
    let items = listed["items"].as_array().expect("plugins");
    assert!(items.iter().all(|item| item["source"] == "bundled"), "{listed}");
}

#[test]
fn another_tool_copies_what_was_pushed_and_its_copy_is_pulled() {
    let Some(registry) = RealRegistry::start(Door::Open) else { return };
    let Some(skopeo) = tool("skopeo", "skopeo") else { return };
    let folder = folder_with(&registry.host, "");
    let pushed = push(&folder, &format!("{}/acme/rogue-stage:1.0.0", registry.host)).json();
    let copy = |from: &str, to: &str| {
        let ran = Command::new(&skopeo)
            .args(["--insecure-policy", "--tmpdir"])
            .arg(folder.path())
            .args(["copy", "--src-tls-verify=false", "--dest-tls-verify=false", from, to])
            .output()
            .expect("skopeo starts");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let layout = format!("dir:{}/copied", folder.path().display());
    let copied = format!("docker://{}/other/copy:1", registry.host);
    copy(&format!("docker://{}", text(&pushed, "reference")), &layout);
    copy(&layout, &copied);
    let hex = text(&pushed, "digest").strip_prefix("sha256:").expect("a digest");
    let blob = std::fs::read(folder.path().join("copied").join(hex)).expect("the component");
    let original = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("a file");
    assert!(blob == original, "skopeo has the same bytes");
    let elsewhere = folder_with(&registry.host, "");
    let pulled = pull(&elsewhere, &format!("{}/other/copy:1", registry.host)).json();
    assert_eq!(pulled["plugin"]["digest"], pushed["digest"]);
    let manifest = |told: &Value| {
        text(told, "pinned_reference").split('@').nth(1).expect("a digest").to_owned()
    };
    assert_eq!(manifest(&pulled), manifest(&pushed), "and the same manifest");
}
