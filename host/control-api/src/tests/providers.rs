//! How providers are shown, and how they do.
use model_server::{Behavior, ModelServer};
use serde_json::json;

use super::support::{Host, Setup, served_by};

#[tokio::test]
async fn a_provider_is_shown_with_its_prices_and_limits() {
    let server = ModelServer::start().await;
    let mut provider = served_by(&server);
    provider.models[0].limits.requests_per_minute = Some(600);
    let host = Host::set_up(Setup::asking(provider)).await;
    let shown = host.get("/api/v2/providers").await.json();
    let shown = &shown["items"][0];
    assert_eq!(shown["default_model_price"]["output_usd_per_million"], "2");
    let model = &shown["models"][0];
    assert_eq!(model["price"]["input_usd_per_million"], "1");
    assert_eq!(model["price"]["cached_input_usd_per_million"], json!(null));
    assert_eq!(model["input_nano_usd_per_token"], json!(1_000.0));
    assert_eq!(model["limits"]["requests_per_minute"], 600);
    assert_eq!(model["limits"]["tokens_per_minute"], json!(null));
}

#[tokio::test]
async fn an_open_breaker_is_shown_with_its_cause_and_its_end() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::error(500, "server_error", "out of order"));
    let mut provider = served_by(&server);
    provider.tries_max = 1;
    provider.breaker.failure_count = 2;
    let host = Host::set_up(Setup::asking(provider)).await;
    let ask = json!({"message": "what do bees eat"});
    host.post("/api/chat", ask.clone()).await.refused(503, "model_unavailable");
    let shown = host.get("/api/v2/providers").await.json();
    let activity = &shown["items"][0]["activity"][0];
    assert_eq!(activity["model"], model_server::MODEL);
    assert_eq!(activity["breaker"], json!({"state": "closed", "failure_count": 1}));
    assert_eq!(activity["price_known"], true);

    host.post("/api/chat", ask.clone()).await.refused(503, "model_unavailable");
    let shown = host.get("/api/v2/providers").await.json();
    let breaker = &shown["items"][0]["activity"][0]["breaker"];
    assert_eq!(breaker["state"], "open");
    assert!(breaker["retry_in_ms"].as_u64().unwrap() > 0);
    assert!(breaker["cause"].as_str().unwrap().contains("out of order"), "{breaker}");
    host.post("/api/chat", ask).await.refused(503, "model_unavailable");
    assert_eq!(server.count(), 2, "an open breaker asks nobody");
}

#[tokio::test]
async fn a_call_that_is_being_answered_is_shown() {
    let server = ModelServer::start().await;
    server.hold();
    let host = Host::asking(&server).await;
    let ask = host.post("/api/chat", json!({"message": "what do bees eat"}));
    let look = async {
        server.wait_for_requests(1).await;
        let shown = host.get("/api/v2/providers").await.json();
        server.release();
        shown["items"][0]["activity"][0]["open_calls"].clone()
    };
    let (answer, open_calls) = tokio::join!(ask, look);
    assert_eq!((answer.status.as_u16(), open_calls), (200, json!(1)));
    let shown = host.get("/api/v2/providers").await.json();
    assert_eq!(shown["items"][0]["activity"][0]["open_calls"], 0);
}

#[tokio::test]
async fn a_provider_is_asked_for_its_models() {
    let server = ModelServer::start().await;
    let host = Host::asking(&server).await;
    let listed = host.get("/api/v2/providers/local/models").await.json();
    assert_eq!(listed["listed"], true);
    let known = listed["items"].as_array().unwrap();
    let known = known.iter().find(|model| model["name"] == model_server::MODEL).unwrap();
    assert_eq!(known["is_default"], true);
    assert_eq!(known["price"]["input_usd_per_million"], "1");
    host.get("/api/v2/providers/nobody/models").await.refused(404, "provider_unknown");
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_a_problem_of_its_models() {
    let server = ModelServer::start().await;
    let mut provider = served_by(&server);
    provider.tries_max = 1;
    drop(server);
    let host = Host::set_up(Setup::asking(provider)).await;
    host.get("/api/v2/providers/local/models").await.refused(503, "model_unavailable");
}

#[tokio::test]
async fn a_check_costs_something_and_is_recorded() {
    let server = ModelServer::start().await;
    let mut provider = served_by(&server);
    provider.limits.requests_per_minute = Some(60);
    let host = Host::set_up(Setup::asking(provider)).await;
    let shown = host.get("/api/v2/providers").await.json();
    assert_eq!(shown["items"][0]["limits"]["requests_per_minute"], 60);
    let name = shown["items"][0]["name"].as_str().unwrap().to_owned();
    let checked = host.post(&format!("/api/v2/providers/{name}/check"), json!({})).await.json();
    assert_eq!(checked["ok"], true, "{checked}");

    let calls = host.get("/api/v2/llm-calls?client_id=providers%20check").await.json();
    let [call] = calls["items"].as_array().unwrap().as_slice() else { panic!("{calls}") };
    assert_eq!((&call["label"], &call["status"]), (&json!("check"), &json!("answered")));
    assert!(call["usage"]["output_tokens"].as_u64().unwrap() > 0);
    let usage = host.get("/api/v2/usage").await.json();
    assert_eq!(usage["total"]["calls"], 1);
    assert_eq!(usage["total"]["cost"], call["cost"]);
}
