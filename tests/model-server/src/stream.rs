//! Bodies of answers: streams and whole objects, cut and ended as a behavior says.
use std::future;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::behavior::{After, Answer, Behavior, Replay, Split};
use crate::recording::Recording;
use crate::shared::Watched;
use crate::{anthropic, openai, writer};

const EVENT_STREAM: &str = "text/event-stream";
/// Size of the pieces that a huge line is sent in, in bytes.
const HUGE_PIECE_BYTES: usize = 64 << 10;

/// What a request was written in, and its answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    OpenAi,
    Anthropic,
}

/// A body on its way: its pieces, and what follows them.
struct Pieces {
    pieces: Vec<Vec<u8>>,
    /// Each piece is written on its own, rather than together with the next.
    apart: bool,
    after: After,
}

impl Pieces {
    fn together(pieces: Vec<Vec<u8>>) -> Self {
        Self { pieces, apart: false, after: After::End }
    }

    fn cut(body: &[u8], split: &Split) -> Self {
        Self { pieces: cut(body, split), apart: *split != Split::Whole, after: After::End }
    }

    fn then(self, after: After) -> Self {
        Self { after, ..self }
    }
}

/// Does what the behavior says.
pub(crate) async fn respond(
    protocol: Protocol,
    behavior: Behavior,
    request: &Value,
    mut watched: Watched,
) -> Response {
    match behavior {
        Behavior::Answer(answer) => answered(protocol, &answer, request, watched),
        Behavior::Status { status, headers, body } => {
            watched.end();
            refused(status, headers, body)
        }
        Behavior::Raw { content_type, body, piece_bytes, after } => {
            let pieces = Pieces::cut(body.as_bytes(), &split(piece_bytes)).then(after);
            streamed(&content_type, pieces, watched)
        }
        Behavior::Replay(replay) => replayed(&replay, watched),
        Behavior::HugeLine { size_bytes } => {
            let mut pieces = vec![b"data: \"".to_vec()];
            let count = size_bytes.div_ceil(HUGE_PIECE_BYTES);
            pieces.extend((0..count).map(|_| vec![b'x'; HUGE_PIECE_BYTES]));
            streamed(EVENT_STREAM, Pieces::together(pieces).then(After::Hang), watched)
        }
        Behavior::Slow { wait_ms, then } => {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            Box::pin(respond(protocol, *then, request, watched)).await
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
    with_headers((status, body).into_response(), headers)
}

fn with_headers<N, V>(mut response: Response, headers: impl IntoIterator<Item = (N, V)>) -> Response
where
    HeaderName: TryFrom<N, Error: std::fmt::Debug>,
    HeaderValue: TryFrom<V, Error: std::fmt::Debug>,
{
    for (name, value) in headers {
        let name = HeaderName::try_from(name).expect("a test names a header that can be sent");
        let value = HeaderValue::try_from(value).expect("a test sets a value that can be sent");
        response.headers_mut().insert(name, value);
    }
    response
}

fn answered(protocol: Protocol, answer: &Answer, request: &Value, watched: Watched) -> Response {
    let text = answer.text.clone().unwrap_or_else(|| writer::text_for(request));
    if answer.whole {
        let body = match protocol {
            Protocol::OpenAi => openai::whole(answer, request, &text),
            Protocol::Anthropic => anthropic::whole(answer, request, &text),
        };
        let pieces = Pieces::together(vec![body.to_string().into_bytes()]);
        return streamed("application/json", pieces, watched);
    }
    let mut events = match protocol {
        Protocol::OpenAi => openai::events(answer, request, &text),
        Protocol::Anthropic => anthropic::events(answer, request, &text),
    };
    if answer.pings {
        let ping = ": ping\n\nevent: ping\ndata:\n\n";
        events.iter_mut().for_each(|event| event.insert_str(0, ping));
    }
    if answer.bom {
        events.insert(0, "\u{feff}".to_owned());
    }
    if answer.crlf {
        events.iter_mut().for_each(|event| *event = event.replace('\n', "\r\n"));
    }
    let pieces = match answer.piece_bytes {
        Some(_) => Pieces::cut(events.concat().as_bytes(), &split(answer.piece_bytes)),
        None => Pieces::together(events.into_iter().map(String::into_bytes).collect()),
    };
    streamed(EVENT_STREAM, pieces, watched)
}

fn replayed(replay: &Replay, mut watched: Watched) -> Response {
    let Some(recording) = Recording::find(&replay.recording) else {
        watched.end();
        let names: Vec<&str> = Recording::names().collect();
        let words =
            format!("there is no recording `{}`, but {}", replay.recording, names.join(", "));
        return (StatusCode::NOT_IMPLEMENTED, words).into_response();
    };
    let body = recording.body();
    let (end, after) = match (replay.cut_at, replay.stall_at) {
        (Some(at), _) => (at, After::Drop),
        (None, Some(at)) => (at, After::Hang),
        (None, None) => (body.len(), After::End),
    };
    let pieces = Pieces::cut(&body[..end.min(body.len())], &replay.split).then(after);
    let mut response = streamed(EVENT_STREAM, pieces, watched);
    *response.status_mut() =
        StatusCode::from_u16(recording.status()).expect("a recording has a status that exists");
    with_headers(response, recording.headers())
}

fn split(piece_bytes: Option<usize>) -> Split {
    piece_bytes.map_or(Split::Whole, Split::Every)
}

fn cut(body: &[u8], split: &Split) -> Vec<Vec<u8>> {
    let every = |size: usize| body.chunks(size.max(1)).map(<[u8]>::to_vec).collect();
    match split {
        Split::Whole => vec![body.to_vec()],
        Split::EachByte => every(1),
        Split::Every(size) => every(*size),
        Split::At(offsets) => {
            let mut offsets: Vec<usize> = offsets.iter().map(|at| (*at).min(body.len())).collect();
            offsets.extend([0, body.len()]);
            offsets.sort_unstable();
            offsets.windows(2).map(|ends| body[ends[0]..ends[1]].to_vec()).collect()
        }
    }
}

fn streamed(content_type: &str, body: Pieces, watched: Watched) -> Response {
    let Pieces { pieces, apart, after } = body;
    // The whole body is one stream that owns what watches it: dropping it, when the asking side has gone, is noted.
    let states = (pieces.into_iter(), watched, false);
    let sent = stream::unfold(states, move |(mut pieces, mut watched, is_over)| async move {
        if is_over {
            return None;
        }
        if apart {
            // The connection writes out what it has whenever nothing more is there.
            tokio::task::yield_now().await;
        }
        if let Some(piece) = pieces.find(|piece| !piece.is_empty()) {
            watched.sent(piece.len());
            return Some((Ok(piece), (pieces, watched, false)));
        }
        match after {
            After::End => {
                watched.end();
                None
            }
            After::Drop => {
                watched.end();
                // The wait lets the server write out what it has before it fails.
                tokio::task::yield_now().await;
                Some((Err(io::Error::other("dropped on request")), (pieces, watched, true)))
            }
            After::Hang => future::pending().await,
        }
    });
    let content_type =
        HeaderValue::from_str(content_type).expect("a test names a type that can be sent");
    let body = Body::from_stream(sent.boxed());
    ([("content-type", content_type)], body).into_response()
}
