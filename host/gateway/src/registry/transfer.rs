//! One push or one pull with a registry: sends requests, says who asks where that is wanted, and follows redirects
//! without saying it there.
use std::error::Error as _;
use std::io;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::auth::{self, Proof};
use super::reference::is_loopback;
use super::{Encryption, Reference, Registry, RegistryError, body};
use crate::outgoing::OutgoingError;
use crate::redact::Secrets;

/// Most redirects of one request. Registries lead to their storage, and that perhaps to another region.
const REDIRECT_COUNT_MAX: usize = 5;

/// What is to be done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actions {
    Pull,
    PullAndPush,
}

impl Actions {
    /// As the scope of a token has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Actions::Pull => "pull",
            Actions::PullAndPush => "pull,push",
        }
    }
}

/// One push or one pull.
pub(super) struct Conversation<'a> {
    pub(super) registry: &'a Registry,
    pub(super) repository: &'a str,
    pub(super) actions: Actions,
    pub(super) proof: Proof,
    pub(super) secrets: Secrets,
}

/// One request.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    pub(super) body: Option<(&'static str, Bytes)>,
}

impl Ask {
    pub(super) fn get(url: Url) -> Ask {
        Ask { method: Method::GET, url, accept: None, body: None }
    }

    pub(super) fn head(url: Url) -> Ask {
        Ask { method: Method::HEAD, ..Ask::get(url) }
    }

    pub(super) fn put(url: Url, media_type: &'static str, bytes: Bytes) -> Ask {
        Ask { method: Method::PUT, body: Some((media_type, bytes)), ..Ask::get(url) }
    }

    /// A POST with nothing in it. The empty body is sent, because some registries want to be told its length.
    pub(super) fn post(url: Url) -> Ask {
        let body = Some(("application/octet-stream", Bytes::new()));
        Ask { method: Method::POST, body, ..Ask::get(url) }
    }
}

/// Whom a connection goes to, with the port where it is not the usual one.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What a connection failed at.
enum Obstacle {
    Certificate,
    NoTls,
    Other,
}

fn obstacle(error: &reqwest::Error) -> Obstacle {
    let mut cause = error.source();
    while let Some(below) = cause {
        match below.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => return Obstacle::Certificate,
            Some(rustls::Error::InvalidMessage(_)) => return Obstacle::NoTls,
            Some(_) | None => {}
        }
        // An error that travels within one of input and output is not among its causes: only that one's are.
        let carried = below.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match carried {
            Some(carried) => Some(carried),
            None => below.source(),
        };
    }
    Obstacle::Other
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        reference: &'a Reference,
        actions: Actions,
    ) -> Conversation<'a> {
        Conversation {
            registry,
            repository: reference.repository(),
            actions,
            proof: Proof::Nothing,
            secrets: registry.secrets.clone(),
        }
    }

    pub(super) fn host(&self) -> String {
        self.registry.host.to_string()
    }

    /// An address within the repository. Its parts need no encoding: their grammar has nothing to encode.
    pub(super) fn url(&self, rest: &str) -> Url {
        let path = format!("v2/{}/{rest}", self.repository);
        self.registry.base.join(&path).expect("a repository's name is a path")
    }

    /// Whether an address is the registry's own: the one place that credentials are for.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.registry.base.origin()
    }

    /// Sends a request and follows where it leads to. An answer with any status is none of this function's errors.
    pub(super) async fn send(&mut self, mut ask: Ask) -> Result<Response, RegistryError> {
        for _ in 0..=REDIRECT_COUNT_MAX {
            let response = self.send_proved(&ask).await?;
            if !response.status().is_redirection() || !response.headers().contains_key(LOCATION) {
                return Ok(response);
            }
            if ask.method != Method::GET && ask.method != Method::HEAD {
                return Err(self.redirect_refused("what is pushed is not sent to another place"));
            }
            ask.url = self.location(&ask.url, response.headers())?;
        }
        Err(self.redirect_refused(&format!("it does so more than {REDIRECT_COUNT_MAX} times")))
    }

    /// The same, and once more if the registry wants to know who asks. Tokens live for a minute, so that this can happen
    /// in the middle of a push.
    async fn send_proved(&mut self, ask: &Ask) -> Result<Response, RegistryError> {
        let response = self.send_once(ask).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(&ask.url) {
            return Ok(response);
        }
        self.prove(response.headers()).await?;
        self.send_once(ask).await
    }

    async fn send_once(&self, ask: &Ask) -> Result<Response, RegistryError> {
        let mut request = self.registry.client.request(ask.method.clone(), ask.url.clone());
        if self.is_own(&ask.url) {
            request = auth::with_proof(self, request);
        }
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        let host = &place(&ask.url);
        match &ask.body {
            // How long a body takes depends on its size: what bounds it is the time for the whole push.
            Some((media_type, bytes)) => {
                let request = request.header(CONTENT_TYPE, *media_type).body(bytes.clone());
                request.send().await.map_err(|error| self.unreachable(host, error))
            }
            None => self.answer_to(request, host).await,
        }
    }

    /// The beginning of the answer to a request without a body.
    pub(super) async fn answer_to(
        &self,
        request: RequestBuilder,
        host: &str,
    ) -> Result<Response, RegistryError> {
        let silence_max = self.registry.patience.silence_max;
        match tokio::time::timeout(silence_max, request.send()).await {
            Ok(answer) => answer.map_err(|error| self.unreachable(host, error)),
            Err(_) => Err(RegistryError::TimedOut {
                registry: self.host(),
                what: "has not begun an answer",
                time_max: silence_max,
            }),
        }
    }

    /// Where an answer leads to, if that is a place to go to.
    pub(super) fn location(&self, from: &Url, headers: &HeaderMap) -> Result<Url, RegistryError> {
        let text = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let url = text.and_then(|text| from.join(text).ok());
        let Some(url) = url else {
            return Err(self.redirect_refused("it gives no address (`Location`)"));
        };
        let host = url.host_str().unwrap_or_default();
        // The address itself is not told: those of storage hosts hold signatures that are as good as credentials.
        let refused = |what: &str| self.redirect_refused(&format!("{what}: host `{host}`"));
        let is_plain = self.registry.encryption == Encryption::Plain;
        match url.scheme() {
            "https" => {}
            "http" if is_plain => {}
            _ => return Err(refused("it is not encrypted")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("its address holds a user name or a password"));
        }
        if is_loopback(host) && !self.registry.host.is_loopback() {
            return Err(refused("it is this machine"));
        }
        Ok(url)
    }

    pub(super) fn redirect_refused(&self, detail: &str) -> RegistryError {
        let detail = body::quotable(&self.secrets, detail);
        RegistryError::RedirectRefused { registry: self.host(), detail }
    }

    pub(super) fn not_the_protocol(&self, detail: &str) -> RegistryError {
        let detail = body::quotable(&self.secrets, detail);
        RegistryError::NotTheProtocol { registry: self.host(), detail }
    }

    pub(super) fn unreachable(&self, host: &str, error: reqwest::Error) -> RegistryError {
        let host = host.to_owned();
        let obstacle = obstacle(&error);
        let detail = body::quotable(&self.secrets, &OutgoingError::from(error).to_string());
        match obstacle {
            Obstacle::Certificate => RegistryError::CertificateUntrusted { host, detail },
            Obstacle::NoTls => RegistryError::NotEncrypted { host, detail },
            Obstacle::Other => RegistryError::Unreachable { host, detail },
        }
    }
}
