//! HTTP requests of stages, to hosts that a profile grants and the operator allows.
//!
//! Whether a host is granted is asked before ([`target_of`] says where a request goes). What is decided here is where the
//! host may lie: a name is resolved once, by [`Checked`], every address is looked at, and the connection goes to one of
//! exactly these, so that a name cannot point elsewhere between the look and the connection. No redirect is followed, no
//! proxy is asked, and nothing of the operator's goes along.
//!
//! A look-up knows a name and no port. So there are two clients, one for the public internet and one for anywhere, and the
//! whole target of a request decides which one sends it.
//!
//! Invariant: no connection is made to an address that is not public, unless the operator named its host and port for it.
mod address;
mod resolve;

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::http::{HttpError, HttpErrorKind, HttpGrant, HttpRequest, HttpResponse, HttpTarget};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};

use crate::outgoing::{self, Reach};
use address::forbidden;
use resolve::{Checked, Ground, NotPublic};

/// Longest time for a connection of a stage.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Headers that say how two neighbors talk, and not what is said (RFC 9110, 7.6.1), and those that follow from the
/// address and the body. They are the host's, in both directions.
const HOSTS_OWN: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Sends requests of stages. A clone is the same client.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

struct Inner {
    private_hosts: Vec<HttpGrant>,
    public: LazyClient,
    anywhere: LazyClient,
}

/// Made at the first request.
type LazyClient = OnceLock<Result<Client, String>>;

/// What one request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebBounds {
    /// From the look for its address to the last byte of its answer.
    pub time_max: Duration,
    /// Bytes of the answer, its headers included.
    pub answer_bytes_max: u64,
}

/// Where a request would go.
///
/// # Errors
/// [`HttpErrorKind::Invalid`] if its URL is none, or has a part that a stage must not say.
pub fn target_of(url: &str) -> Result<HttpTarget, HttpError> {
    target(&parse(url)?)
}

/// Why no request can go to a host that is named by its address: what that address is if it is not public, and nothing of
/// `private_hosts` says that it may be reached. Of a name nobody knows before it is looked up.
pub fn closed_address(host: &HttpGrant, private_hosts: &[HttpGrant]) -> Option<&'static str> {
    let what = forbidden(host.address()?)?;
    let is_private_allowed = private_hosts.iter().any(|private| private.covers(host));
    (!is_private_allowed).then_some(what)
}

fn target(url: &Url) -> Result<HttpTarget, HttpError> {
    let is_encrypted = url.scheme() == "https";
    let host = host_of(url).ok_or_else(|| invalid("the URL names no host"))?.to_owned();
    let port = url.port_or_known_default().ok_or_else(|| invalid("the URL has no port"))?;
    Ok(HttpTarget { host, port, is_encrypted })
}

/// An address of version 6 without its brackets.
fn host_of(url: &Url) -> Option<&str> {
    let host = url.host_str()?;
    Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

fn parse(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text).map_err(|error| invalid(&format!("the URL is none: {error}")))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("the URL begins with neither `https://` nor `http://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("the URL holds a user name or a password; send it in a header"));
    }
    Ok(url)
}

impl Web {
    /// Connects to nobody and reads no certificates: that happens at the first request. What `private_hosts` allow, a
    /// port included, may have addresses that are not public.
    pub fn new(private_hosts: Vec<HttpGrant>) -> Self {
        let (public, anywhere) = (LazyClient::new(), LazyClient::new());
        Self(Arc::new(Inner { private_hosts, public, anywhere }))
    }

    /// Sends a request once, and reads its answer whole. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`HttpError`]; an answer with any status is none.
    pub async fn send(
        &self,
        request: &HttpRequest,
        bounds: WebBounds,
    ) -> Result<HttpResponse, HttpError> {
        let sending = self.send_now(request, bounds.answer_bytes_max);
        match tokio::time::timeout(bounds.time_max, sending).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out(bounds.time_max)),
        }
    }

    async fn send_now(
        &self,
        request: &HttpRequest,
        answer_bytes_max: u64,
    ) -> Result<HttpResponse, HttpError> {
        let outgoing = outgoing_request(request)?;
        let target = target(outgoing.url())?;
        let ground = self.ground(&target);
        check_literal(&target, ground)?;
        let client =
            self.client(ground).map_err(|message| error(HttpErrorKind::Unavailable, message))?;
        let answer = client.execute(outgoing).await.map_err(|failed| told(failed, &target))?;
        read(answer, &target, answer_bytes_max).await
    }

    fn ground(&self, target: &HttpTarget) -> Ground {
        let is_private = self.0.private_hosts.iter().any(|private| private.allows(target));
        if is_private { Ground::Any } else { Ground::Public }
    }

    fn client(&self, ground: Ground) -> Result<&Client, &str> {
        let client = match ground {
            Ground::Public => &self.0.public,
            Ground::Any => &self.0.anywhere,
        };
        let made = client.get_or_init(|| {
            let builder = outgoing::builder(Reach::Encrypted, CONNECT_TIME_MAX)
                .map_err(|error| error.to_string())?;
            // No connection outlives its request: each is made to addresses that were looked at for it.
            let builder = builder.pool_max_idle_per_host(0).dns_resolver(Checked(ground));
            builder.build().map_err(|error| error.to_string())
        });
        made.as_ref().map_err(String::as_str)
    }
}

