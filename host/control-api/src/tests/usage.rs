//! What calls used, summed up.
use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};

use super::support::Host;

const USAGE: &str = "/api/v2/usage";

/// Two answered chats, one that failed, and a run of two stages.
async fn with_usage() -> (Host, ModelServer) {
    let server = ModelServer::start().await;
    let host = Host::asking(&server).await;
    host.chat(json!({"message": "what do bees eat"})).await;
    host.chat(json!({"message": "what do wasps eat"})).await;
    server.push(Behavior::error(400, "invalid_request_error", "no"));
    host.post("/api/chat", json!({"message": "what do bears eat"}))
        .await
        .refused(502, "model_rejected");
    let run = host.begin("straight").await;
    host.reaches(&run, "completed").await;
    (host, server)
}

fn sum(items: &[Value], pointer: &str) -> u64 {
    items.iter().map(|item| item.pointer(pointer).unwrap().as_u64().unwrap()).sum()
}

#[tokio::test]
async fn usage_adds_up_to_what_the_records_of_calls_say() {
    let (host, _server) = with_usage().await;
    let calls = host.get("/api/v2/llm-calls?status=answered").await.json();
    let calls = calls["items"].as_array().unwrap().clone();
    assert_eq!(calls.len(), 4);
    let by_day = host.get(USAGE).await.json();
    assert_eq!(by_day["by"], json!(["day"]));
    let total = &by_day["total"];
    assert_eq!((&total["calls"], &total["failed_calls"]), (&json!(5), &json!(1)));
    assert_eq!(total["usage"]["input_tokens"], sum(&calls, "/usage/input_tokens"));
    assert_eq!(total["usage"]["output_tokens"], sum(&calls, "/usage/output_tokens"));
    assert_eq!(total["cost"]["nano_usd"], sum(&calls, "/cost/nano_usd"));
    assert!(sum(&calls, "/cost/nano_usd") > 0);
    assert_eq!(by_day["items"].as_array().unwrap().len(), 1);
    assert_eq!(by_day["items"][0]["day"], "2025-06-15");
    assert_eq!(by_day["items"][0]["cost"], total["cost"]);

    let by_stage = host.get(&format!("{USAGE}?by=stage,mode,model,provider")).await.json();
    assert_eq!(by_stage["total"], *total);
    let items = by_stage["items"].as_array().unwrap();
    let stages: Vec<&Value> = items.iter().map(|item| &item["stage"]).collect();
    assert_eq!(stages, [&Value::Null, &json!("first"), &json!("second")], "{by_stage:#}");
    assert_eq!(items[0]["calls"], 3);
    assert_eq!((&items[1]["mode"], &items[1]["provider"]), (&json!("straight"), &json!("local")));
    assert_eq!(items[1]["day"], Value::Null);
}

#[tokio::test]
async fn usage_can_be_narrowed_down() {
    let (host, _server) = with_usage().await;
    for (filter, calls) in [
        ("stage=first", 1),
        ("mode=straight", 2),
        ("provider=local", 5),
        ("provider=other", 0),
        ("model=test-model&mode=straight", 2),
        ("since=2025-06-15&until=2025-06-15", 5),
        ("since=2025-06-16", 0),
        ("until=2025-06-14", 0),
    ] {
        let found = host.get(&format!("{USAGE}?{filter}")).await.json();
        assert_eq!(found["total"]["calls"], calls, "{filter}: {found:#}");
    }
    let none = host.get(&format!("{USAGE}?provider=other")).await.json();
    assert_eq!((&none["items"], &none["total"]["cost"]["nano_usd"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn an_unknown_price_makes_the_cost_unknown_and_not_zero() {
    let (host, _server) = with_usage().await;
    host.chat(json!({"message": "what do bees eat", "model": "unpriced"})).await;
    let by_model = host.get(&format!("{USAGE}?by=model")).await.json();
    let of = |model: &str| {
        let items = by_model["items"].as_array().unwrap();
        items.iter().find(|item| item["model"] == model).unwrap()["cost"].clone()
    };
    assert_eq!(of("unpriced"), Value::Null);
    assert!(of("test-model")["nano_usd"].as_u64().unwrap() > 0);
    assert_eq!(by_model["total"]["cost"], Value::Null);
}

#[tokio::test]
async fn bad_keys_and_days_are_problems_with_their_place() {
    let host = Host::start().await;
    let body = host.get(&format!("{USAGE}?by=day,hour&since=2025-02-30&until=today")).await;
    let body = body.refused(400, "request_invalid");
    let problems = body["problems"].as_array().unwrap();
    let places: Vec<&str> = problems.iter().map(|p| p["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["by", "since", "until"].map(|name| format!("query parameter `{name}`")));
    let message = problems[0]["message"].as_str().unwrap();
    assert!(message.contains("`hour` is none of day, provider, model, stage, mode"), "{message}");
    let backwards = host.get(&format!("{USAGE}?since=2025-06-02&until=2025-06-01")).await;
    backwards.refused(400, "request_invalid");
    for query in ["by=", "by=day,day", "stage=Nobody!", "mode=No%20Mode", "limit=3"] {
        host.get(&format!("{USAGE}?{query}")).await.refused(400, "request_invalid");
    }
}
