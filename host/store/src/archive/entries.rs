//! What each entry of an archive of a run is, in the order in which they come.
use domain::Digest;

use super::pack::Entry;
use super::{
    ATTEMPTS, ArchiveError, BODIES, CALLS, EVENTS, HTTP_REQUESTS, MANIFEST, PLUGIN_SUFFIX, PLUGINS,
    digest_in,
};
use crate::database::DATABASE_FILE;

/// Largest manifest, in bytes: names of a thousand components.
pub(super) const MANIFEST_BYTES_MAX: u64 = 256 << 10;
/// Longest line, in bytes: a call with the longest conversation, escaped twice.
pub(super) const LINE_BYTES_MAX: u64 = 64 << 20;
/// Largest text, in bytes: far more than a profile lets a stage make.
pub(super) const BODY_BYTES_MAX: u64 = 256 << 20;

/// An entry by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Manifest,
    Events,
    Attempts,
    Calls,
    HttpRequests,
    Body(Digest),
    Plugin(Digest),
}

impl Kind {
    pub(super) fn of(entry: &Entry<'_>) -> Result<Self, ArchiveError> {
        let name = entry.name();
        match name {
            MANIFEST => Ok(Kind::Manifest),
            EVENTS => Ok(Kind::Events),
            ATTEMPTS => Ok(Kind::Attempts),
            CALLS => Ok(Kind::Calls),
            HTTP_REQUESTS => Ok(Kind::HttpRequests),
            DATABASE_FILE => {
                Err(ArchiveError::bad(name, "a backup has it, and an archive of a run has not"))
            }
            _ => {
                if let Some(hex) = name.strip_prefix(BODIES) {
                    return digest_in(name, hex).map(Kind::Body);
                }
                let plugin = name.strip_prefix(PLUGINS);
                if let Some(hex) = plugin.and_then(|name| name.strip_suffix(PLUGIN_SUFFIX)) {
                    return digest_in(name, hex).map(Kind::Plugin);
                }
                Err(ArchiveError::bad(name, "an archive of a run has no such entry"))
            }
        }
    }

    /// Its place among the others; no later entry has a lower one.
    pub(super) fn place(&self) -> u8 {
        match self {
            Kind::Manifest => 0,
            Kind::Events => 1,
            Kind::Attempts => 2,
            Kind::Calls => 3,
            Kind::HttpRequests => 4,
            Kind::Body(_) => 5,
            Kind::Plugin(_) => 6,
        }
    }

    /// Whether there is no more than one.
    pub(super) fn is_single(&self) -> bool {
        self.place() <= 4
    }
}
