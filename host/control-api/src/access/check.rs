//! The check itself, in front of every handler.
use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Access, Rule, Token, name_of};
use crate::{Code, Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Asks for nothing and says nothing, so that whatever watches over the process can call it without the token.
const HEALTH_PATH: &str = "/api/v1/health";

/// Lets a request through, or answers why not.
pub(crate) async fn refuse_strangers(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    match access.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

impl Access {
    fn judge(&self, request: &Request) -> Result<(), Problem> {
        let Rule::Network { token, hosts, origins, .. } = &*self.rule else { return Ok(()) };
        let host = host_of(request)?;
        expect_own_name(&host, hosts, token.is_some())?;
        expect_own_page(request, &host, origins)?;
        match token {
            Some(token) if request.uri().path() != HEALTH_PATH => {
                expect_token(request.headers(), token)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What the client calls the server. HTTP/1.1 says it in a header, HTTP/2 in the address.
fn host_of(request: &Request) -> Result<Authority, Problem> {
    let mut given = request.headers().get_all(header::HOST).iter();
    let (first, second) = (given.next(), given.next());
    let text = first.and_then(|value| value.to_str().ok());
    let text = text.or_else(|| request.uri().authority().map(Authority::as_str));
    let parsed = text.filter(|text| !text.contains('@')).and_then(|text| text.parse().ok());
    match (parsed, second) {
        (Some(host), None) => Ok(host),
        (None, _) | (_, Some(_)) => Err(Problem::new(
            Code::HostNotAllowed,
            "the request has no `Host` header, more than one, or one that is no host",
        )),
    }
}

fn expect_own_name(host: &Authority, hosts: &[String], has_token: bool) -> Result<(), Problem> {
    let name = name_of(host);
    let address = name.parse::<IpAddr>().ok();
    let is_own = name == "localhost"
        || address.is_some_and(|address| has_token || address.to_canonical().is_loopback())
        || hosts.contains(&name);
    if is_own {
        return Ok(());
    }
    Err(Problem::new(Code::HostNotAllowed, format!("the server does not go by the name `{name}`")))
}

fn expect_own_page(request: &Request, host: &Authority, known: &[String]) -> Result<(), Problem> {
    if let Some(origin) = request.headers().get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("?").to_ascii_lowercase();
        let own = origin.split_once("://").is_some_and(|(scheme, authority)| {
            matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host.as_str())
        });
        if own || known.contains(&origin) {
            return Ok(());
        }
        let detail = format!("the request comes from a page of `{origin}`");
        return Err(Problem::new(Code::OriginNotAllowed, detail));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let site = request.headers().get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    // `same-site` includes every other port of this machine, so it is as strange as `cross-site`.
    if changes && site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        let detail = "the request comes from a page of another site";
        return Err(Problem::new(Code::OriginNotAllowed, detail));
    }
    Ok(())
}

fn expect_token(headers: &HeaderMap, token: &Token) -> Result<(), Problem> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let guess = given.and_then(|given| given.split_once(' '));
    let guess = guess.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let detail = match guess {
        Some((_, guess)) if token.is(guess.trim()) => return Ok(()),
        Some(_) => "the token is not the server's",
        None => "the request has no token",
    };
    Err(Problem::new(Code::Unauthorized, detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
}
