//! Has a refusal arrive: whoever is refused before their body was read is still sending, and a connection that is closed
//! meanwhile takes the answer with it.
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt as _};

/// Longest body, in bytes, that is left alone: the server below reads what has come of it, and that is all of it.
const SMALL_BYTES_MAX: u64 = 16 << 10;
/// Most bytes that are read for nothing: more than the largest body that any route takes.
const UNWANTED_BYTES_MAX: usize = 1 << 30;
/// Longest time that is spent on it.
const UNWANTED_TIME_MAX: Duration = Duration::from_secs(5);

/// The body of a request, of which something may be left when the answer is there.
#[derive(Clone)]
struct Shared(Arc<Mutex<Fuse<BodyDataStream>>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Fuse<BodyDataStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.lock().poll_next_unpin(context)
    }
}

/// Reads what is left of a large body before an answer that is a refusal goes out. Whoever waits for `100 Continue` sends
/// nothing that they are not asked for.
pub(crate) async fn linger(request: Request, next: Next) -> Response {
    let is_small = request.body().size_hint().upper().is_some_and(|size| size <= SMALL_BYTES_MAX);
    if is_small || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let rest = Shared(Arc::new(Mutex::new(body.into_data_stream().fuse())));
    let body = Body::from_stream(rest.clone());
    let response = next.run(Request::from_parts(head, body)).await;
    if !response.status().is_success() {
        // Who sends more slowly, or more, has had their chance.
        tokio::time::timeout(UNWANTED_TIME_MAX, read_away(rest)).await.ok();
    }
    response
}

async fn read_away(mut rest: Shared) {
    let mut size_bytes = 0;
    while let Some(Ok(chunk)) = rest.next().await {
        size_bytes += chunk.len();
        if size_bytes > UNWANTED_BYTES_MAX {
            return;
        }
    }
}
