//! A registry that answers what a test says, and remembers what it was asked.
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::Response;
use gateway::registry::{Credentials, Encryption, Patience, Reference, Registry};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(super) const PASSWORD: &str = "registry-password-5d1f";
pub(super) const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 not looked into";
/// Largest request, in bytes: more than any test sends.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What a request was.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// `GET /v2/...`, with the query.
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Bytes,
}

type Answers = dyn Fn(&Seen, SocketAddr) -> Response + Send + Sync;

/// A server on loopback. Dropping it stops it.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _serving: JoinSet<()>,
}

impl Fake {
    pub(super) async fn start(
        answer: impl Fn(&Seen, SocketAddr) -> Response + Send + Sync + 'static,
    ) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let answer: Arc<Answers> = Arc::new(answer);
        let router = Router::new().fallback(move |request: Request| {
            let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
            async move {
                let seen = seen_in(request).await;
                kept.lock().expect("no test panics here").push(seen.clone());
                answer(&seen, address)
            }
        });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Fake { address, seen, _serving: serving }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics here").clone()
    }

    pub(super) fn reference(&self) -> Reference {
        self.reference_to(":1.0.0")
    }

    pub(super) fn reference_to(&self, wanted: &str) -> Reference {
        format!("{}/acme/outline{wanted}", self.address).parse().expect("a reference")
    }

    pub(super) fn registry(&self) -> Registry {
        self.registry_with(Patience::default())
    }

    pub(super) fn registry_with(&self, patience: Patience) -> Registry {
        let credentials =
            Credentials { username: "anna".to_owned(), password: PASSWORD.to_owned().into() };
        let host = self.reference().host().clone();
        Registry::open(host, Encryption::Plain, Some(credentials), patience).expect("it opens")
    }

    pub(super) fn anonymous(&self) -> Registry {
        let host = self.reference().host().clone();
        Registry::open(host, Encryption::Plain, None, Patience::default()).expect("it opens")
    }
}

async fn seen_in(request: Request) -> Seen {
    let authorization = request.headers().get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let line = format!("{} {}", request.method(), request.uri());
    let body = axum::body::to_bytes(request.into_body(), REQUEST_BYTES_MAX).await;
    Seen { line, authorization, body: body.expect("a request") }
}

pub(super) fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).expect("an answer")
}

/// A config and a manifest as `wkg` writes them.
pub(super) fn config() -> Vec<u8> {
    json!({
        "created": "2026-03-04T11:12:13Z", "author": null, "architecture": "wasm", "os": "wasip2",
        "layerDigests": [digest_of(COMPONENT)],
        "component": { "exports": [], "imports": [], "target": null },
    })
    .to_string()
    .into_bytes()
}

pub(super) fn manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json",
            "digest": digest_of(&config()), "size": config().len(),
        },
        "layers": [{
            "mediaType": "application/wasm",
            "digest": digest_of(COMPONENT), "size": COMPONENT.len(),
        }],
    })
}

pub(super) fn manifest_answer(manifest: &Value) -> Response {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    answer(200, &[("content-type", media_type)], manifest.to_string())
}

/// What a registry answers that has one component.
pub(super) fn good(seen: &Seen) -> Response {
    if seen.line.starts_with("GET /v2/acme/outline/manifests/") {
        return manifest_answer(&manifest());
    }
    let blobs = [config(), COMPONENT.to_vec()];
    let asked = |blob: &&Vec<u8>| seen.line.ends_with(&digest_of(blob));
    match blobs.iter().find(asked) {
        Some(blob) => answer(200, &[], blob.clone()),
        None => answer(404, &[], r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
    }
}

pub(super) fn is_component(seen: &Seen) -> bool {
    seen.line.ends_with(&digest_of(COMPONENT))
}
