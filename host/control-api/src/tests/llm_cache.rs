//! The host's cache of answers.
use axum::body::Body;
use axum::http::{HeaderName, Request, header};
use model_server::ModelServer;
use serde_json::{Value, json};

use super::stages::Stages;
use super::support::Host;
use crate::Access;

const CACHE: &str = "/api/v2/llm-cache";

fn question() -> Value {
    json!({"message": "what do bees eat", "cache": true})
}

#[tokio::test]
async fn the_same_question_is_answered_from_the_cache_at_no_cost_and_recorded_as_a_hit() {
    let server = ModelServer::start().await;
    let host = Host::asking(&server).await;
    let first = host.chat(question()).await;
    let second = host.chat(question()).await;
    assert_eq!((&first["source"], &second["source"]), (&json!("provider"), &json!("cache")));
    assert_eq!(first["content"], second["content"]);
    assert_eq!(second["cost"]["nano_usd"], 0);
    assert_eq!(second["timing"]["tries"], 0);
    assert_eq!(server.count(), 1);
    let record =
        host.get(&format!("/api/v2/llm-calls/{}", second["call_id"].as_str().unwrap())).await;
    assert_eq!(record.json()["source"], "cache");
    let usage = host.get("/api/v2/usage").await.json();
    assert_eq!((&usage["total"]["calls"], &usage["total"]["cache_hits"]), (&json!(2), &json!(1)));
    assert_eq!(usage["total"]["cost"], first["cost"]);
    let status = host.get(CACHE).await.json();
    assert_eq!(
        (&status["enabled"], &status["entries"], &status["hits"], &status["misses"]),
        (&json!(true), &json!(1), &json!(1), &json!(1))
    );
    assert!(status["size_bytes"].as_u64().unwrap() <= status["bytes_max"].as_u64().unwrap());
}

#[tokio::test]
async fn without_asking_for_it_nothing_comes_from_the_cache() {
    let server = ModelServer::start().await;
    let host = Host::asking(&server).await;
    for _ in 0..2 {
        let answer = host.chat(json!({"message": "what do bees eat"})).await;
        assert_eq!(answer["source"], "provider");
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn what_is_forgotten_is_asked_again() {
    let server = ModelServer::start().await;
    let host = Host::asking(&server).await;
    host.chat(question()).await;
    let none = host.delete(&format!("{CACHE}?model=other")).await.json();
    assert_eq!(none, json!({"forgotten": 0}));
    let some = host.delete(&format!("{CACHE}?provider=local&model=test-model")).await.json();
    assert_eq!(some, json!({"forgotten": 1}));
    assert_eq!(host.chat(question()).await["source"], "provider");
    assert_eq!(host.delete(CACHE).await.json(), json!({"forgotten": 1}));
    assert_eq!(host.get(CACHE).await.json()["entries"], 0);
}

#[tokio::test]
async fn a_misspelled_provider_forgets_nothing_and_says_so() {
    let host = Host::start().await;
    let body = host.delete(&format!("{CACHE}?provider=scriptd")).await;
    let body = body.refused(400, "request_invalid");
    assert_eq!(body["problems"][0]["place"], "query parameter `provider`");
    assert!(body["detail"].as_str().unwrap().contains("scripted"), "{body:#}");
    host.delete(&format!("{CACHE}?modell=x")).await.refused(400, "request_invalid");
}

#[tokio::test]
async fn a_page_of_another_site_cannot_empty_the_cache() {
    let host = Host::with(Stages::unhindered(), Access::loopback()).await;
    let forget = |name: HeaderName, value: &str| {
        let request = Request::delete(CACHE).header(header::HOST, "127.0.0.1").header(name, value);
        request.body(Body::empty()).unwrap()
    };
    let site = HeaderName::from_static("sec-fetch-site");
    let cross = host.send(forget(site.clone(), "cross-site")).await;
    cross.refused(403, "origin_not_allowed");
    let evil = host.send(forget(header::ORIGIN, "https://evil.example")).await;
    evil.refused(403, "origin_not_allowed");
    assert_eq!(host.send(forget(site, "same-origin")).await.status, 200);
    host.delete(CACHE).await.refused(421, "host_not_allowed");
}
