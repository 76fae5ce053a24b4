//! Where a server is, what is sent with each request, and the connections to it.
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use super::{Protocol, Server};
use crate::config::Error;
use crate::outgoing::{self, ClientError, Reach};
use crate::redact::Secrets;

/// How long an idle connection is kept. Most servers close after 60 seconds or later; a question that meets a closing
/// connection costs another try.
const IDLE_CONNECTION_TIME_MAX: Duration = Duration::from_secs(50);
/// The version of the protocol that `anthropic` is written for.
const ANTHROPIC_VERSION: &str = "2023-06-01";

impl Server {
    /// The connections to the server. Made at the first question, because reading the system's certificates takes
    /// milliseconds that a start without a question need not pay.
    pub(super) fn client(&self) -> Result<&Client, &str> {
        let made =
            self.client.get_or_init(|| self.connectable().map_err(|error| error.to_string()));
        made.as_ref().map_err(String::as_str)
    }

    fn connectable(&self) -> Result<Client, ClientError> {
        let reach = match self.base.scheme() {
            "http" => Reach::Unencrypted,
            _ => Reach::Encrypted,
        };
        let builder = outgoing::builder(reach, self.bounds.connect_time_max)?;
        Ok(builder.pool_idle_timeout(IDLE_CONNECTION_TIME_MAX).build()?)
    }
}

pub(super) fn parse_base_url(text: &str, protocol: Protocol) -> Result<Url, &'static str> {
    let mut base = Url::parse(text.trim()).map_err(|_| "it is no URL")?;
    if base.scheme() != "http" && base.scheme() != "https" {
        return Err("it starts with neither `https://` nor `http://`");
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err("it holds a user name or a password");
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err("it has a part after `?` or `#`");
    }
    let path = base.path().trim_end_matches('/');
    match protocol {
        Protocol::OpenAi if path.ends_with("/chat/completions") => {
            Err("it ends with `/chat/completions`, which is added to it")
        }
        Protocol::Anthropic if path.ends_with("/messages") => {
            Err("it ends with `/messages`, which is added to it")
        }
        Protocol::Anthropic => {
            // Half of the world writes this address with the version, as all others are written.
            if let Some(path) = path.strip_suffix("/v1").map(str::to_owned) {
                base.set_path(&path);
            }
            Ok(base)
        }
        Protocol::OpenAi => Ok(base),
    }
}

/// What goes with every request. What the configuration adds replaces what is usual; all of it may be secret.
pub(super) fn headers(
    provider: &str,
    protocol: Protocol,
    key: Option<&SecretString>,
    extra: &[(String, SecretString)],
    secrets: &mut Secrets,
) -> Result<HeaderMap, Error> {
    let mut headers = usual_headers(protocol);
    if let Some(key) = key {
        secrets.add_key(key);
        let (name, value) = key_header(provider, protocol, key)?;
        headers.insert(name, value);
    }
    for (name, value) in extra {
        secrets.add_header(value);
        let (name, value) = extra_header(provider, name, value)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn usual_headers(protocol: Protocol) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
    if protocol == Protocol::Anthropic {
        let version = HeaderName::from_static("anthropic-version");
        headers.insert(version, HeaderValue::from_static(ANTHROPIC_VERSION));
    }
    headers
}

fn key_header(
    provider: &str,
    protocol: Protocol,
    key: &SecretString,
) -> Result<(HeaderName, HeaderValue), Error> {
    let bad = || Error::BadKey { provider: provider.to_owned() };
    let key = key.expose_secret();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(bad());
    }
    let (name, value) = match protocol {
        Protocol::OpenAi => (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))),
        Protocol::Anthropic => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key)),
    };
    let mut value = value.map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn extra_header(
    provider: &str,
    name: &str,
    value: &SecretString,
) -> Result<(HeaderName, HeaderValue), Error> {
    let bad = || Error::BadHeader { provider: provider.to_owned(), header: name.to_owned() };
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok((name, value))
}

pub(super) fn is_loopback(base: &Url) -> bool {
    base.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Anthropic, OpenAi, Provider};

    fn server(base_url: &str) -> Server {
        let server =
            OpenAi { base_url: base_url.to_owned(), key: Some("k".into()), headers: Vec::new() };
        Server::parse(&Provider::openai("mine", server, "m")).expect("the provider is well formed")
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

    #[test]
    fn the_address_for_messages_is_the_same_with_and_without_the_version() {
        for base_url in [
            "https://api.example.com",
            "https://api.example.com/",
            "https://api.example.com/v1",
            "https://api.example.com/v1/",
        ] {
            let kind = Anthropic { base_url: base_url.to_owned(), key: None, headers: Vec::new() };
            let server = Server::parse(&Provider::anthropic("mine", kind, "m")).unwrap();
            assert_eq!(server.ask_url.as_str(), "https://api.example.com/v1/messages");
            assert_eq!(server.base_url(), "https://api.example.com");
        }
        let whole = parse_base_url("https://api.example.com/v1/messages", Protocol::Anthropic);
        assert!(whole.unwrap_err().contains("`/messages`"));
    }
}
