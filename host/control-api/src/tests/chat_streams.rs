//! Streamed chats: nothing is skipped, nobody is waited for in vain, and who goes away stops the call.
use std::time::Duration;

use axum::http::header;
use model_server::{After, Answer, Behavior, ModelServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::support::{Host, PATIENCE, Seen, post};

/// Longest time from a client's leaving to the end of the provider's call.
const STOP_TIME_MAX: Duration = Duration::from_secs(1);

fn asked() -> Value {
    json!({"message": "what do bees eat", "stream": true})
}

fn text_of(seen: &[Seen]) -> String {
    let pieces = seen.iter().filter(|seen| seen.name == "text");
    pieces.map(|seen| seen.data["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_slow_reader_slows_the_provider_down_and_misses_nothing() {
    let server = ModelServer::start().await;
    let long: String = (0..4_000).map(|number| format!("bee {number} ")).collect();
    server.push(Behavior::text(long.clone()));
    let host = Host::asking(&server).await;
    let mut slow = host.watch(post("/api/chat", &asked())).await;
    let mut seen = vec![slow.next().await.unwrap()];
    // Others are answered meanwhile, and the one that nobody reads goes no further.
    for _ in 0..20 {
        host.chat(json!({"message": "what do wasps eat"})).await;
    }
    let open = host.get("/api/v2/llm-calls?status=open").await.json();
    assert_eq!(open["items"].as_array().unwrap().len(), 1, "{open:#}");
    seen.extend(slow.rest().await);
    let done = seen.last().unwrap();
    assert_eq!(done.name, "done", "{done:?}");
    assert!(seen.len() > 1_000, "{} events", seen.len());
    assert_eq!(text_of(&seen), long);
    assert_eq!(done.data["content"], json!(long));
}

#[tokio::test]
async fn the_first_piece_comes_while_the_model_still_writes() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("honey", After::Hang));
    let host = Host::asking(&server).await;
    let mut watch = host.watch(post("/api/chat", &asked())).await;
    let first = watch.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["text"]), ("text", &json!("honey")));
}

#[tokio::test]
async fn a_reader_that_drops_the_answer_stops_the_call_and_what_was_used_is_recorded() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("honey and pollen", After::Hang));
    let host = Host::asking(&server).await;
    let mut watch = host.watch(post("/api/chat", &asked())).await;
    watch.next().await.unwrap();
    drop(watch);
    let stopped = tokio::time::timeout(STOP_TIME_MAX, server.wait_for_abandoned(1)).await;
    assert!(stopped.is_ok(), "the provider still writes");
    let call = &host.lists("/api/v2/llm-calls?status=canceled", 1).await[0];
    assert_eq!(call["error_code"], "model_canceled");
    assert!(call["usage"]["output_tokens"].as_u64().unwrap() > 0, "{call:#}");
    assert!(call["cost"]["nano_usd"].as_u64().unwrap() > 0, "{call:#}");
    let path = format!("/api/v2/llm-calls/{}", call["call_id"].as_str().unwrap());
    assert_eq!(host.get(&path).await.json()["answer"]["content"], "honey and pollen");
}

/// Serves the host on a socket, and sends a chat to it.
async fn connected(host: &Host, tasks: &mut JoinSet<()>, body: &Value) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = host.router.clone();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let body = body.to_string();
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(body.as_bytes()).await.unwrap();
    client
}

#[tokio::test]
async fn a_client_that_closes_its_connection_stops_a_streamed_call() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("honey", After::Hang));
    let host = Host::asking(&server).await;
    let mut tasks = JoinSet::new();
    let mut client = connected(&host, &mut tasks, &asked()).await;
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("honey") {
        let read = tokio::time::timeout(PATIENCE, client.read_buf(&mut heard)).await;
        assert!(read.expect("the answer begins").unwrap() > 0);
    }
    drop(client);
    let stopped = tokio::time::timeout(STOP_TIME_MAX, server.wait_for_abandoned(1)).await;
    assert!(stopped.is_ok(), "the provider still writes");
    host.lists("/api/v2/llm-calls?status=canceled", 1).await;
    tasks.shutdown().await;
}

#[tokio::test]
async fn a_client_that_closes_its_connection_stops_a_call_that_is_not_streamed() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("honey", After::Hang));
    let host = Host::asking(&server).await;
    let mut tasks = JoinSet::new();
    let client = connected(&host, &mut tasks, &json!({"message": "what do bees eat"})).await;
    server.wait_for_requests(1).await;
    drop(client);
    let stopped = tokio::time::timeout(STOP_TIME_MAX, server.wait_for_abandoned(1)).await;
    assert!(stopped.is_ok(), "the provider still writes");
    host.lists("/api/v2/llm-calls?status=canceled", 1).await;
    tasks.shutdown().await;
}

#[tokio::test]
async fn a_try_that_fails_is_told_before_the_answer() {
    let server = ModelServer::start().await;
    server.push(Behavior::error(503, "server_error", "out of order"));
    let host = Host::asking(&server).await;
    let seen = host.watch(post("/api/chat", &asked())).await.rest().await;
    assert_eq!(seen[0].name, "retrying");
    assert_eq!(seen[0].data["try_number"], 2);
    assert!(seen[0].data["cause"].as_str().unwrap().contains("out of order"), "{seen:?}");
    let done = seen.last().unwrap();
    assert_eq!((done.name.as_str(), &done.data["timing"]["tries"]), ("done", &json!(2)));
    assert_eq!(json!(text_of(&seen)), done.data["content"]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_a_problem() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("honey", After::Drop));
    let host = Host::asking(&server).await;
    let seen = host.watch(post("/api/chat", &asked())).await.rest().await;
    assert_eq!(text_of(&seen), "honey");
    let last = seen.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["code"]), ("problem", &json!("model_unavailable")));
    let call = &host.lists("/api/v2/llm-calls?status=failed", 1).await[0];
    assert!(call["usage"]["output_tokens"].as_u64().unwrap() > 0, "{call:#}");
}

#[tokio::test]
async fn reasoning_is_told_apart_from_the_answer() {
    let server = ModelServer::start().await;
    let answer = Answer {
        text: Some("honey".to_owned()),
        reasoning: Some("what would a bee like".to_owned()),
        ..Answer::default()
    };
    server.push(Behavior::Answer(answer));
    let host = Host::asking(&server).await;
    let mut request = post("/api/chat", &json!({"message": "what do bees eat"}));
    request.headers_mut().insert(header::ACCEPT, "text/event-stream".parse().unwrap());
    let seen = host.watch(request).await.rest().await;
    let reasoning = seen.iter().filter(|seen| seen.name == "reasoning");
    let reasoning: String = reasoning.map(|seen| seen.data["text"].as_str().unwrap()).collect();
    assert_eq!((reasoning.as_str(), text_of(&seen).as_str()), ("what would a bee like", "honey"));
}