/// An address in a URL is not looked up, so that no resolver sees it.
fn check_literal(target: &HttpTarget, ground: Ground) -> Result<(), HttpError> {
    let Ok(address) = target.host.parse::<IpAddr>() else { return Ok(()) };
    match forbidden(address) {
        Some(what) if ground == Ground::Public => Err(not_public(NotPublic { what }, target)),
        Some(_) | None => Ok(()),
    }
}

fn outgoing_request(request: &HttpRequest) -> Result<Request, HttpError> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| invalid("the method is not a word"))?;
    if matches!(method, Method::CONNECT | Method::TRACE) {
        return Err(invalid(&format!("a stage cannot send `{method}`")));
    }
    let mut outgoing = Request::new(method, parse(&request.url)?);
    for (name, value) in &request.headers {
        let bad = || invalid(&format!("the header `{}` cannot be sent", name.escape_debug()));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        if HOSTS_OWN.contains(&name.as_str()) {
            continue;
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| bad())?;
        outgoing.headers_mut().append(name, value);
    }
    if !request.body.is_empty() {
        *outgoing.body_mut() = Some(request.body.clone().into());
    }
    Ok(outgoing)
}

async fn read(
    mut answer: Response,
    target: &HttpTarget,
    bytes_max: u64,
) -> Result<HttpResponse, HttpError> {
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| !HOSTS_OWN.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let mut response = HttpResponse {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    check_size(&response, 0, bytes_max)?;
    while let Some(chunk) = answer.chunk().await.map_err(|failed| told(failed, target))? {
        check_size(&response, chunk.len(), bytes_max)?;
        response.body.extend_from_slice(&chunk);
    }
    Ok(response)
}

fn check_size(response: &HttpResponse, more: usize, bytes_max: u64) -> Result<(), HttpError> {
    if response.size_bytes() + more as u64 <= bytes_max {
        return Ok(());
    }
    let kib = bytes_max >> 10;
    let message = format!(
        "the answer has more than {kib} KiB; ask for less, or raise `limits.call_kib` in the profile"
    );
    Err(error(HttpErrorKind::TooLarge, &message))
}

/// What a stage is told of a failed connection.
fn told(failed: reqwest::Error, target: &HttpTarget) -> HttpError {
    let failed = failed.without_url();
    let mut words = failed.to_string();
    let mut cause = failed.source();
    while let Some(error_below) = cause {
        if let Some(not_public) = error_below.downcast_ref::<NotPublic>() {
            return self::not_public(*not_public, target);
        }
        words = format!("{words}: {error_below}");
        cause = error_below.source();
    }
    let (kind, what) = if failed.is_timeout() {
        (HttpErrorKind::Timeout, "does not answer in time")
    } else if failed.is_connect() {
        (HttpErrorKind::Unavailable, "cannot be reached")
    } else {
        (HttpErrorKind::Unavailable, "broke off")
    };
    error(kind, &format!("`{target}` {what}: {words}"))
}

fn not_public(NotPublic { what }: NotPublic, target: &HttpTarget) -> HttpError {
    let message = format!(
        "`{target}` has an address that is not public ({what}): stages do not reach it, unless the operator names `{target}` in `grants.private_hosts`"
    );
    error(HttpErrorKind::Denied, &message)
}

fn timed_out(time_max: Duration) -> HttpError {
    let message = format!(
        "no whole answer within {} s; the operator can raise `grants.request_s`",
        time_max.as_secs()
    );
    error(HttpErrorKind::Timeout, &message)
}

fn invalid(message: &str) -> HttpError {
    error(HttpErrorKind::Invalid, message)
}

fn error(kind: HttpErrorKind, message: &str) -> HttpError {
    HttpError { kind, message: message.to_owned() }
}

#[cfg(test)]
mod tests;
