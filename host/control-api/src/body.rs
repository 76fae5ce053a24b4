//! Reads the JSON body of a request: bounded, of the right type, without unknown fields, and with the place of what is
//! wrong.
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::dto::{
    ChatRequest, CommandRequest, DecisionRequest, PreviewRequest, ProblemItemDto, PruneRequest,
    RetryRequest, StartRunRequest,
};
use crate::{Code, Problem};

/// Largest body of a request, in bytes: four times the longest request text, for what JSON adds to it and for the
/// overrides.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Largest body of a chat, in bytes: the largest conversation that the engine takes, and what JSON adds to it.
pub const CHAT_BODY_BYTES_MAX: usize = 6 << 20;
/// Largest body of a decision, in bytes: edits of several artifacts of the size that profiles usually allow (4 MiB), and
/// what JSON adds to them.
pub const DECISION_BODY_BYTES_MAX: usize = 16 << 20;
/// Longest time for a body to arrive. The largest one takes half of it at 4 Mbit/s; a sender that stops halfway must not
/// hold a connection and memory for ever.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// What a request's body may be.
pub(crate) trait RequestBody: DeserializeOwned {
    /// Largest body, in bytes.
    const BYTES_MAX: usize = BODY_BYTES_MAX;

    /// What stands for a body that was left out, if it may be.
    fn left_out() -> Option<Self> {
        None
    }
}

impl RequestBody for StartRunRequest {}
impl RequestBody for PreviewRequest {}

impl RequestBody for DecisionRequest {
    const BYTES_MAX: usize = DECISION_BODY_BYTES_MAX;
}

impl RequestBody for ChatRequest {
    const BYTES_MAX: usize = CHAT_BODY_BYTES_MAX;
}

impl RequestBody for CommandRequest {
    fn left_out() -> Option<Self> {
        Some(Self::default())
    }
}

impl RequestBody for PruneRequest {
    fn left_out() -> Option<Self> {
        Some(Self::default())
    }
}

impl RequestBody for RetryRequest {
    fn left_out() -> Option<Self> {
        Some(Self::default())
    }
}

/// Takes the body of a request.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: RequestBody, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let reading = read(body, &parts.headers, T::BYTES_MAX);
        let bytes = within(BODY_TIME_MAX, reading).await?;
        if bytes.is_empty()
            && let Some(left_out) = T::left_out()
        {
            return Ok(Self(left_out));
        }
        expect_json(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

/// Gives up on a body that does not end.
async fn within(
    time_max: Duration,
    reading: impl Future<Output = Result<Bytes, Problem>>,
) -> Result<Bytes, Problem> {
    tokio::time::timeout(time_max, reading).await.unwrap_or_else(|_| {
        let detail = format!("the body has not ended after {} s", time_max.as_secs());
        Err(Problem::new(Code::RequestTimeout, detail))
    })
}

/// Reads no more than is taken; `linger` knows what to do about a sender of more.
async fn read(body: Body, headers: &HeaderMap, bytes_max: usize) -> Result<Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    // What is announced is not sent yet: room is taken as bytes arrive.
    let mut kept = Kept::default();
    let mut read_bytes = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|cause| {
            let item = ProblemItemDto::at("body", format!("it ended early: {cause}"));
            Problem::invalid(vec![item])
        })?;
        read_bytes += chunk.len();
        if read_bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        kept.push(chunk);
    }
    Ok(kept.into_bytes())
}

/// The chunks of a body. Most bodies come in one, which is kept as it is.
#[derive(Default)]
struct Kept {
    first: Bytes,
    joined: Vec<u8>,
}

impl Kept {
    fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = chunk;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { Bytes::from(self.joined) }
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("the body has more than {} KiB ({bytes_max} bytes)", bytes_max >> 10),
    )
    .with_hint(format!(
        "send a smaller body; the text of a request may have {} KiB",
        engine::REQUEST_TEXT_BYTES_MAX >> 10
    ))
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    let detail = match given {
        Some(given) => format!("the content type of the body is `{given}`"),
        None => "the body has no content type".to_owned(),
    };
    Err(Problem::new(Code::MediaTypeUnsupported, detail))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // To note the path costs more than to read the JSON, and only the path of a mistake is ever looked at.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| refused(&pointer_to(error.path()), error.inner()))?;
    deserializer.end().map_err(|error| refused("", &error))?;
    Ok(value)
}

fn refused(pointer: &str, error: &serde_json::Error) -> Problem {
    let mut item = ProblemItemDto::at_pointer(pointer, message_of(error));
    item.line = u32::try_from(error.line()).ok().filter(|line| *line > 0);
    item.column = u32::try_from(error.column()).ok().filter(|_| item.line.is_some());
    match error.classify() {
        Category::Data => Problem::invalid(vec![item]),
        Category::Io | Category::Syntax | Category::Eof => {
            // Where the JSON is broken, a line and a column help and a pointer does not.
            item.pointer = None;
            item.place = format!("{}:{}", error.line(), error.column());
            Problem::new(Code::JsonMalformed, error.to_string()).with_items(vec![item])
        }
    }
}

/// The message without ` at line 1 column 2`, which has fields of its own.
fn message_of(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    whole.strip_suffix(&suffix).unwrap_or(&whole).to_owned()
}

/// The place as a JSON pointer (RFC 6901).
fn pointer_to(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let begun = stream::iter([Ok::<_, std::io::Error>("{\"mode\":")]);
        let endless = Body::from_stream(begun.chain(stream::pending()));
        let headers = HeaderMap::new();
        let reading = read(endless, &headers, BODY_BYTES_MAX);
        let problem = within(Duration::ZERO, reading).await.unwrap_err();
        assert_eq!(problem.code(), Code::RequestTimeout, "{problem}");
    }

    #[tokio::test]
    async fn a_body_is_refused_at_its_bound_however_much_is_still_to_come() {
        let chunk = Bytes::from_static(&[b' '; 1 << 10]);
        let chunks = stream::repeat(chunk).take((BODY_BYTES_MAX >> 10) + 1);
        let too_much =
            Body::from_stream(chunks.map(Ok::<_, std::io::Error>).chain(stream::pending()));
        let headers = HeaderMap::new();
        let reading = read(too_much, &headers, BODY_BYTES_MAX);
        let problem = within(Duration::ZERO, reading).await.unwrap_err();
        assert_eq!(problem.code(), Code::BodyTooLarge, "{problem}");

        // Of one that is announced as too large, nothing is read.
        let unread = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
        let announced = [(header::CONTENT_LENGTH, (BODY_BYTES_MAX + 1).into())];
        let headers = announced.into_iter().collect();
        let reading = read(unread, &headers, BODY_BYTES_MAX);
        let problem = within(Duration::ZERO, reading).await.unwrap_err();
        assert_eq!(problem.code(), Code::BodyTooLarge, "{problem}");
    }
}
