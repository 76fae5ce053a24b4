//! Connections to other machines: how every one of this program is made, encrypted and kept from straying.
//!
//! Questions go through `server`. [`Outgoing`] is for what else a host sends by order of its operator, such as telemetry:
//! it sends one request and reads one answer, and neither retries nor understands anything.
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use reqwest::{Client, ClientBuilder, redirect};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::server::USER_AGENT;

/// Longest time for a connection that carries no question.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Why no connection could even be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] reqwest::Error),
}

/// Whether certificates of others have to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only `http://`: no certificates are read.
    Unencrypted,
    /// Also `https://`.
    Encrypted,
}

/// What all connections have in common.
pub(crate) fn builder(
    reach: Reach,
    connect_time_max: Duration,
) -> Result<ClientBuilder, ClientError> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls(reach)?)
        // A redirect could carry a key to another host, and turns a POST into a GET.
        .redirect(redirect::Policy::none())
        // What is retried, and when, is decided by whoever asks.
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(USER_AGENT)
        .connect_timeout(connect_time_max)
        .tcp_nodelay(true))
}

fn tls(reach: Reach) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    if reach == Reach::Unencrypted {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
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

/// Sends what is no question.
pub struct Outgoing(Client);

/// Why nothing was sent, or nothing came back. Names no address: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// The answer is longer than it may be.
    #[error("the answer is longer than {bytes_max} bytes")]
    AnswerTooLong {
        /// Most bytes of an answer.
        bytes_max: usize,
    },
    /// The connection failed.
    #[error("{0}")]
    Failed(String),
}

impl Outgoing {
    /// Reads the system's certificates, and connects to nobody.
    ///
    /// # Errors
    /// [`OutgoingError::Failed`] if TLS cannot be set up.
    pub fn open() -> Result<Outgoing, OutgoingError> {
        let client = builder(Reach::Encrypted, CONNECT_TIME_MAX)
            .and_then(|builder| Ok(builder.build()?))
            .map_err(|error| OutgoingError::Failed(error.to_string()))?;
        Ok(Outgoing(client))
    }

    /// Sends a request and reads its answer, of at most so many bytes. Dropping the future closes the connection; the
    /// time is bounded by whoever waits.
    ///
    /// # Errors
    /// [`OutgoingError`]; an answer with any status is none.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        answer_bytes_max: usize,
    ) -> Result<Response<Bytes>, OutgoingError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > answer_bytes_max {
                return Err(OutgoingError::AnswerTooLong { bytes_max: answer_bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

impl From<reqwest::Error> for OutgoingError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        OutgoingError::Failed(words)
    }
}
