//! The description of the API against the API, and what the program says about itself.
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::support::Host;

/// Methods and paths of the description.
fn operations(description: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            found.push((method.to_uppercase(), path.clone()));
        }
    }
    found.sort_by(|one, other| (&one.1, &one.0).cmp(&(&other.1, &other.0)));
    found
}

#[tokio::test]
async fn every_path_that_clients_know_is_described() {
    let host = Host::start().await;
    let description = host.get("/api/openapi.json").await.json();
    let lines: Vec<String> =
        operations(&description).iter().map(|(method, path)| format!("{method} {path}")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    POST /api/chat
    GET /api/openapi.json
    GET /api/v1/health
    GET /api/v1/ready
    GET /api/v2/approvals
    GET /api/v2/approvals/{approval_id}
    POST /api/v2/approvals/{approval_id}/grant
    POST /api/v2/approvals/{approval_id}/reject
    POST /api/v2/approvals/{approval_id}/revise
    GET /api/v2/backup
    DELETE /api/v2/llm-cache
    GET /api/v2/llm-cache
    GET /api/v2/llm-calls
    GET /api/v2/llm-calls/{call_id}
    GET /api/v2/plugins
    POST /api/v2/plugins
    DELETE /api/v2/plugins/{name}
    GET /api/v2/plugins/{name}
    GET /api/v2/providers
    POST /api/v2/providers/{name}/check
    GET /api/v2/providers/{name}/models
    GET /api/v2/usage
    GET /api/v2/workflow-profiles
    POST /api/v2/workflow-profiles/preview
    GET /api/v2/workflow-profiles/{mode}
    GET /api/v2/workflow-runs
    POST /api/v2/workflow-runs
    POST /api/v2/workflow-runs/import
    POST /api/v2/workflow-runs/prune
    GET /api/v2/workflow-runs/{run_id}
    GET /api/v2/workflow-runs/{run_id}/artifacts
    GET /api/v2/workflow-runs/{run_id}/artifacts/{stage}/{name}
    GET /api/v2/workflow-runs/{run_id}/artifacts/{stage}/{name}/diff
    POST /api/v2/workflow-runs/{run_id}/cancel
    GET /api/v2/workflow-runs/{run_id}/events
    GET /api/v2/workflow-runs/{run_id}/export
    GET /api/v2/workflow-runs/{run_id}/http-requests
    GET /api/v2/workflow-runs/{run_id}/llm-calls
    POST /api/v2/workflow-runs/{run_id}/pause
    POST /api/v2/workflow-runs/{run_id}/resume
    POST /api/v2/workflow-runs/{run_id}/retry
    GET /api/v2/workflow-runs/{run_id}/stages/{stage}/attempts/{attempt}/recording
    GET /api/v2/workflow-runs/{run_id}/stages/{stage}/prompt
    GET /api/v2/workflow-runs/{run_id}/timeline
    GET /api/v2/workflow-runs/{run_id}/variables
    GET /metrics
    ");
}

#[tokio::test]
async fn every_described_operation_exists() {
    let host = Host::start().await;
    let description = host.get("/api/openapi.json").await.json();
    for (method, path) in operations(&description) {
        let request = Request::builder().method(method.as_str()).uri(path.replace(['{', '}'], "x"));
        let answer = host.send(request.body(Body::empty()).unwrap()).await;
        // What is answered well may be no text.
        let routed = answer.status.is_success()
            || (!answer.text().contains("route_unknown") && answer.status != 405);
        assert!(routed, "{method} {path}: {}", answer.text());
    }
}

#[test]
fn every_handler_is_described() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let handlers = count_in(&sources.join("routes")) + count_in(&sources.join("openapi.rs"));
    let (_, description) = crate::router::described();
    let description = serde_json::to_value(&description).unwrap();
    assert_eq!(operations(&description).len(), handlers);
}

fn count_in(place: &Path) -> usize {
    if place.is_dir() {
        return std::fs::read_dir(place)
            .unwrap()
            .map(|entry| count_in(&entry.unwrap().path()))
            .sum();
    }
    std::fs::read_to_string(place).unwrap().matches("#[utoipa::path(").count()
}

#[tokio::test]
async fn every_reference_of_the_description_leads_somewhere_and_every_operation_can_fail() {
    let (_, description) = crate::router::described();
    let description = serde_json::to_value(&description).unwrap();
    let mut references = Vec::new();
    collect_references(&description, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
    for (method, path) in operations(&description) {
        let operation = &description["paths"][&path][method.to_lowercase()];
        let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
        assert!(problem.is_object(), "{method} {path}");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.push(reference.clone());
            }
            fields.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn health_and_readiness() {
    let host = Host::start().await;
    assert_eq!(host.get("/api/v1/health").await.json(), json!({"status": "ok"}));
    let ready = host.get("/api/v1/ready").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["status"], "ready");
    assert_eq!(ready.json()["plugins"]["detail"], "2 plugins can be used, 1 cannot");
    host.engine.store().close();
    let ready = host.get("/api/v1/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["store"]["ok"], false);
}

#[tokio::test]
async fn profiles_are_listed_shown_and_previewed() {
    let host = Host::start().await;
    let listed = host.get("/api/v2/workflow-profiles").await.json();
    let modes: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|p| p["mode"].as_str().unwrap()).collect();
    assert!(modes.contains(&"gated") && modes.contains(&"foundation_stack"), "{modes:?}");
    let shown = host.get("/api/v2/workflow-profiles/gated").await.json();
    assert_eq!(shown["stages"], json!(["first", "second"]));
    assert_eq!(shown["gate_count"], 1);
    assert!(shown["text"].as_str().unwrap().contains("profile: gated"));
    let ask =
        json!({"mode": "gated", "stage_overrides": {"first": {"settings": {"depth": "deep"}}}});
    let preview = host.post("/api/v2/workflow-profiles/preview", ask).await.json();
    assert_eq!(preview["stages"][0]["settings"], json!({"depth": "deep"}));
    assert_eq!(preview["stages"][0]["gate"]["question"], Value::Null);
    assert_eq!(preview["stages"][1]["gate"], Value::Null);
    assert!(preview["stages"][0]["plugin"]["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(preview["warnings"].is_array());
}

#[tokio::test]
async fn plugins_and_providers_are_shown() {
    let host = Host::start().await;
    let plugins = host.get("/api/v2/plugins").await.json();
    assert_eq!(plugins["items"][0]["name"], "first");
    assert_eq!(plugins["unusable"][0]["place"], "plugins/broken.wasm");
    let shown = host.get("/api/v2/plugins/second").await.json();
    assert_eq!(shown["needs"], json!(["first.md"]));
    assert_eq!(shown["settings_schema"]["type"], "object");
    let providers = host.get("/api/v2/providers").await.json();
    assert_eq!(providers["items"][0]["name"], "scripted");
    assert_eq!(providers["items"][0]["live"], false);
    assert_eq!(providers["items"][0]["is_default"], true);
    let checked = host.post("/api/v2/providers/scripted/check", json!({})).await.json();
    assert_eq!(checked["ok"], true);
}
