//! The connection to the receiver. The SDK's threads know no async runtime, so one thread sends for all of them.
//!
//! Invariant: no request outlives the deadline that [`Sending::fail_from`] sets, so neither does a thread that waits for
//! one.
use std::fmt;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use gateway::{Outgoing, OutgoingError};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time;

use super::TelemetryError;

/// Longest time for one request. OpenTelemetry's usual ten seconds.
pub(super) const TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes. A receiver says in a few words what it did not take.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Requests that wait to be sent: one of each kind, since each thread of the SDK waits for its own.
const REQUEST_COUNT_MAX: usize = 4;
const THREAD: &str = "telemetry-export";

type Answer = Result<Response<Bytes>, SendError>;

/// What the exporters send through.
#[derive(Clone)]
pub(super) struct Connection {
    requests: mpsc::Sender<(Request<Bytes>, oneshot::Sender<Answer>)>,
}

/// The thread that sends.
pub(super) struct Sending {
    /// When everything fails from; `None`: not yet.
    deadline: watch::Sender<Option<Instant>>,
    thread: JoinHandle<()>,
}

/// Why nothing was sent, or nothing came back.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the program ends")]
    Ends,
    #[error("no answer within {} s", TIME_MAX.as_secs())]
    Timeout,
    #[error(transparent)]
    Failed(#[from] OutgoingError),
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl HttpClient for Connection {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send((request, reply)).await.map_err(|_| SendError::Ends)?;
        Ok(answer.await.map_err(|_| SendError::Ends)??)
    }
}

/// Starts the thread. Connects to nobody yet.
pub(super) fn begin(
    headers: &[(String, SecretString)],
) -> Result<(Connection, Sending), TelemetryError> {
    begin_with(headers, None)
}

/// The same, with somebody who hears the warning; else it is the log of the process, which begins after this.
pub(super) fn begin_with(
    headers: &[(String, SecretString)],
    log: Option<tracing::Dispatch>,
) -> Result<(Connection, Sending), TelemetryError> {
    let headers = parse(headers)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| TelemetryError::Thread { name: THREAD, source })?;
    let (requests, waiting) = mpsc::channel(REQUEST_COUNT_MAX);
    let (deadline, ends) = watch::channel(None);
    let thread = std::thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            let _listening = log.as_ref().map(tracing::dispatcher::set_default);
            runtime.block_on(send_all(headers, waiting, ends));
            // A look-up of a name may hang in the system; it has no end that could be waited for.
            runtime.shutdown_background();
        })
        .map_err(|source| TelemetryError::Thread { name: THREAD, source })?;
    Ok((Connection { requests }, Sending { deadline, thread }))
}

impl Sending {
    /// Gives up every request from then on.
    pub(super) fn fail_from(&self, deadline: Instant) {
        self.deadline.send_replace(Some(deadline));
    }

    /// Ends the thread.
    pub(super) fn end(self) {
        // The sender's end tells the thread to stop, whatever it does.
        drop(self.deadline);
        self.thread.join().ok();
    }
}

fn parse(headers: &[(String, SecretString)]) -> Result<HeaderMap, TelemetryError> {
    let mut parsed = HeaderMap::new();
    for (number, (name, value)) in (1..).zip(headers) {
        let bad = || TelemetryError::Header { number };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| bad())?;
        value.set_sensitive(true);
        parsed.insert(name, value);
    }
    Ok(parsed)
}

async fn send_all(
    headers: HeaderMap,
    mut waiting: mpsc::Receiver<(Request<Bytes>, oneshot::Sender<Answer>)>,
    ends: watch::Receiver<Option<Instant>>,
) {
    let mut link = Link { headers, outgoing: None, has_warned: false };
    loop {
        let next = tokio::select! {
            biased;
            () = dropped(ends.clone()) => return,
            next = waiting.recv() => next,
        };
        let Some((request, reply)) = next else { return };
        let answer = tokio::select! {
            biased;
            () = over(ends.clone()) => Err(SendError::Ends),
            answer = time::timeout(TIME_MAX, link.send(request)) => {
                answer.unwrap_or(Err(SendError::Timeout))
            }
        };
        link.tell(&answer);
        // Whoever asked may have given up.
        reply.send(answer).ok();
    }
}

/// Returns when nobody holds the other end any more.
async fn dropped(mut ends: watch::Receiver<Option<Instant>>) {
    while ends.changed().await.is_ok() {}
}

/// Returns at the deadline, or when nobody can set one any more.
async fn over(mut ends: watch::Receiver<Option<Instant>>) {
    let set = ends.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
    let Some(deadline) = set else { return };
    tokio::select! {
        () = time::sleep_until(deadline.into()) => {}
        () = dropped(ends) => {}
    }
}

/// The connections, made at the first request.
struct Link {
    headers: HeaderMap,
    outgoing: Option<Outgoing>,
    /// Whether the failure that goes on has been told.
    has_warned: bool,
}

impl Link {
    async fn send(&mut self, mut request: Request<Bytes>) -> Answer {
        let outgoing = match &mut self.outgoing {
            Some(outgoing) => outgoing,
            none => none.insert(Outgoing::open()?),
        };
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(outgoing.send(request, ANSWER_BYTES_MAX).await?)
    }

    /// One warning when it begins to fail, however often it fails then.
    fn tell(&mut self, answer: &Answer) {
        let cause = match answer {
            Ok(response) if response.status().is_success() => {
                self.has_warned = false;
                return;
            }
            Ok(response) => format!("it answered {}", response.status()),
            Err(SendError::Ends) => return,
            Err(error) => error.to_string(),
        };
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(cause, "telemetry cannot be exported; nothing else is affected");
        }
    }
}
