//! The server: routes, what it keeps, and how a test waits for what happens.
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::behavior::Behavior;
use crate::{MODEL, control, stream};

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// A running server. Dropping it stops it.
pub struct ModelServer {
    address: SocketAddr,
    pub(crate) state: Shared,
    serving: JoinSet<io::Result<()>>,
}

/// A request as it came.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    pub path: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// `null` if the body was not JSON.
    pub body: Value,
}

impl Recorded {
    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    script: Mutex<Script>,
    seen: watch::Sender<Seen>,
    held: watch::Sender<bool>,
    connections: AtomicUsize,
}

struct Script {
    next: VecDeque<Behavior>,
    otherwise: Behavior,
    key: Option<String>,
    requests: Vec<Recorded>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    requests: usize,
    abandoned: usize,
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
        let accepted = state.clone();
        let listener = listener.tap_io(move |connection| {
            // Without it the last bytes of a stream wait for the asking side's delayed acknowledgment, 40 ms.
            let _ = connection.set_nodelay(true);
            accepted.0.connections.fetch_add(1, Ordering::Relaxed);
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
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

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a provider is configured with: the address with `/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// Queues what to do with the next request that has nothing queued before it.
    pub fn push(&self, behavior: Behavior) {
        self.state.script().next.push_back(behavior);
    }

    /// What to do with requests that nothing is queued for.
    pub fn otherwise(&self, behavior: Behavior) {
        self.state.script().otherwise = behavior;
    }

    /// Refuses requests that do not come with this key.
    pub fn require_key(&self, key: &str) {
        self.state.script().key = Some(key.to_owned());
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
        self.state.script().requests.len()
    }

    /// The requests for a completion, in the order of their arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.script().requests.clone()
    }

    /// Connections that were opened so far.
    pub fn connection_count(&self) -> usize {
        self.state.0.connections.load(Ordering::Relaxed)
    }

    /// Waits until there were this many requests for a completion.
    pub async fn wait_for_requests(&self, count: usize) {
        self.state.wait_for_requests(count).await;
    }

    /// Waits until the asking side left this many calls before it had the whole answer.
    pub async fn wait_for_abandoned(&self, count: usize) {
        self.state.wait_until(|seen| seen.abandoned >= count).await;
    }
}

impl Shared {
    fn new() -> Self {
        let script = Script {
            next: VecDeque::new(),
            otherwise: Behavior::answer(),
            key: None,
            requests: Vec::new(),
        };
        Self(Arc::new(Inner {
            script: Mutex::new(script),
            seen: watch::Sender::new(Seen::default()),
            held: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn hold(&self, held: bool) {
        self.0.held.send_replace(held);
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.script().requests.clone()
    }

    pub(crate) fn push(&self, behavior: Behavior) {
        self.script().next.push_back(behavior);
    }

    pub(crate) fn otherwise(&self, behavior: Behavior) {
        self.script().otherwise = behavior;
    }

    pub(crate) fn require_key(&self, key: Option<String>) {
        self.script().key = key;
    }

    /// Forgets what is queued and what came, and lets held calls go on.
    pub(crate) fn reset(&self) {
        {
            let mut script = self.script();
            script.next.clear();
            script.otherwise = Behavior::answer();
            script.key = None;
            script.requests.clear();
        }
        self.0.seen.send_replace(Seen::default());
        self.hold(false);
    }

    pub(crate) async fn wait_for_requests(&self, count: usize) {
        self.wait_until(|seen| seen.requests >= count).await;
    }

    async fn wait_until(&self, reached: impl Fn(&Seen) -> bool) {
        // The sender lives in `self`, so the wait cannot end for its lack.
        let _ = self.0.seen.subscribe().wait_for(|seen| reached(seen)).await;
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key_fits(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        match &self.script().key {
            Some(key) => sent == Some(&format!("Bearer {key}")),
            None => true,
        }
    }

    async fn released(&self) {
        let _ = self.0.held.subscribe().wait_for(|held| !held).await;
    }
}

/// Counts a call as abandoned unless its answer went out to the end.
pub(crate) struct Watched {
    shared: Shared,
    ended: bool,
}

impl Watched {
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.0.seen.send_modify(|seen| seen.abandoned += 1);
        }
    }
}

async fn complete(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let sent_headers = headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let recorded = Recorded {
        path: "/v1/chat/completions".to_owned(),
        headers: sent_headers.collect(),
        body: request.clone(),
    };
    let behavior = {
        let mut script = shared.script();
        script.requests.push(recorded);
        script.next.pop_front().unwrap_or_else(|| script.otherwise.clone())
    };
    let mut watched = Watched { shared: shared.clone(), ended: false };
    shared.0.seen.send_modify(|seen| seen.requests += 1);
    shared.released().await;
    if !shared.key_fits(&headers) {
        watched.end();
        return wrong_key(&headers);
    }
    stream::respond(behavior, &request, watched).await
}

/// Repeats what was sent, as careless servers do.
fn wrong_key(headers: &HeaderMap) -> Response {
    let sent = headers
        .get("authorization")
        .map_or(String::new(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let body = json!({ "error": {
        "message": format!("Incorrect API key provided: {sent}"),
        "type": "invalid_request_error",
        "code": "invalid_api_key",
    }});
    (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
}

async fn list_models(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if !shared.key_fits(&headers) {
        return wrong_key(&headers);
    }
    let body = json!({ "object": "list", "data": [{ "id": MODEL, "object": "model" }] });
    axum::Json(body).into_response()
}
