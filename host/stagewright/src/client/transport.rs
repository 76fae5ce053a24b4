//! How a request reaches the API: over HTTP to the server that owns the data folder, or as a function call to an engine
//! in this process. The answers are the same.
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use control_api::ActorHeader;
use control_api::dto::ProblemDto;
use engine::Engine;
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use tower::ServiceExt;

use crate::error::Error;

/// Longest answer that is read into memory, in bytes: far more than the largest artifact.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Longest wait for the beginning of an answer: a check of a slow provider takes its time, nothing else does.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(180);
/// Longest wait for a connection. The server is on this machine.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// The way to the API.
pub(crate) enum Transport {
    /// An engine in this process.
    Local { router: Router, engine: Engine },
    /// A server.
    Remote(Box<Remote>),
}

/// A server that owns the data folder.
pub(crate) struct Remote {
    http: HttpClient<HttpConnector, Body>,
    url: String,
    authorization: Option<HeaderValue>,
    /// The header in which the server wants to be told who acts, and who does here.
    actor: Option<(HeaderName, HeaderValue)>,
}

impl Remote {
    pub(crate) fn new(url: &str, token: Option<&SecretString>) -> Result<Remote, Error> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        connector.set_nodelay(true);
        let authorization = token
            .map(|token| HeaderValue::try_from(format!("Bearer {}", token.expose_secret())))
            .transpose()
            .map_err(|_| Error::Config {
                message: "the token has characters that a header cannot carry".to_owned(),
                hint: Some("use letters and digits".to_owned()),
            })?
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        Ok(Remote {
            http: HttpClient::builder(TokioExecutor::new()).build(connector),
            url: url.trim_end_matches('/').to_owned(),
            authorization,
            actor: None,
        })
    }

    /// Says who acts as the proxy of the server would. Whoever reaches the server past its proxy is the operator.
    pub(crate) fn acting(mut self, header: &ActorHeader, actor: &str) -> Result<Remote, Error> {
        let name = HeaderName::try_from(header.as_str());
        let name = name.map_err(|error| Error::usage(error.to_string()))?;
        let value = HeaderValue::try_from(actor).map_err(|_| {
            Error::usage(format!("`{actor}` has characters that a header cannot carry"))
        })?;
        self.actor = Some((name, value));
        Ok(self)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let unreachable = |detail: String| Error::Unreachable { url: self.url.clone(), detail };
        let address = format!("{}{}", self.url, request.uri());
        *request.uri_mut() =
            address.parse::<Uri>().map_err(|error| unreachable(error.to_string()))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Some((name, value)) = &self.actor {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        match tokio::time::timeout(ANSWER_TIME_MAX, self.http.request(request)).await {
            Ok(Ok(response)) => Ok(response.map(Body::new)),
            Ok(Err(error)) => Err(unreachable(cause_of(&error))),
            Err(_) => Err(unreachable(format!("no answer in {} s", ANSWER_TIME_MAX.as_secs()))),
        }
    }
}

/// The innermost cause: the outer ones say only that a request failed.
fn cause_of(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Transport {
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        match self {
            Transport::Local { router, .. } => match router.clone().oneshot(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            },
            Transport::Remote(remote) => remote.send(request).await,
        }
    }

    /// The body of an answer, if it is a good one.
    pub(crate) async fn bytes_of(&self, response: Response<Body>) -> Result<Bytes, Error> {
        if !response.status().is_success() {
            return Err(self.problem_of(response).await);
        }
        self.collected(response).await
    }

    /// The problem that an answer reports.
    pub(crate) async fn problem_of(&self, response: Response<Body>) -> Error {
        let status = response.status();
        let bytes = match self.collected(response).await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        match serde_json::from_slice::<ProblemDto>(&bytes) {
            Ok(problem) => Error::Problem(Box::new(problem)),
            Err(_) => self.not_understood(&format!("status {status} without a problem")),
        }
    }

    pub(crate) fn not_understood(&self, detail: &dyn std::fmt::Display) -> Error {
        let url = match self {
            Transport::Local { .. } => "this process",
            Transport::Remote(remote) => remote.url(),
        };
        Error::NotUnderstood { url: url.to_owned(), detail: detail.to_string() }
    }

    /// The body of any answer, up to a bound.
    pub(crate) async fn collected(&self, response: Response<Body>) -> Result<Bytes, Error> {
        match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => Err(self.not_understood(&error)),
        }
    }
}
