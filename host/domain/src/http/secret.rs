//! What of a request is a secret of the stage, or of whoever wrote its settings, by its name: it is sent, and neither kept
//! nor shown.

/// What stands in the names of secrets, of headers as of parameters of a URL: `authorization`, `x-api-key`,
/// `private-token`, `X-Amz-Signature` and what others have thought of.
const SECRET_WORDS: [&str; 13] = [
    "auth",
    "bearer",
    "cookie",
    "credential",
    "hmac",
    "jwt",
    "key",
    "passw",
    "pwd",
    "secret",
    "session",
    "signature",
    "token",
];
/// Whole names of secrets that have no such word.
const SECRET_NAMES: [&str; 3] = ["pass", "sas", "sig"];
/// Names with such a word that are no secrets. The first one tells whether a request has arrived that was cut off.
const OPEN_NAMES: [&str; 5] = ["idempotency-key", "author", "authors", "keyword", "keywords"];
/// What stands in a URL in place of a secret.
const MASK: &str = "***";

/// Whether the value of a header, or of a parameter in a URL, is a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_word = || SECRET_WORDS.iter().any(|word| name.contains(word));
    !OPEN_NAMES.contains(&&*name) && (SECRET_NAMES.contains(&&*name) || is_word())
}

/// A URL as it is kept and shown: parameters that name a secret have no value, and a user no name and no password.
pub fn masked_url(url: &str) -> String {
    let (url, fragment) = split_before(url, '#');
    let (place, query) = split_before(url, '?');
    let mut masked = without_user(place);
    if let Some(parameters) = query.strip_prefix('?') {
        masked.push('?');
        let shown: Vec<String> = parameters.split('&').map(parameter).collect();
        masked.push_str(&shown.join("&"));
    }
    masked.push_str(fragment);
    masked
}

fn parameter(text: &str) -> String {
    match text.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret(&unescaped(name)) => {
            format!("{name}={MASK}")
        }
        Some(_) | None => text.to_owned(),
    }
}

fn without_user(place: &str) -> String {
    let Some((scheme, rest)) = place.split_once("://") else { return place.to_owned() };
    let (authority, path) = split_before(rest, '/');
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => place.to_owned(),
    }
}

/// A text up to a letter, and from there on.
fn split_before(text: &str, letter: char) -> (&str, &str) {
    text.split_at(text.find(letter).unwrap_or(text.len()))
}

/// The letters behind `%6b` and the like: `api%5fkey` is `api_key` to a server.
fn unescaped(name: &str) -> String {
    let mut letters = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| behind.first_chunk::<2>())
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        letters.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&letters).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_words() {
        for name in [
            "Authorization",
            "cookie",
            "x-api-key",
            "private-token",
            "ocp-apim-subscription-key",
            "apiKey",
            "X-Amz-Credential",
            "sig",
            "x-jwt-assertion",
            "PHPSESSIONID",
            "x-hub-hmac",
            "bearer",
            "SAS",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "accept",
            "content-type",
            "Idempotency-Key",
            "user-agent",
            "x-request-id",
            "keywords",
            "author",
            "design",
            "sassafras",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_url_keeps_everything_but_its_secrets() {
        for (url, expected) in [
            ("https://a.example/b?q=honey&page=2", "https://a.example/b?q=honey&page=2"),
            ("https://a.example/b?api_key=s3&q=key", "https://a.example/b?api_key=***&q=key"),
            ("https://a.example?q=1&TOKEN=a=b#f", "https://a.example?q=1&TOKEN=***#f"),
            ("https://a.example/?api%5Fk%65y=s3", "https://a.example/?api%5Fk%65y=***"),
            ("https://a.example/?sig=%2F&token=&key", "https://a.example/?sig=***&token=&key"),
            ("https://me:s3@a.example:8/b@c?x=1", "https://***@a.example:8/b@c?x=1"),
            ("https://a.example/?100%&%6=1&key%=s3", "https://a.example/?100%&%6=1&key%=***"),
            ("nonsense?secret=s3", "nonsense?secret=***"),
            ("https://a.example/token/s3", "https://a.example/token/s3"),
        ] {
            assert_eq!(masked_url(url), expected);
            assert_eq!(masked_url(expected), expected, "masked twice");
        }
    }
}
