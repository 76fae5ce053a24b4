//! Artifacts: the results of a stage that a person can open.
use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// Longest name of an artifact, in bytes. File systems allow 255; the rest is left for suffixes of temporary files.
pub const ARTIFACT_NAME_BYTES_MAX: usize = 128;

/// The name of an artifact: a file name that is safe to create in any folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactName(Box<str>); // Invariant: see `FromStr`.

/// Why a text cannot be an artifact's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArtifactName {
    /// Empty, or over [`ARTIFACT_NAME_BYTES_MAX`].
    #[error("it has {found} bytes, not 1 to {ARTIFACT_NAME_BYTES_MAX}")]
    Size {
        /// Bytes found.
        found: usize,
    },
    /// `/`, `\` or `:` would name another place.
    #[error("it has a path separator")]
    Separator,
    /// `.`, `..`, or a leading dot, which hides the file.
    #[error("it starts with a dot")]
    Dot,
    /// A control character.
    #[error("it has a control character")]
    Control,
    /// A blank at the start or the end, or a dot at the end, which some file systems drop.
    #[error("it starts or ends with a blank, or ends with a dot")]
    Edge,
    /// A name that the host uses for its own files.
    #[error("it is reserved for the host")]
    Reserved,
}

/// Whether a media type says that a text is JSON: `application/json`, or one that ends with `+json` (RFC 6839).
pub fn is_json_media_type(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// Files that the host writes beside the artifacts of a stage.
const RESERVED: [&str; 2] = ["output.json", "manifest.json"];

impl FromStr for ArtifactName {
    type Err = InvalidArtifactName;

    fn from_str(text: &str) -> Result<Self, InvalidArtifactName> {
        if text.is_empty() || text.len() > ARTIFACT_NAME_BYTES_MAX {
            return Err(InvalidArtifactName::Size { found: text.len() });
        }
        if text.contains(['/', '\\', ':']) {
            return Err(InvalidArtifactName::Separator);
        }
        if text.starts_with('.') {
            return Err(InvalidArtifactName::Dot);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidArtifactName::Control);
        }
        if text.trim() != text || text.ends_with('.') {
            return Err(InvalidArtifactName::Edge);
        }
        if RESERVED.iter().any(|reserved| text.eq_ignore_ascii_case(reserved)) {
            return Err(InvalidArtifactName::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl ArtifactName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// An artifact with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its file name.
    pub name: ArtifactName,
    /// For example `text/markdown`.
    pub media_type: String,
    /// Its text.
    pub body: String,
}

/// An artifact without its text: what events and lists carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRef {
    /// Its file name.
    pub name: ArtifactName,
    /// For example `text/markdown`.
    pub media_type: String,
    /// Digest of the text's bytes, under which the store keeps it.
    pub digest: Digest,
    /// Size of the text, in bytes.
    pub size_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: InvalidArtifactName) {
        assert_eq!(text.parse::<ArtifactName>(), Err(expected));
    }

    #[test]
    fn a_media_type_says_json_by_its_name_or_its_suffix() {
        for media_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/ld+json"]
        {
            assert!(is_json_media_type(media_type), "{media_type}");
        }
        for media_type in ["text/markdown", "application/jsonl", "application/json-seq", ""] {
            assert!(!is_json_media_type(media_type), "{media_type}");
        }
    }

    #[test]
    fn a_file_name_is_accepted() {
        assert_eq!("research.md".parse::<ArtifactName>().unwrap().as_str(), "research.md");
        assert!("Überblick (2).md".parse::<ArtifactName>().is_ok());
    }

    #[test]
    fn nothing_that_names_another_place_is_accepted() {
        refused("../evil.md", InvalidArtifactName::Separator);
        refused("a\\b", InvalidArtifactName::Separator);
        refused("c:evil", InvalidArtifactName::Separator);
        refused("..", InvalidArtifactName::Dot);
        refused(".env", InvalidArtifactName::Dot);
        refused("a\0b", InvalidArtifactName::Control);
        refused("a ", InvalidArtifactName::Edge);
        refused("Manifest.json", InvalidArtifactName::Reserved);
        refused("", InvalidArtifactName::Size { found: 0 });
        refused(&"a".repeat(129), InvalidArtifactName::Size { found: 129 });
    }
}
