//! Who may call: a table of callers.
use axum::body::Body;
use axum::http::{HeaderName, Request, StatusCode, header};

use super::stages::Stages;
use super::support::Host;
use crate::{Access, Token};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A caller, by its headers.
type Caller<'a> = &'a [(HeaderName, &'a str)];

fn request(method: &str, path: &str, caller: Caller<'_>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in caller {
        request = request.header(name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn host_with(access: Access) -> Host {
    Host::with(Stages::unhindered(), access).await
}

/// Asks for a list, which changes nothing.
async fn get(host: &Host, caller: Caller<'_>) -> u16 {
    host.send(request("GET", "/api/v2/providers", caller)).await.status.as_u16()
}

/// Asks for a check, which counts as a change.
async fn post(host: &Host, caller: Caller<'_>) -> u16 {
    host.send(request("POST", "/api/v2/providers/scripted/check", caller)).await.status.as_u16()
}

#[tokio::test]
async fn a_loopback_server_goes_by_its_loopback_names_only() {
    let host = host_with(Access::loopback()).await;
    let own =
        ["127.0.0.1", "127.0.0.1:8766", "127.1.2.3:1", "localhost:8766", "LOCALHOST", "[::1]:8766"];
    for name in own {
        assert_eq!(get(&host, &[(header::HOST, name)]).await, 200, "{name}");
    }
    let strange = [
        "evil.example",
        "evil.example:8766",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.2:8766",
        "user@127.0.0.1",
        "",
        "a b",
    ];
    for name in strange {
        assert_eq!(get(&host, &[(header::HOST, name)]).await, 421, "{name}");
    }
    assert_eq!(get(&host, &[]).await, 421);
    let two = [(header::HOST, "127.0.0.1"), (header::HOST, "evil.example")];
    assert_eq!(get(&host, &two).await, 421);
    let answer =
        host.send(request("GET", "/api/v2/providers", &[(header::HOST, "evil.example")])).await;
    answer.refused(421, "host_not_allowed");
}

#[tokio::test]
async fn a_server_also_goes_by_the_names_that_it_was_given() {
    let host = host_with(Access::loopback().with_host("Stages.example")).await;
    assert_eq!(get(&host, &[(header::HOST, "stages.example:80")]).await, 200);
    assert_eq!(get(&host, &[(header::HOST, "other.example")]).await, 421);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let access = Access::loopback().with_origin("https://desk.example/");
    let host = host_with(access).await;
    let from = |origin: &'static str| [(header::HOST, "127.0.0.1:8766"), (header::ORIGIN, origin)];
    assert_eq!(post(&host, &from("http://127.0.0.1:8766")).await, 200);
    assert_eq!(post(&host, &from("https://desk.example")).await, 200);
    for origin in [
        "https://evil.example",
        "http://127.0.0.1:3000",
        "http://localhost:8766",
        "null",
        "file://",
        "chrome-extension://127.0.0.1:8766",
    ] {
        assert_eq!(post(&host, &from(origin)).await, 403, "{origin}");
        assert_eq!(get(&host, &from(origin)).await, 403, "{origin}");
    }
    let answer = host.send(request("GET", "/api/v1/health", &from("null"))).await;
    answer.refused(403, "origin_not_allowed");
}

#[tokio::test]
async fn a_browser_that_says_it_comes_from_elsewhere_changes_nothing() {
    let host = host_with(Access::loopback()).await;
    let with = |site: &'static str| [(header::HOST, "127.0.0.1:8766"), (FETCH_SITE, site)];
    for (site, expected) in
        [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
    {
        assert_eq!(post(&host, &with(site)).await, expected, "{site}");
        assert_eq!(get(&host, &with(site)).await, 200, "{site}: a link may lead here");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere_but_at_health() {
    let host = host_with(Access::network(Some(Token::new("open sesame")))).await;
    let with = |authorization: &'static str| {
        [(header::HOST, "192.168.1.2:8766"), (header::AUTHORIZATION, authorization)]
    };
    assert_eq!(get(&host, &with("Bearer open sesame")).await, 200);
    assert_eq!(get(&host, &with("bearer open sesame")).await, 200);
    for wrong in ["Bearer open", "Bearer", "Bearer ", "Basic open sesame", "open sesame"] {
        assert_eq!(get(&host, &with(wrong)).await, 401, "{wrong}");
    }
    let nameless = [(header::HOST, "192.168.1.2:8766")];
    let answer = host.send(request("GET", "/api/openapi.json", &nameless)).await;
    answer.refused(401, "unauthorized");
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    let health = host.send(request("GET", "/api/v1/health", &nameless)).await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(
        get(
            &host,
            &[(header::HOST, "evil.example"), (header::AUTHORIZATION, "Bearer open sesame")]
        )
        .await,
        421
    );
}

#[tokio::test]
async fn the_process_itself_is_asked_nothing() {
    let host = host_with(Access::in_process()).await;
    assert_eq!(get(&host, &[]).await, 200);
}
