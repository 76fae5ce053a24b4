//! `wasi:http` for stages with a grant: what a guest asks for is handed to the attempt's [`HttpPort`], whole, and one
//! request after another. Who may be asked, what is kept, and who connects is decided behind the port; nothing here
//! opens a connection.
//!
//! The types of `wasi:http` are those of `wasmtime-wasi-http`. Its client is not: it would connect by itself, and tell
//! nobody.
//!
//! Invariants: what a guest sees is a function of its requests and of the answers that come back. It gets answers whole,
//! in the order in which it asked, and time stands still for it while one is under way: whether an answer is new or kept,
//! it cannot tell. What it has begun is carried out also if it does not wait for the answer: which request is the second
//! one of an attempt must not depend on how fast the first one was. For the same reason a request beyond those that have
//! room at once waits, and is not refused.
mod flight;
mod link;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use domain::fault::Limit;
use domain::http::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use domain::port::{HttpAskError, HttpPort};
use domain::stage::LogLevel;
use http_body_util::{BodyExt, Full};
use tokio::sync::{Notify, oneshot};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Method, Scheme};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::fault::Stopped;
use crate::guest::{Guest, check_call_bytes};
use crate::log_book::SharedLogBook;

pub(crate) use flight::Flights;
pub(crate) use link::link;

/// Most requests of a guest that are under way at once: each holds a body of up to `limits.call_kib` in memory. The next
/// one begins when one of them has ended; `limits.http_requests` bounds how many are sent at all.
const OPEN_COUNT_MAX: usize = 16;

/// Most bytes of the names and values of one set of headers: servers take a quarter of it.
const HEADERS_BYTES_MAX: usize = 32 << 10;

/// Most bytes of a body that a guest writes at once. Two of them wait at most, for each body that is begun.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// What comes of a request, as the library has it: an answer, and a worker of which there is none here.
type Flown = Result<(http::Response<WasiBody>, AbortOnDropJoinHandle<()>), Error>;

/// What a guest has for its requests.
pub(crate) struct GuestHttp {
    /// `None`: it has no network.
    port: Option<Arc<dyn HttpPort>>,
    ctx: WasiHttpCtx,
    hooks: Hooks,
    /// Those that the guest waits for.
    flights: Flights,
    /// All that are not done. They end with the guest.
    begun: Vec<AbortOnDropJoinHandle<()>>,
    halt: Halt,
    log: SharedLogBook,
    call_bytes_max: u64,
    /// Ends when the request before has its outcome.
    turn: Option<oneshot::Receiver<()>>,
    /// The log says already that the guest waits for room.
    has_told_of_room: bool,
}

/// Stops a guest from a request that is worked on apart from it.
#[derive(Clone, Default)]
pub(crate) struct Halt(Arc<HaltState>);

#[derive(Default)]
struct HaltState {
    stopped: Mutex<Option<Stopped>>,
    is_set: Notify,
}

impl Halt {
    fn stop(&self, stopped: Stopped) {
        self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stopped);
        self.0.is_set.notify_one();
    }

    /// Waits until somebody wants the guest to be stopped, which may never be.
    pub(crate) async fn wait(&self) -> Stopped {
        loop {
            let stopped = self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner).take();
            match stopped {
                Some(stopped) => return stopped,
                None => self.0.is_set.notified().await,
            }
        }
    }
}

impl GuestHttp {
    pub(crate) fn new(
        port: Option<Arc<dyn HttpPort>>,
        flights: Flights,
        log: SharedLogBook,
        call_bytes_max: u64,
    ) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(HEADERS_BYTES_MAX);
        let halt = Halt::default();
        let (hooks, begun) = (Hooks, Vec::new());
        Self {
            port,
            ctx,
            hooks,
            flights,
            begun,
            halt,
            log,
            call_bytes_max,
            turn: None,
            has_told_of_room: false,
        }
    }

    pub(crate) fn has_port(&self) -> bool {
        self.port.is_some()
    }

    pub(crate) fn halt(&self) -> Halt {
        self.halt.clone()
    }

    /// Waits until one more request has room. A guest that has not ended the bodies of those before waits as long as its
    /// attempt may take: its log says what it waits for, once.
    async fn has_room(&mut self) {
        poll_fn(|ctx| {
            self.begun.retain_mut(|flight| Pin::new(flight).poll(ctx).is_pending());
            if self.begun.len() < OPEN_COUNT_MAX {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut self.has_told_of_room, true) {
                let message = format!(
                    "{OPEN_COUNT_MAX} HTTP requests are under way: the next one begins when one of them has ended, and \
                     none ends before its body does"
                );
                self.log.with(|book| book.write_line(LogLevel::Info, &message, &[]));
            }
            Poll::Pending
        })
        .await;
    }

    /// Has a request worked on. The next one waits for its outcome. What is given back only listens: a guest that drops
    /// it does not call the request off.
    fn begin(
        &mut self,
        port: Arc<dyn HttpPort>,
        request: HttpRequest,
        body: Option<WasiBody>,
    ) -> AbortOnDropJoinHandle<Flown> {
        let (done, next_turn) = oneshot::channel();
        let flying = Flying {
            port,
            request,
            body,
            turn: self.turn.replace(next_turn),
            halt: self.halt.clone(),
            log: self.log.clone(),
            bytes_max: self.call_bytes_max,
        };
        let (tell, told) = oneshot::channel();
        self.begun.push(spawn(async move {
            let flown = flying.fly().await;
            // Nobody listens if the guest has dropped it.
            tell.send(flown).ok();
            drop(done);
        }));
        let landing = self.flights.landing();
        let mark = landing.mark();
        let handle = spawn(async move {
            let _landing = landing;
            told.await.unwrap_or_else(|_| Err(Error::ConnectionTerminated))
        });
        self.flights.add(handle.abort_handle(), mark);
        handle
    }
}

