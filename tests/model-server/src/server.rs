//! The server: its routes, and how a test drives it and waits for what happens.
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::behavior::Behavior;
use crate::connection::Counted;
use crate::shared::{Recorded, Shared, sent_key};
use crate::stream::{self, Protocol};
use crate::{MODEL, control};

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// A running server. Dropping it stops it.
pub struct ModelServer {
    address: SocketAddr,
    state: Shared,
    serving: JoinSet<io::Result<()>>,
}

impl ModelServer {
    /// Starts on a free port of loopback.
    pub async fn start() -> Self {
        Self::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("loopback has a free port")
    }

    /// Starts on an address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Shared::new();
        let listener = Counted { listener, shared: state.clone() };
        let router = Router::new()
            .route("/v1/chat/completions", post(complete_chat))
            .route("/v1/messages", post(complete_message))
            .route("/v1/models", get(list_models))
            .merge(control::router())
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(state.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, state, serving })
    }

    /// Serves until the server fails.
    pub async fn wait(mut self) -> io::Result<()> {
        match self.serving.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// `http://127.0.0.1:PORT`, which is what a provider that speaks Anthropic's Messages is configured with.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a provider that speaks OpenAI's chat completions is configured with: the address with `/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// Queues what to do with the next request that has nothing queued before it.
    pub fn push(&self, behavior: Behavior) {
        self.state.push(behavior);
    }

    /// What to do with requests that nothing is queued for.
    pub fn otherwise(&self, behavior: Behavior) {
        self.state.otherwise(behavior);
    }

    /// Lets a function say what to do with each request that nothing is queued for. It sees them in the order in which
    /// [`ModelServer::requests`] has them, and must not ask this server anything.
    pub fn choose(&self, chooser: impl FnMut(&Recorded) -> Behavior + Send + 'static) {
        self.state.choose(Box::new(chooser));
    }

    /// Milliseconds that the call of this number took, the first being 0, if it was answered to its end.
    pub fn answered_after_ms(&self, index: usize) -> Option<u64> {
        self.state.answered_after_ms(index)
    }

    /// Refuses requests that do not come with this key.
    pub fn require_key(&self, key: &str) {
        self.state.require_key(Some(key.to_owned()));
    }

    /// Keeps all calls open, those that come later included, until [`ModelServer::release`].
    pub fn hold(&self) {
        self.state.hold(true);
    }

    /// Lets held calls go on.
    pub fn release(&self) {
        self.state.hold(false);
    }

    /// Requests for a completion so far.
    pub fn count(&self) -> usize {
        self.state.request_count()
    }

    /// The requests for a completion, in the order of their arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.requests()
    }

    /// Connections that were opened so far.
    pub fn connection_count(&self) -> usize {
        self.state.seen().connections
    }

    /// Connections that are open.
    pub fn open_connection_count(&self) -> usize {
        self.state.seen().open_connections
    }

    /// Bytes of answers that connections have taken so far. A side that does not read makes it stand still once the
    /// system's buffers are full.
    pub fn sent_bytes(&self) -> usize {
        self.state.seen().sent_bytes
    }

    /// Waits until there were this many requests for a completion.
    pub async fn wait_for_requests(&self, count: usize) {
        self.state.wait_for_requests(count).await;
    }

    /// Waits until the asking side left this many calls before it had the whole answer.
    pub async fn wait_for_abandoned(&self, count: usize) {
        self.state.wait_until(|seen| seen.abandoned >= count).await;
    }

    /// Waits until the call of this number, the first being 0, was answered to its end or its connection was closed,
    /// and says which and after what time.
    pub async fn wait_for_closed(&self, index: usize) -> Recorded {
        self.state.wait_for_closed(index).await
    }

    /// Waits until at most this many connections are open.
    pub async fn wait_for_open_connections(&self, count_max: usize) {
        self.state.wait_until(|seen| seen.open_connections <= count_max).await;
    }

    /// Waits until connections have taken this many bytes of answers.
    pub async fn wait_for_sent_bytes(&self, size_bytes: usize) {
        self.state.wait_until(|seen| seen.sent_bytes >= size_bytes).await;
    }
}

async fn complete_chat(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    complete(Protocol::OpenAi, "/v1/chat/completions", shared, headers, body).await
}

async fn complete_message(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    complete(Protocol::Anthropic, "/v1/messages", shared, headers, body).await
}

async fn complete(
    protocol: Protocol,
    path: &str,
    shared: Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let recorded = Recorded::new(path, &headers, request.clone());
    let (behavior, mut watched) = shared.admit(recorded);
    shared.released().await;
    if !shared.key_fits(&headers) {
        watched.end();
        return wrong_key(protocol, &headers);
    }
    stream::respond(protocol, behavior, &request, watched).await
}

/// Repeats what was sent, as careless servers do.
fn wrong_key(protocol: Protocol, headers: &HeaderMap) -> Response {
    let sent = sent_key(headers).unwrap_or_default();
    let body = match protocol {
        Protocol::OpenAi => json!({ "error": {
            "message": format!("Incorrect API key provided: {sent}"),
            "type": "invalid_request_error",
            "code": "invalid_api_key",
        }}),
        Protocol::Anthropic => json!({
            "type": "error",
            "error": {
                "type": "authentication_error",
                "message": format!("invalid x-api-key: {sent}"),
            },
        }),
    };
    (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
}

async fn list_models(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let protocol = match headers.contains_key("anthropic-version") {
        true => Protocol::Anthropic,
        false => Protocol::OpenAi,
    };
    if !shared.key_fits(&headers) {
        return wrong_key(protocol, &headers);
    }
    let body = match protocol {
        Protocol::OpenAi => {
            json!({ "object": "list", "data": [{ "id": MODEL, "object": "model" }] })
        }
        Protocol::Anthropic => json!({
            "data": [{
                "type": "model",
                "id": MODEL,
                "display_name": "Test model",
                "created_at": "2026-01-01T00:00:00Z",
            }],
            "has_more": false,
            "first_id": MODEL,
            "last_id": MODEL,
        }),
    };
    axum::Json(body).into_response()
}
