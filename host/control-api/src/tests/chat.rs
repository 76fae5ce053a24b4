//! Talking to a model outside of any run.
use axum::http::header;
use model_server::ModelServer;
use serde_json::json;

use super::support::{Host, post};

#[tokio::test]
async fn an_answer_comes_whole_with_its_record() {
    let host = Host::start().await;
    let answer =
        host.post("/api/chat", json!({"message": "what do bees eat", "session_id": "s1"})).await;
    let body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    assert!(!body["content"].as_str().unwrap().is_empty());
    assert_eq!(body["provider"], "scripted");
    assert_eq!(body["cost"]["nano_usd"], 0);
    let call =
        host.get(&format!("/api/v2/llm-calls/{}", body["call_id"].as_str().unwrap())).await.json();
    assert_eq!(call["session_id"], "s1");
    assert_eq!(call["run_id"], json!(null));
    assert_eq!(call["answer"]["content"], body["content"]);
}

#[tokio::test]
async fn a_streamed_answer_comes_in_pieces_and_then_whole() {
    let host = Host::start().await;
    let messages =
        json!([{"role": "system", "content": "be short"}, {"role": "user", "content": "bees"}]);
    for by_header in [true, false] {
        let body = match by_header {
            true => json!({"messages": messages}),
            false => json!({"messages": messages, "stream": true}),
        };
        let mut request = post("/api/chat", &body);
        if by_header {
            request.headers_mut().insert(header::ACCEPT, "text/event-stream".parse().unwrap());
        }
        let seen = host.watch(request).await.rest().await;
        let done = seen.last().unwrap();
        assert_eq!(done.name, "done");
        let text: String = seen
            .iter()
            .filter(|seen| seen.name == "text")
            .map(|seen| seen.data["text"].as_str().unwrap())
            .collect();
        assert_eq!(json!(text), done.data["content"]);
    }
}

#[tokio::test]
async fn a_chat_that_cannot_be_asked_is_a_problem_also_when_streamed() {
    let host = Host::start().await;
    for body in [
        json!({}),
        json!({"message": "a", "messages": []}),
        json!({"messages": []}),
        json!({"message": " "}),
        json!({"message": "a", "provider": "nobody"}),
        json!({"message": "a", "provider": "nobody", "stream": true}),
        json!({"messages": [{"role": "robot", "content": "a"}]}),
        json!({"message": "a", "max_tokens": 0}),
        json!({"message": "a", "temperature": 2.5}),
        json!({"message": "a", "top_p": 0.0, "stream": true}),
        json!({"message": "a", "stop": vec!["x"; 100]}),
        json!({"message": "a", "client_id": "x".repeat(1_000)}),
        json!({"message": "a", "label": "two\nlines"}),
        json!({"message": "a", "cache": "yes"}),
        json!({"message": "a", "response_format": {"type": "xml"}}),
    ] {
        let answer = host.post("/api/chat", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        answer.refused(400, "request_invalid");
    }
}

#[tokio::test]
async fn options_reach_the_provider_and_the_record() {
    let server = ModelServer::start().await;
    let host = Host::asking(&server).await;
    let schema = json!({"type": "object", "properties": {"food": {"type": "string"}}});
    let answer = host
        .chat(json!({
            "message": "what do bees eat", "max_tokens": 70, "temperature": 0.5, "top_p": 0.9,
            "stop": ["END"], "seed": 7, "label": "menu", "client_id": "desk",
            "conversation_id": "talk-1",
            "response_format": {"type": "json_schema", "name": "menu", "schema": schema},
        }))
        .await;
    assert_eq!(answer["conversation_id"], "talk-1");
    assert_eq!((&answer["source"], &answer["fallback_reason"]), (&json!("provider"), &json!(null)));
    assert_eq!(answer["timing"]["tries"], 1);
    assert_eq!(answer["timing"]["queue_ms"], 0);
    let sent = &server.requests()[0].body;
    assert_eq!((&sent["temperature"], &sent["stop"]), (&json!(0.5), &json!(["END"])));
    assert_eq!(sent["seed"], 7);
    let path = format!("/api/v2/llm-calls/{}", answer["call_id"].as_str().unwrap());
    let call = host.get(&path).await.json();
    assert_eq!((&call["label"], &call["client_id"]), (&json!("menu"), &json!("desk")));
    assert_eq!(call["conversation_id"], "talk-1");
    assert_eq!(call["request"]["max_tokens"], 70);
    assert_eq!(call["request"]["response_format"]["schema"], schema);
}

#[tokio::test]
async fn a_chat_without_session_is_a_conversation_of_its_own_and_one_with_a_session_is_the_sessions()
 {
    let host = Host::start().await;
    let alone = host.chat(json!({"message": "bees"})).await;
    assert_eq!(alone["conversation_id"], alone["call_id"]);
    let in_session = host.chat(json!({"message": "bees", "session_id": "s1"})).await;
    assert_eq!(in_session["conversation_id"], "s1");
}

#[tokio::test]
async fn all_problems_of_a_chat_come_together_with_their_places() {
    let host = Host::start().await;
    let body = json!({"message": " ", "max_tokens": 0, "temperature": 9.0, "top_p": 2.0});
    let body = host.post("/api/chat", body).await.refused(400, "request_invalid");
    let pointers: Vec<&str> = body["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["pointer"].as_str().unwrap())
        .collect();
    for pointer in ["/max_tokens", "/temperature", "/top_p"] {
        assert!(pointers.contains(&pointer), "{pointers:?}");
    }
}
