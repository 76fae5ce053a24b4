//! The list of all model calls.
use serde_json::{Value, json};

use super::support::Host;

const CALLS: &str = "/api/v2/llm-calls";

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|call| call["call_id"].as_str().unwrap()).collect()
}

/// Three chats and a run of two stages.
async fn with_calls() -> (Host, [String; 3], String) {
    let host = Host::start().await;
    let mut chats = Vec::new();
    for (session, client, label) in
        [("s1", "desk", "one"), ("s1", "phone", "two"), ("s2", "desk", "two")]
    {
        let body = json!({
            "message": format!("bees for {session} and {label}"), "session_id": session,
            "client_id": client, "label": label,
        });
        chats.push(host.chat(body).await["call_id"].as_str().unwrap().to_owned());
    }
    let run = host.begin("straight").await;
    host.reaches(&run, "completed").await;
    (host, chats.try_into().unwrap(), run)
}

#[tokio::test]
async fn calls_are_listed_newest_first_and_page_by_page() {
    let (host, chats, _) = with_calls().await;
    let all = host.get(CALLS).await.json();
    let all = all["items"].as_array().unwrap().clone();
    assert_eq!(all.len(), 5);
    assert_eq!(ids(&all)[2..], [&*chats[2], &*chats[1], &*chats[0]]);
    assert_eq!((&all[0]["stage"], &all[1]["stage"]), (&json!("second"), &json!("first")));

    let mut paged = Vec::new();
    let mut path = format!("{CALLS}?limit=2");
    loop {
        let page = host.get(&path).await.json();
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{CALLS}?limit=2&cursor={cursor}");
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn every_filter_finds_its_calls() {
    let (host, chats, run) = with_calls().await;
    let [one, two, three] = [&*chats[0], &*chats[1], &*chats[2]];
    for (filter, expected) in [
        ("session_id=s1", vec![two, one]),
        ("conversation_id=s2", vec![three]),
        ("client_id=desk", vec![three, one]),
        ("label=two", vec![three, two]),
        ("label=two&client_id=desk", vec![three]),
        ("label=nobody", vec![]),
        ("status=failed", vec![]),
        ("model=nobody", vec![]),
        ("until=2000-01-01T00:00:00Z", vec![]),
    ] {
        let found = host.get(&format!("{CALLS}?{filter}")).await.json();
        assert_eq!(ids(found["items"].as_array().unwrap()), expected, "{filter}");
    }
    for (filter, count) in [
        (format!("run_id={run}"), 2),
        (format!("run_id={run}&stage=second"), 1),
        ("stage=first".to_owned(), 1),
        ("status=answered".to_owned(), 5),
        ("provider=scripted&model=scripted".to_owned(), 5),
        ("since=2000-01-01T00:00:00Z".to_owned(), 5),
    ] {
        let found = host.get(&format!("{CALLS}?{filter}")).await.json();
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{filter}: {found:#}");
    }
}

#[tokio::test]
async fn a_record_says_who_asked_in_which_conversation_and_where_the_answer_came_from() {
    let (host, chats, run) = with_calls().await;
    let call = host.get(&format!("{CALLS}/{}", chats[1])).await.json();
    assert_eq!(call["client_id"], "phone");
    assert_eq!(
        (&call["conversation_id"], &call["conversation_ordinal"]),
        (&json!("s1"), &json!(2))
    );
    assert_eq!(call["asked_model"], "scripted");
    assert_eq!((&call["source"], &call["fallback_reason"]), (&json!("provider"), &Value::Null));
    assert_eq!((&call["queue_ms"], &call["texts"]), (&json!(0), &json!("whole")));
    assert_eq!(call["request"]["messages"][0]["content"], "bees for s1 and two");
    let calls = host.get(&format!("/api/v2/workflow-runs/{run}/llm-calls")).await.json();
    assert_eq!(host.get(&format!("{CALLS}?run_id={run}")).await.json(), calls);
    assert_eq!(calls["items"][0]["conversation_id"], json!(format!("{run}/first/1")));
}

#[tokio::test]
async fn bad_filters_are_problems_with_their_place() {
    let host = Host::start().await;
    let path = format!(
        "{CALLS}?run_id=7&status=done&since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z&limit=201"
    );
    let body = host.get(&path).await.refused(400, "request_invalid");
    let places: Vec<&str> =
        body["problems"].as_array().unwrap().iter().map(|p| p["place"].as_str().unwrap()).collect();
    let expected =
        ["run_id", "status", "until", "limit"].map(|name| format!("query parameter `{name}`"));
    assert_eq!(places, expected);
    host.get(&format!("{CALLS}?cursor=zzz")).await.refused(400, "cursor_invalid");
    host.get(&format!("{CALLS}?run=x")).await.refused(400, "request_invalid");
}
