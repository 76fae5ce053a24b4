//! Which hosts a profile grants, and which an operator allows. Both are written alike, and both have to say yes.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Most hosts of one list: a stage that needs more wants the whole internet.
pub const HTTP_GRANT_COUNT_MAX: usize = 64;

/// Longest name of a host, in bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;
/// Longest part of a name, in bytes (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;
/// What `https` without a port means.
const HTTPS_PORT: u16 = 443;

/// A host, or all hosts below a name.
///
/// | written | means |
/// |---|---|
/// | `api.example.com` | `https` on port 443 |
/// | `api.example.com:8080` | port 8080 alone, with `https` or `http` |
/// | `*.example.com` | every name that ends with `.example.com`, and not `example.com` itself |
///
/// An address stands as it is, one of version 6 in brackets. Whether a host's address is private is another question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpGrant {
    host: Host,
    /// `None`: 443, and only with `https`.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Host {
    /// In small letters; an address of version 6 without its brackets.
    Exact(Box<str>),
    /// What follows the star, the dot excepted.
    Below(Box<str>),
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// In small letters; an address of version 6 without its brackets.
    pub host: String,
    /// The port, said or meant.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
}

/// A text that names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHttpGrant {
    /// It is a URL.
    #[error("it is an address of a page, not of a host; leave out the scheme and the path")]
    Url,
    /// It is a star.
    #[error("a star stands for the first part of a name of at least three, as in `*.example.com`")]
    Star,
    /// The port is none.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Nothing else.
    #[error(
        "it is not the name of a host: use letters, digits, `-` and `.`, and write other letters in punycode"
    )]
    Name,
}

impl HttpGrant {
    /// Whether a request may go there.
    pub fn allows(&self, target: &HttpTarget) -> bool {
        let is_port = match self.port {
            None => target.is_encrypted && target.port == HTTPS_PORT,
            Some(port) => port == target.port,
        };
        is_port && self.names(&target.host)
    }

    /// Whether it names this host, whatever the port.
    fn names(&self, host: &str) -> bool {
        match &self.host {
            Host::Exact(name) => **name == *host,
            Host::Below(name) => is_below(host, name),
        }
    }

    /// The address that it names in place of a name.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Exact(name) => name.parse().ok(),
            Host::Below(_) => None,
        }
    }

    /// Whether everything that the other one allows is allowed by this one.
    pub fn covers(&self, other: &HttpGrant) -> bool {
        let is_port =
            self.port == other.port || (self.port == Some(HTTPS_PORT) && other.port.is_none());
        is_port && self.covers_host(other)
    }

    /// The same, whatever their ports.
    pub fn covers_host(&self, other: &HttpGrant) -> bool {
        match (&self.host, &other.host) {
            (Host::Exact(one), Host::Exact(another)) => one == another,
            (Host::Exact(_), Host::Below(_)) => false,
            (Host::Below(name), Host::Exact(host)) => is_below(host, name),
            (Host::Below(name), Host::Below(lower)) => name == lower || is_below(lower, name),
        }
    }
}

fn is_below(host: &str, name: &str) -> bool {
    let first = host.strip_suffix(name).and_then(|rest| rest.strip_suffix('.'));
    first.is_some_and(|first| !first.is_empty())
}

impl FromStr for HttpGrant {
    type Err = InvalidHttpGrant;

