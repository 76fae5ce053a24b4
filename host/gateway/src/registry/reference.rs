//! What names a plugin in a registry: `registry.example.com/acme/outline:1.0.0`, or `...@sha256:...`. The grammar is
//! that of the OCI Distribution Specification. Nothing is added that was not said: no registry, and no tag `latest`.
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use domain::Digest;

/// Longest name of a repository, in bytes: what registries accept.
const REPOSITORY_BYTES_MAX: usize = 255;
/// Longest tag, in bytes, by the specification.
const TAG_BYTES_MAX: usize = 128;
/// Longest name of a host, in bytes, by RFC 1035.
const HOST_BYTES_MAX: usize = 253;

/// The host of a registry, with its port where it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RegistryHost(Box<str>); // Invariant: `host`, `host:port` or `[v6]:port` in lower case, and nothing else.

/// Which manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The one that a tag leads to today.
    Tag(String),
    /// The one with this digest, for ever.
    Digest(Digest),
}

/// A place in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    host: RegistryHost,
    repository: String,
    wanted: Wanted,
}

/// Why a text names no place in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// The host of a registry is not one.
    #[error("`{0}` is no host of a registry")]
    Host(String),
    /// There is no repository.
    #[error("it names no repository within a registry")]
    RepositoryMissing,
    /// The repository cannot be one.
    #[error("`{0}` is no name of a repository")]
    Repository(String),
    /// It says neither a tag nor a digest.
    #[error("it says neither a tag nor a digest")]
    WantedMissing,
    /// The tag cannot be one.
    #[error("`{0}` is no tag")]
    Tag(String),
    /// The digest is not one.
    #[error("`{0}` is no digest: {1}")]
    Digest(String, domain::InvalidId),
}

impl InvalidReference {
    /// What to do about it, as one imperative sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            InvalidReference::Host(_) => {
                "write the host of the registry first, with its port if it has one, and without `https://`, e.g. `registry.example.com/acme/outline:1.0.0`"
            }
            InvalidReference::RepositoryMissing | InvalidReference::Repository(_) => {
                "write the repository after the host, in lower-case letters, digits, `.`, `_`, `-` and `/`, e.g. `registry.example.com/acme/outline:1.0.0`"
            }
            InvalidReference::WantedMissing | InvalidReference::Tag(_) => {
                "end it with a tag such as `:1.0.0`, of up to 128 letters, digits, `_`, `.` and `-`, or with `@sha256:...`"
            }
            InvalidReference::Digest(..) => "copy the digest again: `sha256:` and 64 digits",
        }
    }
}

impl RegistryHost {
    /// As it is written in a reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this machine, which is spoken to without TLS unless something else is configured.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.without_port())
    }

    fn without_port(&self) -> &str {
        split_port(&self.0).0
    }
}

/// Whether a host of an address is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    // Systems take `0.0.0.0` and `::` for this machine, and a mapped address for the one that it carries.
    let is_here = |address: IpAddr| {
        let address = address.to_canonical();
        address.is_loopback() || address.is_unspecified()
    };
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(is_here)
}

/// The port is what follows the last colon, unless that belongs to an IPv6 address.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

