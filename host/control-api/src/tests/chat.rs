//! Talking to a model outside of any run.
use axum::http::header;
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
    ] {
        let answer = host.post("/api/chat", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        answer.refused(400, "request_invalid");
    }
}
