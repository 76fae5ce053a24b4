//! The server as another process sees it.
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use model_server::{Behavior, ModelServer, Recording, Replay, Split};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends one request and gives status line and body.
async fn send(url: &str, method: &str, path: &str, body: &Value) -> (String, String) {
    let (status, body) = send_for_bytes(url, method, path, body).await;
    (status, String::from_utf8_lossy(&body).into_owned())
}

async fn send_for_bytes(url: &str, method: &str, path: &str, body: &Value) -> (String, Vec<u8>) {
    let host = url.strip_prefix("http://").expect("the server speaks plain HTTP");
    let mut stream = TcpStream::connect(host).await.expect("the server listens");
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut response = Vec::new();
    // A connection that the server closes early still gave what it gave.
    let _ = stream.read_to_end(&mut response).await;
    let end = response.windows(4).position(|end| end == b"\r\n\r\n");
    let (head, body) = response.split_at(end.unwrap_or(response.len()));
    let head = String::from_utf8_lossy(head);
    let body = body.get(4..).unwrap_or_default().to_vec();
    (head.lines().next().unwrap_or_default().to_owned(), body)
}

/// A body without the frames that carry its pieces; of one that breaks off, what came.
fn unchunked(mut body: &[u8]) -> String {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|end| end == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).unwrap_or(0);
        let piece = &body[end + 2..];
        if size == 0 || size > piece.len() {
            break;
        }
        whole.extend_from_slice(&piece[..size]);
        body = piece.get(size + 2..).unwrap_or_default();
    }
    String::from_utf8(whole).expect("recordings are UTF-8")
}

async fn replayed(url: &str) -> (String, String) {
    let (status, body) = send_for_bytes(url, "POST", "/v1/chat/completions", &json!({})).await;
    (status, unchunked(&body))
}

async fn complete(url: &str, body: &Value) -> (String, String) {
    send(url, "POST", "/v1/chat/completions", body).await
}

#[tokio::test]
async fn behaviors_are_queued_and_requests_are_kept() {
    let server = ModelServer::start().await;
    let url = server.url();
    let refusal = serde_json::to_value(Behavior::status(503, "busy")).unwrap();
    let (status, _) = send(&url, "POST", "/control/behavior?count=2", &refusal).await;
    assert_eq!(status, "HTTP/1.1 204 No Content");
    for expected in ["HTTP/1.1 503 Service Unavailable"; 2] {
        assert_eq!(complete(&url, &json!({ "n": 1 })).await.0, expected);
    }
    let (status, body) = complete(&url, &json!({ "messages": [] })).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("data: [DONE]"), "{body}");
    let (_, requests) = send(&url, "GET", "/control/requests?at_least=3", &Value::Null).await;
    assert!(requests.contains(r#""body":{"n":1}"#), "{requests}");
    send(&url, "POST", "/control/reset", &Value::Null).await;
    assert!(send(&url, "GET", "/control/count", &Value::Null).await.1.contains("\"count\":0"));
}

#[tokio::test]
async fn a_held_call_is_counted_and_answered_after_its_release() {
    let server = ModelServer::start().await;
    let url = server.url();
    send(&url, "POST", "/control/hold", &Value::Null).await;
    let body = json!({ "messages": [] });
    let held = complete(&url, &body);
    let release = async {
        server.wait_for_requests(1).await;
        send(&url, "POST", "/control/release", &Value::Null).await;
    };
    let ((status, _), ()) = tokio::join!(held, release);
    assert_eq!((status.as_str(), server.count()), ("HTTP/1.1 200 OK", 1));
}

#[tokio::test]
async fn sections_and_schemas_are_answered_in_their_form() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::Answer(model_server::Answer { whole: true, ..Default::default() }));
    let prompt = "Required sections, in this order:\n## Market - size\n## Audience - who buys";
    let asked = json!({ "messages": [{ "role": "user", "content": prompt }] });
    let (_, body) = complete(&server.url(), &asked).await;
    assert!(body.contains("## Market\\n\\nThe test model writes here about size"), "{body}");
    let schema = json!({ "type": "object", "properties": { "keyword": { "type": "string" } } });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "k", "schema": schema } });
    let asked = json!({ "messages": [], "response_format": format });
    let (_, body) = complete(&server.url(), &asked).await;
    assert!(body.contains(r#"{\"keyword\":\"keyword 1\"}"#), "{body}");
}

#[tokio::test]
async fn a_recording_is_replayed_byte_by_byte_and_in_pieces() {
    let server = ModelServer::start().await;
    let url = server.url();
    for name in Recording::names() {
        let recording = Recording::find(name).unwrap();
        let replay = json!({ "kind": "replay", "recording": name, "split": { "every": 100 } });
        send(&url, "POST", "/control/behavior", &replay).await;
        let (status, body) = replayed(&url).await;
        assert!(status.starts_with(&format!("HTTP/1.1 {} ", recording.status())), "{status}");
        assert_eq!(body, recording.text(), "{name}");
    }
    let unknown = json!({ "kind": "replay", "recording": "nobody" });
    send(&url, "POST", "/control/behavior", &unknown).await;
    let (status, body) = complete(&url, &json!({})).await;
    assert_eq!(status, "HTTP/1.1 501 Not Implemented");
    assert!(body.contains("anthropic-stream"), "{body}");
}

#[tokio::test]
async fn a_stalled_and_a_cut_recording_send_what_comes_before_the_offset() {
    let server = ModelServer::start().await;
    let url = server.url();
    server.push(Behavior::Replay(Replay {
        cut_at: Some(50),
        split: Split::EachByte,
        ..Replay::of("openai-stream")
    }));
    let (_, body) = replayed(&url).await;
    let expected = Recording::find("openai-stream").unwrap();
    assert_eq!(body.as_bytes(), &expected.body()[..50]);
    let closed = server.wait_for_closed(0).await;
    assert_eq!((closed.sent_bytes, closed.abandoned), (50, false));

    server.push(Behavior::Replay(Replay { stall_at: Some(50), ..Replay::of("openai-stream") }));
    let body = json!({});
    let stalled = complete(&url, &body);
    tokio::select! {
        _ = stalled => panic!("it stalls"),
        () = server.wait_for_sent_bytes(100) => {}
    }
    let closed = server.wait_for_closed(1).await;
    assert_eq!((closed.sent_bytes, closed.abandoned), (50, true));
    assert!(closed.closed_after_ms.is_some());
    server.wait_for_open_connections(0).await;
    let (_, logged) = send(&url, "GET", "/control/closed?index=1", &Value::Null).await;
    assert!(logged.contains(r#""abandoned":true"#), "{logged}");
}

#[tokio::test]
async fn each_protocol_is_answered_in_its_own_shapes() {
    let server = ModelServer::start().await;
    let url = server.url();
    let asked = json!({ "system": "x", "messages": [{ "role": "user", "content": "hi" }] });
    let (status, body) = send(&url, "POST", "/v1/messages", &asked).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let events: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(events[..2], ["message_start", "content_block_start"]);
    assert_eq!(events[events.len() - 2..], ["message_delta", "message_stop"]);
    server.require_key("k");
    let (status, body) = send(&url, "POST", "/v1/messages", &asked).await;
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
    assert!(body.contains("authentication_error"), "{body}");
}

#[tokio::test]
async fn the_program_prints_its_address_and_answers_there() {
    let mut program =
        Command::new(env!("CARGO_BIN_EXE_model-server")).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    let (status, _) = complete(&url, &json!({ "messages": [] })).await;
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
}
