//! What the server keeps: what to do next, what it was asked, and how each call ended.
//!
//! Invariant: a request is counted before it is answered, so that a test that sees the count can end the asking side
//! while the answer is open.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::behavior::Behavior;

/// A request as it came, and how it went on.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    pub path: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// `null` if the body was not JSON.
    pub body: Value,
    /// Bytes of the answer's body that the connection has taken.
    pub sent_bytes: usize,
    /// Milliseconds from the request to the end of its answer, or to the moment at which the asking side closed the
    /// connection. `None`: the call is open.
    pub closed_after_ms: Option<u64>,
    /// The asking side left before it had the whole answer.
    pub abandoned: bool,
    #[serde(skip)]
    since: Instant,
}

impl Recorded {
    pub(crate) fn new(path: &str, headers: &HeaderMap, body: Value) -> Self {
        let headers = headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Self {
            path: path.to_owned(),
            headers: headers.collect(),
            body,
            sent_bytes: 0,
            closed_after_ms: None,
            abandoned: false,
            since: Instant::now(),
        }
    }

    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Script {
    fn behavior_for(&mut self, request: &Recorded) -> Behavior {
        if let Some(queued) = self.next.pop_front() {
            return queued;
        }
        match &mut self.chooser {
            Some(choose) => choose(request),
            None => self.otherwise.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    script: Mutex<Script>,
    seen: watch::Sender<Seen>,
    held: watch::Sender<bool>,
}

/// Chooses what to do with a request.
type Chooser = Box<dyn FnMut(&Recorded) -> Behavior + Send>;

struct Script {
    next: VecDeque<Behavior>,
    chooser: Option<Chooser>,
    otherwise: Behavior,
    key: Option<String>,
    requests: Vec<Recorded>,
    /// Grows with each reset, so that calls from before it change nothing.
    epoch: u64,
}

/// What a test can wait for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) abandoned: usize,
    pub(crate) closed: usize,
    pub(crate) connections: usize,
    pub(crate) open_connections: usize,
    pub(crate) sent_bytes: usize,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let script = Script {
            next: VecDeque::new(),
            chooser: None,
            otherwise: Behavior::answer(),
            key: None,
            requests: Vec::new(),
            epoch: 0,
        };
        Self(Arc::new(Inner {
            script: Mutex::new(script),
            seen: watch::Sender::new(Seen::default()),
            held: watch::Sender::new(false),
        }))
    }

    pub(crate) fn hold(&self, held: bool) {
        self.0.held.send_replace(held);
    }

    pub(crate) async fn released(&self) {
        // The sender lives in `self`, so the wait cannot end for its lack.
        let _ = self.0.held.subscribe().wait_for(|held| !held).await;
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.script().requests.clone()
    }

    pub(crate) fn request_count(&self) -> usize {
        self.script().requests.len()
    }

    pub(crate) fn push(&self, behavior: Behavior) {
        self.script().next.push_back(behavior);
    }

    pub(crate) fn choose(&self, chooser: Chooser) {
        self.script().chooser = Some(chooser);
    }

    /// How long a call took that was answered to its end.
    pub(crate) fn answered_after_ms(&self, index: usize) -> Option<u64> {
        let script = self.script();
        let request = script.requests.get(index).filter(|request| !request.abandoned)?;
        request.closed_after_ms
    }

    pub(crate) fn otherwise(&self, behavior: Behavior) {
        self.script().otherwise = behavior;
    }

    pub(crate) fn require_key(&self, key: Option<String>) {
        self.script().key = key;
    }

    /// Forgets what is queued and what came, and lets held calls go on. Connections stay counted.
    pub(crate) fn reset(&self) {
        {
            let mut script = self.script();
            script.next.clear();
            script.chooser = None;
            script.otherwise = Behavior::answer();
            script.key = None;
            script.requests.clear();
            script.epoch += 1;
        }
        self.0.seen.send_modify(|seen| {
            *seen = Seen {
                connections: seen.connections,
                open_connections: seen.open_connections,
                ..Seen::default()
            };
        });
        self.hold(false);
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.0.seen.borrow()
    }

    pub(crate) fn note(&self, what: impl FnOnce(&mut Seen)) {
        self.0.seen.send_modify(what);
    }

    pub(crate) async fn wait_until(&self, reached: impl Fn(&Seen) -> bool) {
        let _ = self.0.seen.subscribe().wait_for(|seen| reached(seen)).await;
    }

    pub(crate) async fn wait_for_requests(&self, count: usize) {
        self.wait_until(|seen| seen.requests >= count).await;
    }

    /// Waits until the call of this number, the first being 0, is over.
    pub(crate) async fn wait_for_closed(&self, index: usize) -> Recorded {
        let mut seen = self.0.seen.subscribe();
        loop {
            let closed = self.script().requests.get(index).cloned();
            if let Some(closed) = closed.filter(|request| request.closed_after_ms.is_some()) {
                return closed;
            }
            let _ = seen.changed().await;
        }
    }

    /// Whether the key that is asked for came, in one of the two ways.
    pub(crate) fn key_fits(&self, headers: &HeaderMap) -> bool {
        match &self.script().key {
            Some(key) => sent_key(headers).is_some_and(|sent| sent == *key),
            None => true,
        }
    }

    /// Keeps a request and says what to do with it.
    pub(crate) fn admit(&self, request: Recorded) -> (Behavior, Watched) {
        let (behavior, watched) = {
            let mut script = self.script();
            let (index, epoch) = (script.requests.len(), script.epoch);
            let behavior = script.behavior_for(&request);
            script.requests.push(request);
            (behavior, Watched { shared: self.clone(), index, epoch, ended: false })
        };
        self.note(|seen| seen.requests += 1);
        (behavior, watched)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is kept of a call, unless it is from before a reset.
    fn change(&self, index: usize, epoch: u64, change: impl FnOnce(&mut Recorded)) {
        let mut script = self.script();
        if script.epoch == epoch
            && let Some(request) = script.requests.get_mut(index)
        {
            change(request);
        }
    }
}

/// The key as OpenAI's or as Anthropic's clients send it.
pub(crate) fn sent_key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
    bearer.or(text("x-api-key"))
}

/// Notes what becomes of a call. Unless its answer went out to the end, it was abandoned.
pub(crate) struct Watched {
    shared: Shared,
    index: usize,
    epoch: u64,
    ended: bool,
}

impl Watched {
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn sent(&self, size_bytes: usize) {
        self.shared.change(self.index, self.epoch, |request| request.sent_bytes += size_bytes);
        self.shared.note(|seen| seen.sent_bytes += size_bytes);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let abandoned = !self.ended;
        self.shared.change(self.index, self.epoch, |request| {
            let after = request.since.elapsed().as_millis();
            request.closed_after_ms = Some(u64::try_from(after).unwrap_or(u64::MAX));
            request.abandoned = abandoned;
        });
        self.shared.note(|seen| {
            seen.closed += 1;
            seen.abandoned += usize::from(abandoned);
        });
    }
}