impl FromStr for RegistryHost {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = || InvalidReference::Host(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let (host, port) = split_port(&lower);
        let is_address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_name = host.len() <= HOST_BYTES_MAX && host.split('.').all(is_label);
        // A name without dot and port would be somebody's folder at a registry that was not said.
        let is_told = is_address || host.contains('.') || host == "localhost" || port.is_some();
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if !(is_address || is_name) || !is_told || !is_port {
            return Err(invalid());
        }
        Ok(RegistryHost(lower.into()))
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Reference {
    /// The registry.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// The repository within it.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Which manifest of the repository.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The same repository, and the manifest with this digest.
    #[must_use]
    pub fn pinned_to(&self, digest: &Digest) -> Reference {
        Reference { wanted: Wanted::Digest(digest.clone()), ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let (host, rest) = text.split_once('/').unwrap_or((text, ""));
        let host: RegistryHost = host.parse()?;
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = match named.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (named, None),
        };
        if repository.is_empty() {
            return Err(InvalidReference::RepositoryMissing);
        }
        if !is_repository(repository) {
            return Err(InvalidReference::Repository(repository.to_owned()));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(InvalidReference::Tag(tag.to_owned()));
        }
        let wanted = match (digest, tag) {
            // Of a reference with both, a digest is what holds: a tag may have been moved since.
            (Some(digest), _) => Wanted::Digest(
                digest
                    .parse()
                    .map_err(|reason| InvalidReference::Digest(digest.to_owned(), reason))?,
            ),
            (None, Some(tag)) => Wanted::Tag(tag.to_owned()),
            (None, None) => return Err(InvalidReference::WantedMissing),
        };
        Ok(Reference { host, repository: repository.to_owned(), wanted })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Tag(tag) => write!(out, "{}/{}:{tag}", self.host, self.repository),
            Wanted::Digest(digest) => write!(out, "{}/{}@{digest}", self.host, self.repository),
        }
    }
}

/// Parts of lower-case letters and digits, between them `.`, `_`, `__` or dashes, and slashes between names.
fn is_repository(text: &str) -> bool {
    let is_kept = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_name = |name: &str| {
        let separators = name.split(|letter: char| letter.is_ascii() && is_kept(letter as u8));
        let inner = |separator: &str| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        };
        name.bytes().next().is_some_and(is_kept)
            && name.bytes().last().is_some_and(is_kept)
            && separators.into_iter().all(inner)
    };
    text.len() <= REPOSITORY_BYTES_MAX && text.split('/').all(is_name)
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= TAG_BYTES_MAX
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_reference_keeps_what_was_said() {
        for text in [
            "registry.example.com/acme/outline:1.0.0",
            "localhost/outline:1",
            "localhost:5000/a__b/c-d--e/f.g:_x.Y-z",
            "[::1]:5000/outline:1",
            &format!("ghcr.io/acme/outline@sha256:{HEX}"),
        ] {
            assert_eq!(text.parse::<Reference>().map(|parsed| parsed.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn a_digest_counts_more_than_a_tag() {
        let text = format!("ghcr.io/acme/outline:1.0.0@sha256:{HEX}");
        let parsed: Reference = text.parse().unwrap();
        assert_eq!(parsed.to_string(), format!("ghcr.io/acme/outline@sha256:{HEX}"));
    }

    #[test]
    fn what_names_no_place_is_refused_with_the_part_at_fault() {
        let too_long = "a".repeat(REPOSITORY_BYTES_MAX + 1);
        let refused = |text: &str| text.parse::<Reference>().unwrap_err();
        for host in ["outline:x", "acme/outline:1", "https://ghcr.io/a:1", "a..b/c:1", "-a.b/c:1"] {
            assert!(matches!(refused(host), InvalidReference::Host(_)), "{host}");
        }
        for port in ["ghcr.io:0/a:1", "ghcr.io:x/a:1", "ghcr.io:65536/a:1", "me@ghcr.io/a:1"] {
            assert!(matches!(refused(port), InvalidReference::Host(_)), "{port}");
        }
        for repository in ["A", "a//b", "../b", "a/./b", "-a", "a___b", "a%2f", "ä", &too_long] {
            let text = format!("ghcr.io/{repository}:1");
            assert!(matches!(refused(&text), InvalidReference::Repository(_)), "{text}");
        }
        assert_eq!(refused("ghcr.io"), InvalidReference::RepositoryMissing);
        assert_eq!(refused("ghcr.io/a"), InvalidReference::WantedMissing);
        assert!(matches!(refused("ghcr.io/a:.x"), InvalidReference::Tag(_)));
        assert!(matches!(refused("ghcr.io/a:b:c"), InvalidReference::Tag(_)));
        assert!(matches!(refused("ghcr.io/a@sha256:12"), InvalidReference::Digest(..)));
        assert!(matches!(
            refused(&format!("ghcr.io/a@sha512:{HEX}")),
            InvalidReference::Digest(..)
        ));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (host, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.9.0.1:5000", true),
            ("[::1]:5000", true),
            ("[::ffff:127.0.0.1]:5000", true),
            ("0.0.0.0:5000", true),
            ("registry.localhost:5000", true),
            ("10.0.0.1:5000", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(host.parse::<RegistryHost>().unwrap().is_loopback(), expected, "{host}");
        }
    }
}
