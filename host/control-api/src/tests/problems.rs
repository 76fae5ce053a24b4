//! Bad requests: each with a clear problem, and nothing changed.
use std::collections::HashSet;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Request, header};
use domain::FaultKind;
use domain::fault::Limit;
use domain::model::ModelErrorKind;
use serde_json::{Value, json};

use super::support::Host;
use crate::Code;

const RUNS: &str = "/api/v2/workflow-runs";

fn raw(content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(RUNS).header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap()
}

#[track_caller]
fn only(problem: &Value) -> &Value {
    let problems = problem["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problem:#}");
    &problems[0]
}

#[tokio::test]
async fn broken_json_names_line_and_column() {
    let host = Host::start().await;
    let body = host.send(raw("application/json", "{\n  \"mode\": ,\n}")).await;
    let body = body.refused(400, "json_malformed");
    assert_eq!((&only(&body)["line"], &only(&body)["column"]), (&json!(2), &json!(11)));
    let cut = host.send(raw("application/json", "{\"mode\": \"ga")).await;
    cut.refused(400, "json_malformed");
    let more =
        host.send(raw("application/json", "{\"mode\":\"a\",\"request_text\":\"b\"} x")).await;
    more.refused(400, "json_malformed");
    host.send(raw("application/json", vec![0xff, 0xfe])).await.refused(400, "json_malformed");
}

#[tokio::test]
async fn a_wrong_type_or_field_names_its_place_and_what_is_known() {
    let host = Host::start().await;
    let wrong = json!({"request_text": "bees", "mode": 7});
    let body = host.post(RUNS, wrong).await.refused(400, "request_invalid");
    assert_eq!(only(&body)["pointer"], "/mode");
    let misspelled = json!({"request_text": "bees", "mode": "gated", "thread": "t"});
    let body = host.post(RUNS, misspelled).await.refused(400, "request_invalid");
    let message = only(&body)["message"].as_str().unwrap();
    assert!(message.starts_with("unknown field `thread`, expected one of"), "{message}");
    assert!(message.contains("`thread_id`"), "{message}");
    assert!(!message.contains("line"), "{message}");
}

#[tokio::test]
async fn a_body_of_another_type_or_none_is_refused() {
    let host = Host::start().await;
    host.send(raw("text/plain", "{}")).await.refused(415, "media_type_unsupported");
    let form = raw("application/x-www-form-urlencoded", "mode=gated");
    host.send(form).await.refused(415, "media_type_unsupported");
    let bare = Request::post(RUNS).body(Body::empty()).unwrap();
    host.send(bare).await.refused(415, "media_type_unsupported");
}