    fn from_str(text: &str) -> Result<Self, InvalidHttpGrant> {
        if text.contains(['/', '?', '#', '@']) {
            return Err(InvalidHttpGrant::Url);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(InvalidHttpGrant::Name)?;
            let address: Ipv6Addr = address.parse().map_err(|_| InvalidHttpGrant::Name)?;
            let host = Host::Exact(address.to_string().into());
            let port = match port.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if port.is_empty() => None,
                None => return Err(InvalidHttpGrant::Port),
            };
            return Ok(Self { host, port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        Ok(Self { host: parse_host(&host.to_ascii_lowercase())?, port })
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidHttpGrant> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| is_number && *port > 0);
    port.ok_or(InvalidHttpGrant::Port)
}

fn parse_host(text: &str) -> Result<Host, InvalidHttpGrant> {
    // A last part that begins with a digit makes it an address of version 4, or nothing: URLs read `127.1` as `127.0.0.1`.
    let last = text.rsplit('.').next().unwrap_or_default();
    let looks_like_address = last.starts_with(|first: char| first.is_ascii_digit());
    if let Some(name) = text.strip_prefix("*.") {
        // `*.com` is half of the internet.
        return match is_name(name) && name.contains('.') && !looks_like_address {
            true => Ok(Host::Below(name.into())),
            false => Err(InvalidHttpGrant::Star),
        };
    }
    if text.contains('*') {
        return Err(InvalidHttpGrant::Star);
    }
    match is_name(text) && (!looks_like_address || is_address(text)) {
        true => Ok(Host::Exact(text.into())),
        false => Err(InvalidHttpGrant::Name),
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            })
    };
    text.len() <= HOST_BYTES_MAX && text.split('.').all(is_label)
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Exact(host) if host.contains(':') => write!(out, "[{host}]")?,
            Host::Exact(host) => out.write_str(host)?,
            Host::Below(name) => write!(out, "*.{name}")?,
        }
        match self.port {
            Some(port) => write!(out, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HttpTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]", self.host)?;
        } else {
            out.write_str(&self.host)?;
        }
        match self.is_encrypted && self.port == HTTPS_PORT {
            true => Ok(()),
            false => write!(out, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> HttpGrant {
        text.parse().unwrap_or_else(|error| panic!("`{text}`: {error}"))
    }

    fn https(host: &str) -> HttpTarget {
        HttpTarget { host: host.to_owned(), port: 443, is_encrypted: true }
    }

    fn http(host: &str, port: u16) -> HttpTarget {
        HttpTarget { host: host.to_owned(), port, is_encrypted: false }
    }

    #[test]
    fn a_host_without_a_port_is_reached_encrypted_alone() {
        let api = grant("API.example.com");
        assert!(api.allows(&https("api.example.com")));
        assert!(!api.allows(&http("api.example.com", 80)));
        assert!(!api.allows(&HttpTarget { port: 8443, ..https("api.example.com") }));
        for other in
            ["example.com", "x.api.example.com", "api.example.com.evil.org", "api.example.com."]
        {
            assert!(!api.allows(&https(other)), "{other}");
        }
    }

    #[test]
    fn a_port_is_that_port_alone() {
        let local = grant("localhost:8080");
        assert!(local.allows(&http("localhost", 8080)));
        assert!(!local.allows(&https("localhost")));
        assert!(!local.allows(&http("localhost", 80)));
    }

    #[test]
    fn a_star_is_every_name_below_and_not_the_name_itself() {
        let all = grant("*.example.org");
        for host in ["a.example.org", "b.a.example.org"] {
            assert!(all.allows(&https(host)), "{host}");
        }
        for host in ["example.org", ".example.org", "aexample.org", "a.example.org.evil.com"] {
            assert!(!all.allows(&https(host)), "{host}");
        }
    }

    #[test]
    fn what_covers_another_allows_all_that_it_allows() {
        for (one, other, expected) in [
            ("api.example.com", "api.example.com", true),
            ("*.example.com", "api.example.com", true),
            ("*.example.com", "*.api.example.com", true),
            ("*.example.com", "*.example.com", true),
            ("api.example.com", "*.example.com", false),
            ("*.example.com", "example.com", false),
            ("api.example.com", "api.example.com:8080", false),
            ("api.example.com:8080", "api.example.com", false),
            ("api.example.com:443", "api.example.com", true),
            ("api.example.com", "api.example.com:443", false),
        ] {
            assert_eq!(grant(one).covers(&grant(other)), expected, "`{one}` over `{other}`");
        }
    }

    #[test]
    fn a_host_is_covered_whatever_its_port_where_that_is_asked() {
        assert!(grant("localhost").covers_host(&grant("localhost:8977")));
        assert!(grant("*.example.com:1").covers_host(&grant("api.example.com")));
        assert!(!grant("localhost").covers_host(&grant("example.com")));
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, error) in [
            ("https://example.com", InvalidHttpGrant::Url),
            ("example.com/path", InvalidHttpGrant::Url),
            ("user@example.com", InvalidHttpGrant::Url),
            ("*", InvalidHttpGrant::Star),
            ("*.com", InvalidHttpGrant::Star),
            ("*.*.example.com", InvalidHttpGrant::Star),
            ("a.*.com", InvalidHttpGrant::Star),
            ("*.0.0.1", InvalidHttpGrant::Star),
            ("example.com:0", InvalidHttpGrant::Port),
            ("example.com:", InvalidHttpGrant::Port),
            ("example.com:+80", InvalidHttpGrant::Port),
            ("example.com:70000", InvalidHttpGrant::Port),
            ("", InvalidHttpGrant::Name),
            ("bücher.example", InvalidHttpGrant::Name),
            ("example.com.", InvalidHttpGrant::Name),
            ("-a.example.com", InvalidHttpGrant::Name),
            ("127.1", InvalidHttpGrant::Name),
            ("[::1", InvalidHttpGrant::Name),
        ] {
            assert_eq!(text.parse::<HttpGrant>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_grant_is_shown_as_it_is_written() {
        for text in ["api.example.com", "*.example.org", "localhost:8080", "10.0.0.1", "[::1]:80"] {
            assert_eq!(grant(text).to_string(), text);
        }
        assert_eq!(grant("*.0.0.example.com").to_string(), "*.0.0.example.com");
    }
}
