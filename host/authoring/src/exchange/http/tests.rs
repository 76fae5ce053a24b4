use std::path::Path;

use domain::http::{HttpErrorKind, HttpRequest};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{HttpExchange, requests_as_yaml, requests_rewritten};
use crate::exchange::parse_json;

const URL: &str = "https://api.example.com/bees";

fn parsed(answer: &Value) -> Result<HttpExchange, String> {
    let text = json!({ "method": "GET", "url": URL, "answer": answer }).to_string();
    parse_json(&text, Path::new("response-1.json")).map_err(|error| error.to_string())
}

#[test]
fn what_no_server_can_send_is_refused_where_it_stands() {
    let headers = |headers: Value| json!({ "status": 200, "headers": headers });
    let told = [
        headers(json!([["x-hive", "7"], ["bad header", "x"]])),
        headers(json!([["", "x"]])),
        headers(json!([["x-hive", "two\nlines"]])),
        headers(json!([["x-hive", { "hex": "0x" }]])),
        headers(json!([["x-hive", 7]])),
        json!({ "status": 99 }),
        json!({ "status": 100 }),
        json!({ "status": 199 }),
        json!({ "status": 1000 }),
        json!({ "status": 200, "body": { "bees": 2 } }),
        json!({ "status": 200, "body": { "hex": "00", "bees": 2 } }),
    ]
    .map(|answer| parsed(&answer).unwrap_err());
    assert_snapshot!(told.join("\n"), @r#"
    response-1.json: `/answer/headers/1`: `bad header` is no name of a header: it has letters, digits and `-`, and no blank
    response-1.json: `/answer/headers/0`: `` is no name of a header: it has letters, digits and `-`, and no blank
    response-1.json: `/answer/headers/0`: the value of `x-hive` has a line break or another control character, which no server can send
    response-1.json: `/answer/headers/0`: `hex` is not hexadecimal: Invalid character 'x' at position 1
    response-1.json:1:34: a body and the value of a header are a text (JSON as its text, in quotes), or `{ "hex": "..." }` for bytes that are no text
    response-1.json: no stage gets the `status` 99: there are 101, and 200 to 999
    response-1.json: no stage gets the `status` 100: there are 101, and 200 to 999
    response-1.json: no stage gets the `status` 199: there are 101, and 200 to 999
    response-1.json: no stage gets the `status` 1000: there are 101, and 200 to 999
    response-1.json:1:28: a body and the value of a header are a text (JSON as its text, in quotes), or `{ "hex": "..." }` for bytes that are no text
    response-1.json:1:39: a body and the value of a header are a text (JSON as its text, in quotes), or `{ "hex": "..." }` for bytes that are no text
    "#);
}

#[test]
fn what_a_run_can_give_is_read() {
    for status in [101, 200, 304, 599, 999] {
        assert!(parsed(&json!({ "status": status })).is_ok(), "{status}");
    }
    let headers = json!([["Content-Type", "text/plain"], ["x-hive", { "hex": "ff09" }]]);
    let exchange = parsed(&json!({ "status": 200, "headers": headers })).unwrap();
    let response = exchange.answer.unwrap().unwrap();
    let names: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "x-hive"], "in small letters, as servers' are");
    assert_eq!(response.headers[1].1, [0xff, 0x09]);
}

#[test]
fn an_error_needs_no_message() {
    let text = json!({ "method": "GET", "url": URL, "error": { "kind": "http_timeout" } });
    let exchange: HttpExchange = serde_json::from_value(text).unwrap();
    let error = exchange.answer.unwrap().unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (HttpErrorKind::Timeout, ""));
}

#[test]
fn requests_are_written_and_compared_without_the_secrets_of_their_urls() {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: format!("{URL}?q=honey&api_key=s3cret"),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let written = requests_as_yaml(std::slice::from_ref(&request));
    assert_eq!(written, format!("- method: GET\n  url: {URL}?q=honey&api_key=***\n"));
    let path = Path::new("http-requests.yaml");
    for url in [&request.url, &format!("{URL}?q=honey&api_key=***")] {
        let said = format!("- {{ method: GET, url: {url:?} }}\n");
        assert_eq!(requests_rewritten(&said, path).unwrap(), written);
    }
    let said = format!("- {{ method: GET, url: \"{URL}?q=wax&api_key=***\" }}\n");
    assert_ne!(requests_rewritten(&said, path).unwrap(), written);
}
