//! Whose name an act carries.
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use serde_json::{Value, json};

use super::stages::Stages;
use super::support::{Answer, Host};
use crate::{Access, Token};

const USER: HeaderName = HeaderName::from_static("x-forwarded-user");

/// A host behind a proxy that says who calls.
async fn behind_a_proxy() -> Host {
    let access = Access::network(Some(Token::new("open sesame")));
    let access = access.with_actor_header("X-Forwarded-User".parse().unwrap());
    Host::with(Stages::unhindered(), access).await
}

async fn send(host: &Host, path: &str, users: &[&[u8]], body: &Value) -> Answer {
    let mut request = Request::post(path)
        .header(header::HOST, "127.0.0.1:8766")
        .header(header::AUTHORIZATION, "Bearer open sesame")
        .header(header::CONTENT_TYPE, "application/json");
    for user in users {
        request = request.header(USER, HeaderValue::from_bytes(user).unwrap());
    }
    host.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn read(host: &Host, path: &str) -> Value {
    let request = Request::get(path)
        .header(header::HOST, "127.0.0.1:8766")
        .header(header::AUTHORIZATION, "Bearer open sesame");
    host.send(request.body(Body::empty()).unwrap()).await.json()
}

/// Begins a run that waits, and gives its path.
async fn begin(host: &Host, user: &str) -> String {
    let ask = json!({"request_text": "bees", "mode": "gated"});
    let started = send(host, "/api/v2/workflow-runs", &[user.as_bytes()], &ask).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text());
    let run = started.json()["run_id"].as_str().unwrap().to_owned();
    let mut watching = host.engine.subscribe(&run.parse().unwrap());
    let path = format!("/api/v2/workflow-runs/{run}");
    while read(host, &path).await["pending_approval"].is_null() {
        watching.next().await;
    }
    path
}

#[tokio::test]
async fn the_proxy_says_who_starts_commands_and_decides() {
    let host = behind_a_proxy().await;
    let run = begin(&host, "ada").await;
    assert_eq!(read(&host, &run).await["started_by"], "ada");
    let paused = send(&host, &format!("{run}/pause"), &[b"bob"], &json!({})).await;
    assert_eq!(paused.status, StatusCode::OK, "{}", paused.text());
    send(&host, &format!("{run}/resume"), &[b"bob"], &json!({"actor": "bob"})).await;
    let approval = read(&host, &run).await["pending_approval"]["approval_id"].clone();
    let grant = format!("/api/v2/approvals/{}/grant", approval.as_str().unwrap());
    let granted = send(&host, &grant, &["zoë".as_bytes()], &json!({"comment": "fine"})).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.text());
    let timeline = read(&host, &format!("{run}/timeline")).await;
    let actor_of = |kind: &str| {
        let found = timeline["items"].as_array().unwrap().iter().find(|e| e["kind"] == kind);
        found.unwrap_or_else(|| panic!("{timeline:#}"))["data"]["actor"].clone()
    };
    assert_eq!(actor_of("run_resumed"), "bob");
    assert_eq!(actor_of("gate_granted"), "zoë");
}

#[tokio::test]
async fn a_body_cannot_say_otherwise_than_the_proxy() {
    let host = behind_a_proxy().await;
    let run = begin(&host, "ada").await;
    let approval = read(&host, &run).await["pending_approval"]["approval_id"].clone();
    let approval = format!("/api/v2/approvals/{}", approval.as_str().unwrap());
    let acts = [
        ("/api/v2/workflow-runs".to_owned(), json!({"request_text": "x", "mode": "gated"})),
        (format!("{run}/pause"), json!({})),
        (format!("{run}/resume"), json!({})),
        (format!("{run}/cancel"), json!({})),
        (format!("{run}/retry"), json!({})),
        (format!("{approval}/grant"), json!({})),
        (format!("{approval}/reject"), json!({})),
        (format!("{approval}/revise"), json!({"comment": "other"})),
    ];
    for (path, body) in acts {
        send(&host, &path, &[], &body).await.refused(403, "actor_unproven");
        send(&host, &path, &[b"ada", b"bob"], &body).await.refused(403, "actor_unproven");
        send(&host, &path, &[b"  "], &body).await.refused(403, "actor_unproven");
        send(&host, &path, &[b"\xff"], &body).await.refused(403, "actor_unproven");
        let mut other = body.clone();
        other["actor"] = json!("bob");
        let refused = send(&host, &path, &[b"ada"], &other).await.refused(400, "request_invalid");
        assert_eq!(host.pointers(&refused), ["/actor"], "{path}");
    }
    let shown = read(&host, &run).await;
    assert_eq!(shown["status"], "waiting_approval", "nothing was done");
    assert_eq!(read(&host, "/api/v2/workflow-runs").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_sits_at_the_machine_says_who_they_are() {
    let access = Access::in_process().with_actor_header("X-Forwarded-User".parse().unwrap());
    let host = Host::with(Stages::unhindered(), access).await;
    let run = host.begin("gated").await;
    let approval = host.open_approval(&run).await;
    let grant = format!("/api/v2/approvals/{}/grant", approval["approval_id"].as_str().unwrap());
    let granted = host.post(&grant, json!({"actor": "ada"})).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.text());
}

#[tokio::test]
async fn without_such_a_header_it_is_a_header_like_any_other() {
    let host = Host::with(Stages::unhindered(), Access::loopback()).await;
    let ask = json!({"request_text": "bees", "mode": "gated", "actor": "ada"});
    let started = send(&host, "/api/v2/workflow-runs", &[b"bob"], &ask).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text());
    let path = format!("/api/v2/workflow-runs/{}", started.json()["run_id"].as_str().unwrap());
    assert_eq!(read(&host, &path).await["started_by"], "ada");
}
