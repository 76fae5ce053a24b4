//! The server as another process sees it.
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends one request and gives status line and body.
async fn send(url: &str, method: &str, path: &str, body: &Value) -> (String, String) {
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
    let response = String::from_utf8_lossy(&response).into_owned();
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
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
