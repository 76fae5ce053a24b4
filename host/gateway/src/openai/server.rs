//! A configured server: where it is, what is sent with each request, and the connections to it.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use secrecy::{ExposeSecret, SecretString};

use super::USER_AGENT;
use super::dialect::{Change, Dialect};
use crate::config::{Error, OpenAi, Provider};
use crate::redact::Secrets;

/// Models whose dialect is remembered. More are asked for only by somebody who makes names up.
const REMEMBERED_MODEL_COUNT_MAX: usize = 256;
/// How long an idle connection is kept. Most servers close after 60 seconds or later; a question that meets a closing
/// connection costs another try.
const IDLE_CONNECTION_TIME_MAX: Duration = Duration::from_secs(50);

/// A server. Not `Debug`, because it holds a key.
pub(crate) struct Server {
    pub(super) name: String,
    base: Url,
    /// Without trailing slash; holds no user name and no password.
    base_url: String,
    headers: HeaderMap,
    has_key: bool,
    pub(super) secrets: Secrets,
    pub(super) bounds: Bounds,
    client: OnceLock<Result<Client, String>>,
    dialects: Mutex<HashMap<String, Dialect>>,
}

/// The time and the tries that a call may take.
#[derive(Clone)]
pub(super) struct Bounds {
    pub(super) call_time_max: Duration,
    pub(super) first_token_time_max: Duration,
    pub(super) idle_time_max: Duration,
    pub(super) connect_time_max: Duration,
    pub(super) retry_wait: Duration,
    pub(super) tries_max: u32,
}

impl Server {
    pub(crate) fn parse(provider: &Provider, server: &OpenAi) -> Result<Self, Error> {
        let base = parse_base_url(&server.base_url).map_err(|reason| Error::BadBaseUrl {
            provider: provider.name.clone(),
            reason: reason.to_owned(),
        })?;
        let mut secrets = Secrets::default();
        let mut headers = HeaderMap::new();
        if let Some(key) = &server.key {
            secrets.add_key(key);
            headers.insert(AUTHORIZATION, bearer(&provider.name, key)?);
        }
        for (name, value) in &server.headers {
            let bad = || Error::BadHeader { provider: provider.name.clone(), header: name.clone() };
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let mut sent = HeaderValue::from_str(value.expose_secret()).map_err(|_| bad())?;
            sent.set_sensitive(true);
            secrets.add_header(value);
            headers.insert(header, sent);
        }
        let base_url = base.as_str().trim_end_matches('/').to_owned();
        if server.key.is_some() && base.scheme() == "http" && !is_loopback(&base) {
            tracing::warn!(
                provider = provider.name,
                "provider `{}` gets its key over `{base_url}`, which is not encrypted",
                provider.name
            );
        }
        Ok(Self {
            name: provider.name.clone(),
            base,
            base_url,
            headers,
            has_key: server.key.is_some(),
            secrets,
            bounds: Bounds::parse(provider)?,
            client: OnceLock::new(),
            dialects: Mutex::default(),
        })
    }

    /// Where it answers, fit for a message.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) fn has_key(&self) -> bool {
        self.has_key
    }

    pub(super) fn endpoint(&self, path: &str) -> String {
        format!("{}/{path}", self.base_url)
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    /// The connections to the server. Made at the first question, because reading the system's certificates takes
    /// milliseconds that a start without a question need not pay.
    pub(super) fn client(&self) -> Result<&Client, &str> {
        let made =
            self.client.get_or_init(|| self.connectable().map_err(|error| error.to_string()));
        made.as_ref().map_err(String::as_str)
    }

    fn connectable(&self) -> Result<Client, ClientError> {
        Ok(Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            // A redirect could carry the key to another host, and turns a POST into a GET.
            .redirect(redirect::Policy::none())
            // What is retried, and when, is decided by `call` alone.
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(USER_AGENT)
            .connect_timeout(self.bounds.connect_time_max)
            .pool_idle_timeout(IDLE_CONNECTION_TIME_MAX)
            .tcp_nodelay(true)
            .build()?)
    }

    fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        if self.base.scheme() == "http" {
            return Ok(builder
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth());
        }
        // A small container often has no certificates; Mozilla's are on board for it.
        let verifier = Verifier::new(Arc::clone(&provider)).or_else(|_| {
            let shipped = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
            Verifier::new_with_extra_roots(shipped, provider)
        })?;
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }

    /// How the model is best asked, as far as it is known.
    pub(super) fn dialect(&self, model: &str) -> Dialect {
        let dialects = self.dialects.lock().unwrap_or_else(PoisonError::into_inner);
        dialects.get(model).copied().unwrap_or_default()
    }

    pub(super) fn remember(&self, model: &str, change: Change) {
        let mut dialects = self.dialects.lock().unwrap_or_else(PoisonError::into_inner);
        if dialects.len() < REMEMBERED_MODEL_COUNT_MAX || dialects.contains_key(model) {
            // To what is known already: calls at the same time learn different things.
            let dialect = dialects.entry(model.to_owned()).or_default();
            *dialect = dialect.with(change);
        }
    }
}

impl Bounds {
    fn parse(provider: &Provider) -> Result<Self, Error> {
        let positive = [
            ("call_time_max", provider.call_time_max),
            ("first_token_time_max", provider.first_token_time_max),
            ("idle_time_max", provider.idle_time_max),
            ("connect_time_max", provider.connect_time_max),
            ("tries_max", Duration::from_secs(u64::from(provider.tries_max))),
        ];
        if let Some((setting, _)) = positive.into_iter().find(|(_, bound)| bound.is_zero()) {
            return Err(Error::ZeroBound { provider: provider.name.clone(), setting });
        }
        Ok(Self {
            call_time_max: provider.call_time_max,
            first_token_time_max: provider.first_token_time_max,
            idle_time_max: provider.idle_time_max,
            connect_time_max: provider.connect_time_max,
            retry_wait: provider.retry_wait,
            tries_max: provider.tries_max,
        })
    }
}

/// Why no connection could even be tried.
#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] reqwest::Error),
}

fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    let base = Url::parse(text.trim()).map_err(|_| "it is no URL")?;
    if base.scheme() != "http" && base.scheme() != "https" {
        return Err("it starts with neither `https://` nor `http://`");
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err("it holds a user name or a password");
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err("it has a part after `?` or `#`");
    }
    if base.path().trim_end_matches('/').ends_with("/chat/completions") {
        return Err("it ends with `/chat/completions`, which is added to it");
    }
    Ok(base)
}

fn bearer(provider: &str, key: &SecretString) -> Result<HeaderValue, Error> {
    let bad = || Error::BadKey { provider: provider.to_owned() };
    let key = key.expose_secret();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(bad());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(base: &Url) -> bool {
    base.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(base_url: &str) -> Server {
        let server =
            OpenAi { base_url: base_url.to_owned(), key: Some("k".into()), headers: Vec::new() };
        let provider = Provider::openai("mine", server.clone(), "m");
        Server::parse(&provider, &server).expect("the provider is well formed")
    }

    #[test]
    fn connections_can_be_made_with_and_without_tls() {
        for base_url in ["https://example.com/v1", "http://127.0.0.1:1/v1"] {
            assert!(server(base_url).client().is_ok());
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (base_url, expected) in [
            ("http://localhost:11434/v1", true),
            ("http://127.8.0.1/v1", true),
            ("http://[::1]:80/v1", true),
            ("http://192.168.0.1/v1", false),
            ("http://localhost.example.com/v1", false),
        ] {
            assert_eq!(is_loopback(&server(base_url).base), expected, "{base_url}");
        }
    }
}
