//! The key reaches the server and nothing else.
use gateway::Delta;
use model_server::{After, Behavior, ModelServer};

use crate::support::{KEY, PROVIDER, anthropic_gateway_to, ask_usual, gateway_to};

#[tokio::test]
async fn a_key_that_a_server_repeats_is_redacted() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let event = |text: &str| format!("data: {{\"error\":{{\"message\":\"key {text}\"}}}}\n\n");
    let repeating = [
        Behavior::error(401, "invalid_api_key", &format!("Incorrect API key: {KEY}.")),
        Behavior::status(400, format!("Bearer {KEY}")),
        Behavior::raw("text/plain", format!("hello {KEY}")),
        Behavior::raw("application/json", format!("{{\"error\":\"{KEY}\"}}")),
        Behavior::raw_then("text/event-stream", event(KEY), After::End),
        Behavior::Status {
            status: 302,
            headers: vec![("location".to_owned(), format!("https://example.com/?key={KEY}"))],
            body: String::new(),
        },
    ];
    for behavior in repeating {
        server.push(behavior);
        let asked = ask_usual(&gateway).await;
        let message = &asked.error().message;
        assert!(!message.contains(KEY) && message.contains("[redacted]"), "{message}");
    }
}

#[tokio::test]
async fn a_cause_that_is_told_between_tries_is_redacted() {
    let server = ModelServer::start().await;
    server.push(Behavior::status(503, format!("busy, {KEY}")));
    let asked = ask_usual(&gateway_to(&server)).await;
    let Delta::Retrying { cause, .. } = &asked.deltas[0] else { panic!("the first try failed") };
    assert!(cause.contains("busy, [redacted]"), "{cause}");
}

#[tokio::test]
async fn a_key_in_anthropics_header_is_redacted_as_well() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    server.require_key("another");
    let message = ask_usual(&gateway).await.error().message.clone();
    assert!(message.contains("invalid x-api-key: [redacted]"), "{message}");
    let message = gateway.check(PROVIDER).await.unwrap_err().message;
    assert!(message.contains("[redacted]") && !message.contains(KEY), "{message}");
}