#[tokio::test]
async fn a_request_text_of_two_megabytes_is_too_large_and_one_of_300_kilobytes_a_problem() {
    let host = Host::start().await;
    let text = |bytes: usize| json!({"request_text": "a".repeat(bytes), "mode": "gated"});
    let body = host.post(RUNS, text(2 << 20)).await.refused(413, "body_too_large");
    assert!(body["hint"].as_str().unwrap().contains("256 KiB"), "{body}");
    let body = host.post(RUNS, text(300 << 10)).await.refused(400, "request_invalid");
    assert_eq!(only(&body)["pointer"], "/request_text");
    let listed = host.get(RUNS).await.json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn all_problems_of_a_start_come_together() {
    let host = Host::start().await;
    let body = json!({
        "request_text": " ",
        "mode": "gated",
        "stage_overrides": {"first": {"settings": {"depth": "bottomless"}}},
    });
    let body = host.post(RUNS, body).await.refused(400, "request_invalid");
    let problems = body["problems"].as_array().unwrap();
    let pointers: Vec<&str> = problems.iter().filter_map(|item| item["pointer"].as_str()).collect();
    assert!(pointers.contains(&"/request_text"), "{body:#}");
    assert!(pointers.contains(&"/stage_overrides/first/settings/depth"), "{body:#}");
    let unknown = json!({"request_text": "bees", "mode": "gatd"});
    let body = host.post(RUNS, unknown).await.refused(400, "request_invalid");
    assert_eq!(only(&body)["pointer"], "/mode");
}

#[tokio::test]
async fn a_query_is_read_strictly_and_its_problems_come_together() {
    let host = Host::start().await;
    let body = host.get(&format!("{RUNS}?limit=0&status=done&thread=x")).await;
    let body = body.refused(400, "request_invalid");
    let places: Vec<&str> =
        body["problems"].as_array().unwrap().iter().map(|p| p["place"].as_str().unwrap()).collect();
    let expected = ["status", "limit", "thread"].map(|name| format!("query parameter `{name}`"));
    assert_eq!(places, expected);
    host.get(&format!("{RUNS}?limit=201")).await.refused(400, "request_invalid");
    host.get(&format!("{RUNS}?limit=1&limit=2")).await.refused(400, "request_invalid");
    host.get(&format!("{RUNS}?since=yesterday")).await.refused(400, "request_invalid");
    host.get(&format!("{RUNS}?cursor=zzz")).await.refused(400, "cursor_invalid");
}

#[tokio::test]
async fn what_is_not_there_has_a_code_of_its_own() {
    let host = Host::start().await;
    let nobody = format!("{RUNS}/run_{}", "0".repeat(32));
    for rest in ["", "/timeline", "/artifacts", "/llm-calls", "/variables", "/stages/first/prompt"]
    {
        host.get(&format!("{nobody}{rest}")).await.refused(404, "run_unknown");
    }
    host.post(&format!("{nobody}/cancel"), json!({})).await.refused(404, "run_unknown");
    host.get(&format!("{RUNS}/run_1")).await.refused(400, "id_invalid");
    let call = format!("/api/v2/llm-calls/call_{}", "0".repeat(32));
    host.get(&call).await.refused(404, "call_unknown");
    host.get("/api/v2/workflow-profiles/nobody").await.refused(404, "profile_unknown");
    host.get("/api/v2/plugins/nobody").await.refused(404, "plugin_unknown");
    host.get("/api/v2/plugins/..%2Fsecret.wasm").await.refused(400, "id_invalid");
    host.post("/api/v2/providers/nobody/check", json!({})).await.refused(404, "provider_unknown");
    host.get("/api/v3").await.refused(404, "route_unknown");
    let answer = host.post("/api/v1/health", json!({})).await;
    answer.refused(405, "method_not_allowed");
    assert!(answer.headers[header::ALLOW].to_str().unwrap().contains("GET"));
}

#[tokio::test]
async fn a_panic_is_answered_without_its_cause() {
    let host = Host::start().await;
    let run = host.begin("gated").await;
    host.open_approval(&run).await;
    host.stages.panicking.store(true, Ordering::SeqCst);
    let answer = host.get(&format!("{RUNS}/{run}/stages/first/prompt")).await;
    let body = answer.refused(500, "internal");
    assert_eq!(body["detail"], "The server failed");
    assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
    assert!(!answer.text().contains("secret"));
    assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn a_failure_of_the_store_is_answered_without_its_cause() {
    let host = Host::start().await;
    host.engine.store().close();
    let answer = host.get(RUNS).await;
    let body = answer.json();
    assert!(answer.status.is_server_error(), "{body}");
    assert!(body["request_id"].is_string());
    assert_eq!(body["detail"], body["title"]);
}

#[test]
fn codes_are_unique_and_their_problems_complete() {
    let words: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!((400..600).contains(&code.status()), "{code:?}");
        assert!(code.title().starts_with(char::is_uppercase), "{code:?}");
        assert!(!code.hint().is_empty() && !code.hint().ends_with('.'), "{code:?}");
    }
}

#[test]
fn faults_have_the_same_code_in_events_and_problems() {
    let own = || "own".to_owned();
    let kinds = [
        FaultKind::Trap,
        FaultKind::Limit(Limit::Memory),
        FaultKind::Limit(Limit::CpuTime),
        FaultKind::Limit(Limit::WallTime),
        FaultKind::Limit(Limit::CallBytes),
        FaultKind::Limit(Limit::ArtifactCount),
        FaultKind::Limit(Limit::ArtifactBytes),
        FaultKind::Limit(Limit::Stack),
        FaultKind::PluginNotLoadable,
        FaultKind::ModelCallInPreview,
        FaultKind::ArtifactName,
        FaultKind::ArtifactSet,
        FaultKind::OutputNotJson,
        FaultKind::BadInput { code: own() },
        FaultKind::InvalidOutput { code: own() },
        FaultKind::Transient { code: own() },
        FaultKind::NeedsHuman { code: own() },
        FaultKind::ReplayDiverged,
        FaultKind::Host,
        FaultKind::Model(ModelErrorKind::RateLimited { retry_after_ms: None }),
        FaultKind::Model(ModelErrorKind::Unavailable),
        FaultKind::Model(ModelErrorKind::Timeout),
        FaultKind::Model(ModelErrorKind::BadResponse),
        FaultKind::Model(ModelErrorKind::Rejected),
        FaultKind::Model(ModelErrorKind::Unauthorized),
        FaultKind::Model(ModelErrorKind::ModelNotFound),
        FaultKind::Model(ModelErrorKind::QuotaExhausted),
        FaultKind::Model(ModelErrorKind::ContextTooLong),
        FaultKind::Model(ModelErrorKind::BudgetExhausted),
        FaultKind::Model(ModelErrorKind::NotGranted),
        FaultKind::Model(ModelErrorKind::Canceled),
    ];
    for kind in kinds {
        let code = Code::from(&kind);
        assert_eq!(code.as_str(), kind.code());
        assert_eq!(code.is_retryable(), kind.is_retryable(), "{kind:?}");
    }
}
