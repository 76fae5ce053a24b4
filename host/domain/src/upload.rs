//! Plugins that came to a host over its API, and why one does not come, or does not go.
use crate::plan::PinnedPlugin;
use crate::port::{KnownPlugin, PluginError};
use crate::{Digest, Timestamp};

/// Largest plugin, in bytes. A Python component with its standard library has about 40 MiB.
pub const PLUGIN_BYTES_MAX: u64 = 128 << 20;

/// How a plugin came to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file in which the host keeps it.
    pub path: String,
    /// When it came.
    pub at: Timestamp,
    /// Who sent it, if that is known.
    pub by: Option<String>,
}

/// A plugin that was uploaded. Also one whose file was damaged since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPlugin {
    /// What it was when it came.
    pub plugin: PinnedPlugin,
    /// How it came.
    pub upload: Upload,
}

/// A plugin that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlugin {
    /// When it comes.
    pub at: Timestamp,
    /// Who sends it, if that is known.
    pub by: Option<String>,
    /// What becomes of another one with its name and version.
    pub namesake: Namesake,
}

/// What becomes of an earlier plugin with the name and the version of one that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namesake {
    /// It stays, and the other one is refused: nobody is to find another plugin under a version that they know.
    Stays,
    /// Name and version mean the one that comes. The earlier one is still found by its digest.
    StepsBack,
}

/// What came of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is kept from now on.
    New(KnownPlugin),
    /// The same bytes were here.
    Known(KnownPlugin),
    /// The same bytes were here, and their name and version, which meant another plugin, mean them from now on.
    Latest(KnownPlugin),
}

impl Added {
    /// The plugin.
    pub fn plugin(&self) -> &KnownPlugin {
        match self {
            Added::New(plugin) | Added::Known(plugin) | Added::Latest(plugin) => plugin,
        }
    }
}

/// Why an upload is not kept, or does not go. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// It cannot be used, or not be read or written.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Another plugin has its name and version.
    #[error("`{name}@{version}` is another plugin here: {place} with the digest `{digest}`")]
    VersionTaken {
        /// The name.
        name: String,
        /// The version.
        version: String,
        /// The digest of the one that is here.
        digest: Digest,
        /// Where it lies.
        place: String,
        /// Whether the upload may take its place if the caller says so.
        may_step_back: bool,
    },
    /// Too many uploads are being checked.
    #[error("{waiting_count} uploads wait to be checked already")]
    Busy {
        /// How many.
        waiting_count: usize,
    },
    /// The host wants no answer any more.
    #[error("the host is shutting down")]
    CalledOff,
    /// It did not come as an upload, so the host does not remove it.
    #[error("`{asked}` was not uploaded: {place}")]
    NotUploaded {
        /// The text that named it.
        asked: String,
        /// Where it comes from instead.
        place: String,
        /// The file, if it is a person's.
        path: Option<String>,
    },
    /// It was removed, and runs that are bound to it keep their copy.
    #[error("nothing of `{asked}` is in the store: runs that are bound to it keep their copy")]
    OnlyBound {
        /// The digest that named it.
        asked: String,
    },
    /// Several uploads go by the name.
    #[error("`{asked}` may be any of {}", candidates.join(", "))]
    Ambiguous {
        /// The text that named them.
        asked: String,
        /// All of them, with version and digest.
        candidates: Vec<String>,
    },
}
