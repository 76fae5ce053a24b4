//! HTTP requests by `wasi:http`. Each is told as JSON: status, body and the place of a redirect, or `error`.
use serde_json::Value;

/// What `text` of the settings says: a URL, or a method and a URL.
fn method_and_url(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or(("GET", text))
}

/// Sends the same request so many times, one after the other.
pub(super) fn fetch(text: &str, count: u64) -> Value {
    let (method, url) = method_and_url(text);
    (0..count).map(|_| wire::fetch(method, url)).collect()
}

/// Sends a request and waits for its answer or for a sleep of a second, whichever comes first.
pub(super) fn race(text: &str) -> Value {
    let (method, url) = method_and_url(text);
    wire::race(method, url)
}

/// Begins so many requests before it looks at the first answer.
pub(super) fn together(text: &str, count: u64) -> Value {
    let (method, url) = method_and_url(text);
    wire::together(method, url, count)
}

/// Begins so many requests and ends none of their bodies.
pub(super) fn leave_open(text: &str, count: u64) -> Value {
    let (method, url) = method_and_url(text);
    wire::leave_open(method, url, count)
}

/// Sends a request of which it drops the answer at once, and then the same one more time.
pub(super) fn abandon(text: &str) -> Value {
    let (method, url) = method_and_url(text);
    wire::abandon(method, url)
}

/// Makes requests with a method and a host that are longer than any.
pub(super) fn swell() -> Value {
    wire::swell()
}

#[cfg(target_os = "wasi")]
mod wire {
    use serde_json::{Value, json};
    use wasip2::clocks::monotonic_clock::subscribe_duration;
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{
        ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
        OutgoingRequest, Scheme,
    };
    use wasip2::io::poll::poll;

    /// What a `POST` carries, as often as fits into this many bytes.
    const BODY: &[u8] = b"bees ";
    const BODY_BYTES: usize = 20_000;
    /// Bytes that are written, or read, at once: what WASI allows.
    const CHUNK_BYTES: usize = 4096;
    const SECOND_NS: u64 = 1_000_000_000;

    pub(super) fn fetch(method: &str, url: &str) -> Value {
        told(begin(method, url).and_then(|future| {
            future.subscribe().block();
            taken(&future)
        }))
    }

    pub(super) fn race(method: &str, url: &str) -> Value {
        let future = match begin(method, url) {
            Ok(future) => future,
            Err(error) => return told(Err(error)),
        };
        let (answer, sleep) = (future.subscribe(), subscribe_duration(SECOND_NS));
        let first = if poll(&[&answer, &sleep]).contains(&0) { "answer" } else { "sleep" };
        json!({ "first": first, "answer": told(taken(&future)) })
    }

    pub(super) fn together(method: &str, url: &str, count: u64) -> Value {
        let begun: Vec<_> = (0..count).map(|_| begin(method, url)).collect();
        let ended = begun.into_iter().map(|begun| {
            told(begun.and_then(|future| {
                future.subscribe().block();
                taken(&future)
            }))
        });
        ended.collect()
    }

    pub(super) fn leave_open(method: &str, url: &str, count: u64) -> Value {
        let begun: Result<Vec<_>, _> = (0..count).map(|_| begin_unended(method, url)).collect();
        match begun {
            Ok(begun) => json!(begun.len()),
            Err(error) => told(Err(error)),
        }
    }

    pub(super) fn abandon(method: &str, url: &str) -> Value {
        drop(begin(method, url));
        fetch(method, url)
    }

    pub(super) fn swell() -> Value {
        let request = OutgoingRequest::new(Fields::new());
        let long = "a".repeat(1 << 20);
        let is_method = request.set_method(&Method::Other(long.clone())).is_ok();
        let is_authority = request.set_authority(Some(&long)).is_ok();
        json!({ "method": is_method, "authority": is_authority })
    }

    fn begin(method: &str, url: &str) -> Result<FutureIncomingResponse, ErrorCode> {
        let (future, body) = begin_unended(method, url)?;
        if method == "POST" {
            let stream = body.write().expect("it is taken once");
            let whole: Vec<u8> = BODY.iter().copied().cycle().take(BODY_BYTES).collect();
            for chunk in whole.chunks(CHUNK_BYTES) {
                if stream.blocking_write_and_flush(chunk).is_err() {
                    break;
                }
            }
        }
        OutgoingBody::finish(body, None)?;
        Ok(future)
    }

    fn begin_unended(
        method: &str,
        url: &str,
    ) -> Result<(FutureIncomingResponse, OutgoingBody), ErrorCode> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let headers = [("x-rogue".to_owned(), b"yes".to_vec())];
        let request = OutgoingRequest::new(Fields::from_list(&headers).expect("a header"));
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            other => Method::Other(other.to_owned()),
        };
        let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
        let is_set = request.set_method(&method).is_ok()
            && request.set_scheme(Some(&scheme)).is_ok()
            && request.set_authority(Some(authority)).is_ok()
            && request.set_path_with_query(Some(path)).is_ok();
        if !is_set {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        let body = request.body().expect("it is taken once");
        Ok((handle(request, None)?, body))
    }

    fn taken(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
        match future.get() {
            Some(Ok(outcome)) => outcome,
            Some(Err(())) => Err(ErrorCode::InternalError(Some("taken twice".to_owned()))),
            None => Err(ErrorCode::InternalError(Some("not there yet".to_owned()))),
        }
    }

    fn told(outcome: Result<IncomingResponse, ErrorCode>) -> Value {
        let response = match outcome {
            Ok(response) => response,
            Err(code) => return json!({ "error": format!("{code:?}") }),
        };
        let location = response.headers().get("location");
        let location = location.first().map(|value| String::from_utf8_lossy(value).into_owned());
        let mut bytes = Vec::new();
        let body = response.consume().expect("it is taken once");
        let stream = body.stream().expect("it is taken once");
        while let Ok(chunk) = stream.blocking_read(CHUNK_BYTES as u64) {
            bytes.extend_from_slice(&chunk);
        }
        json!({
            "status": response.status(),
            "location": location,
            "body": String::from_utf8_lossy(&bytes),
        })
    }
}

/// Natively there is no `wasi:http`.
#[cfg(not(target_os = "wasi"))]
mod wire {
    use serde_json::{Value, json};

    pub(super) fn fetch(_: &str, _: &str) -> Value {
        json!({ "error": "no wasi:http" })
    }

    pub(super) fn race(method: &str, url: &str) -> Value {
        fetch(method, url)
    }

    pub(super) fn abandon(method: &str, url: &str) -> Value {
        fetch(method, url)
    }

    pub(super) fn swell() -> Value {
        fetch("", "")
    }

    pub(super) fn together(method: &str, url: &str, _: u64) -> Value {
        json!([fetch(method, url)])
    }

    pub(super) fn leave_open(method: &str, url: &str, _: u64) -> Value {
        fetch(method, url)
    }
}