/// The library asks these; what it would send is never sent here.
struct Hooks;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = LibraryOutcome> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES_MAX
    }
}

/// What the library's own client would give.
type LibraryOutcome =
    Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let GuestHttp { ctx, hooks, .. } = &mut self.http;
        WasiHttpCtxView { hooks, table: &mut self.table, ctx }
    }
}

impl Guest {
    /// `outgoing-handler.handle`. The body may come later than this.
    async fn send(
        &mut self,
        request: HostOutgoingRequest,
    ) -> wasmtime::Result<Result<HostFutureIncomingResponse, ErrorCode>> {
        let Some(port) = self.http.port.clone() else {
            return Err(self.denied("wasi:http/outgoing-handler#handle").into());
        };
        let (head, body) = match head_of(request) {
            Ok(request) => request,
            Err(code) => return Ok(Err(code)),
        };
        self.check_call_bytes("the head of the HTTP request", head.size_bytes())?;
        // To wait is not the guest's work.
        self.cpu.clone().without(self.http.has_room()).await;
        let handle = self.http.begin(port, head, body);
        Ok(Ok(HostFutureIncomingResponse::Pending(handle)))
    }
}

/// The request without its body, which may not be written yet.
fn head_of(request: HostOutgoingRequest) -> Result<(HttpRequest, Option<WasiBody>), ErrorCode> {
    let scheme = match request.scheme {
        Some(Scheme::Https) | None => "https",
        Some(Scheme::Http) => "http",
        Some(Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
    };
    let authority = request.authority.ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let path = request.path_with_query.unwrap_or_default();
    let headers = request.headers.iter();
    let head = HttpRequest {
        method: word_of(request.method),
        url: format!("{scheme}://{authority}{path}"),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
    };
    Ok((head, request.body))
}

fn word_of(method: Method) -> String {
    let word = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(word) => return word,
    };
    word.to_owned()
}

/// A request under way.
struct Flying {
    port: Arc<dyn HttpPort>,
    request: HttpRequest,
    body: Option<WasiBody>,
    turn: Option<oneshot::Receiver<()>>,
    halt: Halt,
    log: SharedLogBook,
    bytes_max: u64,
}

impl Flying {
    async fn fly(mut self) -> Flown {
        if let Some(body) = self.body.take() {
            // Before its turn, so that a guest that writes two bodies at once can end both.
            self.read(body).await?;
        }
        if let Some(turn) = self.turn.take() {
            // It ends also if the request before came to nothing.
            turn.await.ok();
        }
        let method = self.request.method.clone();
        match self.port.send(self.request).await {
            Ok(response) => Ok((answer_of(response)?, spawn(std::future::ready(())))),
            Err(HttpAskError::Http(error)) => {
                let message = format!("`{method}` has no answer: {}", error.message);
                let code = ("code".to_owned(), error.kind.code().to_owned());
                self.log.with(|book| book.write_line(LogLevel::Warn, &message, &[code]));
                Err(error_of(error))
            }
            Err(HttpAskError::Stop(fault)) => stopped(&self.halt, Stopped::Fault(fault)).await,
        }
    }

    /// Reads the body as the guest writes it. Trailers are left out.
    async fn read(&mut self, mut body: WasiBody) -> Result<(), Error> {
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame?.into_data() else { continue };
            let bytes = self.request.size_bytes() + chunk.len() as u64;
            if let Err(message) = check_call_bytes("the HTTP request", bytes, self.bytes_max) {
                let limit = Stopped::Limit { limit: Limit::CallBytes, message };
                return stopped(&self.halt, limit).await;
            }
            self.request.body.extend_from_slice(&chunk);
        }
        Ok(())
    }
}

/// The guest is stopped, and is told nothing.
async fn stopped<T>(halt: &Halt, stopped: Stopped) -> T {
    halt.stop(stopped);
    std::future::pending().await
}

fn answer_of(response: HttpResponse) -> Result<http::Response<WasiBody>, Error> {
    let mut answer = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        answer = answer.header(name, value.as_slice());
    }
    let body = Full::new(Bytes::from(response.body)).map_err(|never| match never {});
    answer.body(body.boxed_unsync()).map_err(|_| Error::HttpProtocolError)
}

fn error_of(error: HttpError) -> Error {
    match error.kind {
        HttpErrorKind::Denied => Error::HttpRequestDenied,
        HttpErrorKind::Unavailable => Error::DestinationUnavailable,
        HttpErrorKind::Timeout => Error::HttpResponseTimeout,
        HttpErrorKind::TooLarge => Error::HttpResponseBodySize(None),
        HttpErrorKind::Invalid => Error::HttpRequestUriInvalid,
        HttpErrorKind::Interrupted => Error::InternalError(Some(error.message)),
    }
}
