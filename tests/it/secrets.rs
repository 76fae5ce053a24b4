//! A planted key is found nowhere, wherever it was planted.
use model_server::{Behavior, ModelServer};
use serde_json::json;

use crate::support::{Folder, Server, stagewright, stagewright_with_input};

const KEY: &str = "sk-planted-7d41c0ffee90aa55";
const VAULT_KEY: &str = "sk-ant-planted-20f3b6d1e84c";
const HEADER: &str = "otlp-planted-6c9e0b7d21f4";
const TOKEN: &str = "token-planted-5b1e77a0c4d2";

// The binary is run to its end in this thread, while the model server answers in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planted_key_is_in_no_file_log_event_or_answer() {
    let models = ModelServer::start().await;
    let mut folder = Folder::with_models(&models);
    folder.set("KIMI_API_KEY", KEY);
    folder.set("STAGEWRIGHT_TOKEN", TOKEN);
    folder.set("ANTHROPIC_BASE_URL", &models.url());
    // Nobody listens there: what cannot be sent must not be told with its headers.
    folder.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    folder.set("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization={HEADER}"));
    // All that could ever hold a key. The compiler's own trace would take minutes and knows none.
    folder.set("STAGEWRIGHT_LOG", "trace,cranelift_codegen=info,wasmtime=info,regalloc2=info");
    let arguments = &["secrets", "set", "ANTHROPIC_API_KEY"];
    let mut seen = stagewright_with_input(&folder, arguments, VAULT_KEY).to_string();
    for arguments in [
        &["secrets", "list"][..],
        &["doctor"],
        &["doctor", "-o", "json"],
        &["providers", "list", "-o", "json"],
        &["providers", "check"],
        &["run", "foundation_stack", "--request", "bees", "--yes"],
        &["calls", "list", "-o", "json"],
        &["usage", "-o", "json"],
        &["cache", "show"],
    ] {
        seen.push_str(&stagewright(&folder, arguments).to_string());
    }
    for (header, key) in [("authorization", KEY), ("x-api-key", VAULT_KEY)] {
        assert!(
            models
                .requests()
                .iter()
                .any(|request| { request.header(header).is_some_and(|value| value.contains(key)) }),
            "the key in `{header}` is used"
        );
    }

    let server = Server::start(&folder);
    let with_token = |method: &str, path: &str| server.api.request(method, path).bearer_auth(TOKEN);
    // Providers that repeat their key in their errors.
    let repeating = |status: u16, key: &str| {
        let body = json!({"error": {"message": format!("key {key} is bad"), "type": key}});
        models.push(Behavior::status(status, body.to_string()));
    };
    repeating(401, VAULT_KEY);
    let to_anthropic = json!({"message": "hello", "provider": "anthropic"});
    let refused = server.api.send(with_token("POST", "/api/chat").json(&to_anthropic)).await;
    assert_eq!(refused.code(), "model_unauthorized", "{refused:?}");
    seen.push_str(&refused.text);
    for status in [401, 400, 500, 429] {
        repeating(status, KEY);
    }
    let body = json!({"mode": "foundation_stack", "request_text": "bees"});
    let started = server.api.send(with_token("POST", "/api/v2/workflow-runs").json(&body)).await;
    let run = started.json()["run_id"].as_str().expect("a run").to_owned();
    let chat = json!({"message": "hello"});
    for _ in 0..3 {
        seen.push_str(&server.api.send(with_token("POST", "/api/chat").json(&chat)).await.text);
    }
    for path in [
        "/api/v1/ready",
        "/api/v2/providers",
        "/api/v2/plugins",
        "/api/v2/workflow-profiles",
        "/api/v2/llm-calls",
        "/api/v2/usage",
        "/api/v2/llm-cache",
        "/metrics",
        "/api/openapi.json",
        &format!("/api/v2/workflow-runs/{run}"),
        &format!("/api/v2/workflow-runs/{run}/timeline"),
        &format!("/api/v2/workflow-runs/{run}/llm-calls"),
        &format!("/api/v2/workflow-runs/{run}/variables"),
    ] {
        let answer = server.api.send(with_token("GET", path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        seen.push_str(&answer.text);
    }
    server.stop();

    for secret in [KEY, VAULT_KEY, HEADER, TOKEN] {
        assert!(!seen.contains(secret), "an answer has the secret");
        for path in folder.files() {
            let bytes = std::fs::read(&path).expect("a readable file");
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} has the secret", path.display());
        }
    }
}

#[test]
fn compiled_code_is_its_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    // A data folder of its own: the cache of the other tests is shared.
    let ran = stagewright(&folder, &["--data-dir", "private", "plugins", "show", "research"]);
    assert_eq!(ran.code, 0, "{ran}");
    let cache = folder.path().join("private/cache");
    let files: Vec<_> =
        folder.files().into_iter().filter(|path| path.starts_with(&cache)).collect();
    assert!(!files.is_empty());
    for path in files {
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}
