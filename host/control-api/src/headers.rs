//! Headers that every answer carries, so that a browser does nothing with it but show it.
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Nothing may be loaded, run, framed or submitted.
pub(crate) const NOTHING_ALLOWED: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// Adds the headers, where the answer does not have them already.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    add(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(headers, header::CACHE_CONTROL, "no-store");
    add(headers, header::CONTENT_SECURITY_POLICY, NOTHING_ALLOWED);
    add(headers, header::REFERRER_POLICY, "no-referrer");
    add(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    response
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
