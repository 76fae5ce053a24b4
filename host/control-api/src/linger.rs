//! Has a refusal arrive: whoever is refused before their body was read is still sending, and a connection that is closed
//! meanwhile takes the answer with it. Nobody else reads a body that is not wanted.
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use domain::upload::PLUGIN_BYTES_MAX;
use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt as _};
use store::ARCHIVE_BYTES_MAX;

use crate::body::{BODY_BYTES_MAX, CHAT_BODY_BYTES_MAX, DECISION_BODY_BYTES_MAX};

/// Longest body, in bytes, that is left alone: the server below reads what has come of it, and that is all of it.
const SMALL_BYTES_MAX: u64 = 16 << 10;
/// Most bytes that are read for nothing: twice the largest body that any route takes.
const UNWANTED_BYTES_MAX: u64 = 1 << 30;
/// Longest time that is spent on it.
const UNWANTED_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the next piece of it, which is some round trips to the other end of the world. Whoever sends nothing
/// for as long hears the answer.
const UNWANTED_SILENCE_MAX: Duration = Duration::from_millis(500);

// Else whoever sends a body that a route takes, and is refused for another reason, would not hear it.
const _: () = {
    assert!(ARCHIVE_BYTES_MAX < UNWANTED_BYTES_MAX && PLUGIN_BYTES_MAX < UNWANTED_BYTES_MAX);
    assert!((BODY_BYTES_MAX as u64) < UNWANTED_BYTES_MAX);
    assert!((CHAT_BODY_BYTES_MAX as u64) < UNWANTED_BYTES_MAX);
    assert!((DECISION_BODY_BYTES_MAX as u64) < UNWANTED_BYTES_MAX);
};

/// The body of a request, of which something may be left when the answer is there.
#[derive(Clone)]
struct Shared(Arc<Mutex<Rest>>);

struct Rest {
    chunks: Fuse<BodyDataStream>,
    /// Somebody wanted some of it. The server below says `100 Continue` then, to whoever waits for that.
    is_wanted: bool,
}

impl Shared {
    fn new(body: Body) -> Self {
        let chunks = body.into_data_stream().fuse();
        Self(Arc::new(Mutex::new(Rest { chunks, is_wanted: false })))
    }

    fn lock(&self) -> MutexGuard<'_, Rest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wanted(&self) -> bool {
        self.lock().is_wanted
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut rest = self.lock();
        rest.is_wanted = true;
        rest.chunks.poll_next_unpin(context)
    }
}

