//! Bodies of answers: streams and whole objects, cut and ended as a behavior says.
use std::future;
use std::io;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::behavior::{After, Answer, Behavior, UsageForm};
use crate::server::Watched;
use crate::{MODEL, writer};

const EVENT_STREAM: &str = "text/event-stream";
/// Size of the pieces that a huge line is sent in, in bytes.
const HUGE_PIECE_BYTES: usize = 64 << 10;

/// Does what the behavior says.
pub(crate) async fn respond(behavior: Behavior, request: &Value, mut watched: Watched) -> Response {
    match behavior {
        Behavior::Answer(answer) => answered(&answer, request, watched),
        Behavior::Status { status, headers, body } => {
            watched.end();
            refused(status, headers, body)
        }
        Behavior::Raw { content_type, body, piece_bytes, after } => {
            let pieces = cut(body.into_bytes(), piece_bytes);
            streamed(&content_type, pieces, after, watched)
        }
        Behavior::HugeLine { size_bytes } => {
            let mut pieces = vec![b"data: \"".to_vec()];
            let count = size_bytes.div_ceil(HUGE_PIECE_BYTES);
            pieces.extend((0..count).map(|_| vec![b'x'; HUGE_PIECE_BYTES]));
            streamed(EVENT_STREAM, pieces, After::Hang, watched)
        }
        Behavior::Hang => future::pending().await,
        Behavior::Close => {
            watched.end();
            // An error before the first byte of the body closes the connection before the head is sent.
            let failing = stream::iter([Err::<Vec<u8>, _>(io::Error::other("closed on request"))]);
            Response::new(Body::from_stream(failing))
        }
    }
}

fn refused(status: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let status = StatusCode::from_u16(status).expect("a test names a status that exists");
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        let name = HeaderName::try_from(name).expect("a test names a header that can be sent");
        let value = HeaderValue::try_from(value).expect("a test sets a value that can be sent");
        response.headers_mut().insert(name, value);
    }
    response
}

fn answered(answer: &Answer, request: &Value, watched: Watched) -> Response {
    let text = answer.text.clone().unwrap_or_else(|| writer::text_for(request));
    let usage = usage(answer.usage, request, &text);
    if answer.whole {
        let body = whole(answer, &text, &usage).to_string();
        return streamed("application/json", vec![body.into_bytes()], After::End, watched);
    }
    let mut events = Vec::new();
    if answer.bom {
        events.push("\u{feff}".to_owned());
    }
    for chunk in chunks(answer, &text, &usage) {
        if answer.pings {
            events.push(": ping\n\nevent: ping\ndata:\n\n".to_owned());
        }
        events.push(format!("data: {chunk}\n\n"));
    }
    if answer.done {
        events.push("data: [DONE]\n\n".to_owned());
    }
    if answer.crlf {
        events.iter_mut().for_each(|event| *event = event.replace('\n', "\r\n"));
    }
    let pieces = match answer.piece_bytes {
        Some(_) => cut(events.concat().into_bytes(), answer.piece_bytes),
        None => events.into_iter().map(String::into_bytes).collect(),
    };
    streamed(EVENT_STREAM, pieces, After::End, watched)
}

/// The chunks of a stream, word by word.
fn chunks(answer: &Answer, text: &str, usage: &Value) -> Vec<Value> {
    let chunk = |delta: Value| {
        json!({
            "id": "cmpl-1",
            "object": "chat.completion.chunk",
            "model": MODEL,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": null }],
        })
    };
    let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }))];
    if let Some(reasoning) = &answer.reasoning {
        chunks.push(chunk(json!({ "reasoning_content": reasoning })));
    }
    chunks.extend(text.split_inclusive(' ').map(|word| chunk(json!({ "content": word }))));
    let mut last = chunk(json!({}));
    last["choices"][0]["finish_reason"] = json!(answer.finish_reason);
    match answer.usage {
        UsageForm::Kimi => last["choices"][0]["usage"] = usage.clone(),
        UsageForm::Usual | UsageForm::Zero | UsageForm::Missing => {}
    }
    chunks.push(last);
    if matches!(answer.usage, UsageForm::Usual | UsageForm::Zero) {
        chunks.push(json!({ "model": MODEL, "choices": [], "usage": usage }));
    }
    chunks
}

fn whole(answer: &Answer, text: &str, usage: &Value) -> Value {
    let mut message = json!({ "role": "assistant", "content": text });
    if let Some(reasoning) = &answer.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    let mut body = json!({
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{ "index": 0, "message": message, "finish_reason": answer.finish_reason }],
    });
    if !usage.is_null() {
        body["usage"] = usage.clone();
    }
    body
}

fn usage(form: UsageForm, request: &Value, text: &str) -> Value {
    let output = text.split_whitespace().count();
    let input = request.to_string().split_whitespace().count();
    match form {
        UsageForm::Usual => json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "prompt_tokens_details": { "cached_tokens": 1 },
            "completion_tokens_details": { "reasoning_tokens": 0 },
        }),
        UsageForm::Kimi => json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "cached_tokens": 1,
        }),
        UsageForm::Zero => json!({ "prompt_tokens": 0, "completion_tokens": 0 }),
        UsageForm::Missing => Value::Null,
    }
}

fn cut(body: Vec<u8>, piece_bytes: Option<usize>) -> Vec<Vec<u8>> {
    match piece_bytes {
        Some(size) => body.chunks(size.max(1)).map(<[u8]>::to_vec).collect(),
        None => vec![body],
    }
}

fn streamed(
    content_type: &str,
    pieces: Vec<Vec<u8>>,
    after: After,
    mut watched: Watched,
) -> Response {
    let sent = stream::iter(pieces.into_iter().map(Ok::<_, io::Error>));
    let end = stream::once(async move {
        match after {
            After::End => {
                watched.end();
                Ok(Vec::new())
            }
            After::Drop => {
                watched.end();
                // The wait lets the server write out what it has before it fails.
                tokio::task::yield_now().await;
                Err(io::Error::other("dropped on request"))
            }
            After::Hang => {
                let _keep = watched;
                future::pending().await
            }
        }
    });
    let content_type =
        HeaderValue::from_str(content_type).expect("a test names a type that can be sent");
    let body = Body::from_stream(sent.chain(end));
    ([("content-type", content_type)], body).into_response()
}