/// Reads what is left of a large body before an answer that is a refusal goes out.
pub(crate) async fn linger(request: Request, next: Next) -> Response {
    let is_small = request.body().size_hint().upper().is_some_and(|size| size <= SMALL_BYTES_MAX);
    if is_small {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let may_wait = head.headers.contains_key(header::EXPECT);
    let rest = Shared::new(body);
    let body = Body::from_stream(rest.clone());
    let response = next.run(Request::from_parts(head, body)).await;
    // Whoever waits for `100 Continue` sends nothing that they are not asked for.
    let is_sending = rest.is_wanted() || !may_wait;
    if is_sending && may_be_lost(response.status()) {
        // Who sends more slowly, or more, has had their chance.
        tokio::time::timeout(UNWANTED_TIME_MAX, read_away(rest)).await.ok();
    }
    response
}

/// Whether more of the body may come while this answer goes out. Who was given up because nothing came sends nothing.
fn may_be_lost(status: StatusCode) -> bool {
    !status.is_success() && status != StatusCode::REQUEST_TIMEOUT
}

async fn read_away(mut rest: Shared) {
    let mut size_bytes = 0;
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(UNWANTED_SILENCE_MAX, rest.next()).await {
        size_bytes += chunk.len() as u64;
        if size_bytes > UNWANTED_BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::Router;
    use axum::http::HeaderValue;
    use futures_util::stream;
    use tokio::time::Instant;
    use tower::ServiceExt as _;

    use super::*;

    const CHUNK: &[u8] = &[0; 64 << 10];

    /// A body of so many chunks with a wait before each, and then silence; and how many bytes of it were read.
    fn body(count: u64, wait: Duration) -> (Body, Arc<AtomicU64>) {
        let read_bytes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&read_bytes);
        let chunks = stream::unfold(count, move |left| {
            let counter = Arc::clone(&counter);
            async move {
                if left == 0 {
                    std::future::pending::<()>().await;
                }
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                counter.fetch_add(CHUNK.len() as u64, Ordering::SeqCst);
                Some((Ok::<_, Infallible>(Bytes::from_static(CHUNK)), left - 1))
            }
        });
        (Body::from_stream(chunks), read_bytes)
    }

    /// Refuses with the status that the path says, after it has read one chunk if the query says so.
    async fn refuse(request: Request) -> StatusCode {
        let status = request.uri().path().trim_start_matches('/').parse::<u16>();
        let wants_some = request.uri().query() == Some("read");
        let mut chunks = request.into_body().into_data_stream();
        if wants_some {
            chunks.next().await.unwrap().unwrap();
        }
        StatusCode::from_u16(status.unwrap()).unwrap()
    }

    /// Sends a body, and says how long the answer took.
    async fn answered_after(target: &str, body: Body, expect: Option<&'static str>) -> Duration {
        let mut request = Request::post(target).body(body).unwrap();
        if let Some(expect) = expect {
            request.headers_mut().insert(header::EXPECT, HeaderValue::from_static(expect));
        }
        let router = Router::new().fallback(refuse).layer(axum::middleware::from_fn(linger));
        let begun = Instant::now();
        let response = router.oneshot(request).await.unwrap();
        assert!(target.contains(response.status().as_str()));
        begun.elapsed()
    }

    /// The clock is stopped and jumps to the next deadline, which it may round up to the next millisecond.
    fn assert_about(took: Duration, expected: Duration) {
        let slack = Duration::from_millis(2);
        assert!((expected..=expected + slack).contains(&took), "{took:?}, not {expected:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_still_sent_is_read_until_the_sender_is_silent() {
        for target in ["/400", "/413?read", "/500"] {
            let (body, read_bytes) = body(40, Duration::ZERO);
            assert_about(answered_after(target, body, None).await, UNWANTED_SILENCE_MAX);
            assert_eq!(read_bytes.load(Ordering::SeqCst), 40 * CHUNK.len() as u64, "{target}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_sender_is_given_up_after_a_while() {
        let (body, _) = body(u64::MAX, UNWANTED_SILENCE_MAX / 2);
        assert_about(answered_after("/400", body, None).await, UNWANTED_TIME_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_of_more_than_any_route_takes_is_given_up() {
        let (body, read_bytes) = body(u64::MAX, Duration::ZERO);
        assert_eq!(answered_after("/400", body, None).await, Duration::ZERO);
        let read_bytes = read_bytes.load(Ordering::SeqCst);
        let allowed = UNWANTED_BYTES_MAX + 1..=UNWANTED_BYTES_MAX + CHUNK.len() as u64;
        assert!(allowed.contains(&read_bytes), "{read_bytes}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_be_asked_is_not_asked_and_who_was_asked_is_heard_out() {
        let wait = Some("100-continue");
        let (unasked, read_bytes) = body(2, Duration::ZERO);
        assert_eq!(answered_after("/400", unasked, wait).await, Duration::ZERO);
        assert_eq!(read_bytes.load(Ordering::SeqCst), 0);
        let (asked, read_bytes) = body(2, Duration::ZERO);
        assert_about(answered_after("/400?read", asked, wait).await, UNWANTED_SILENCE_MAX);
        assert_eq!(read_bytes.load(Ordering::SeqCst), 2 * CHUNK.len() as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_no_refusal_and_one_to_silence_go_out_at_once() {
        for target in ["/200", "/201?read", "/408", "/408?read"] {
            let (body, _) = body(2, Duration::ZERO);
            assert_eq!(answered_after(target, body, None).await, Duration::ZERO, "{target}");
        }
    }
}
