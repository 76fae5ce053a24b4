//! A run as one file, to be kept or to be taken to another host.
//!
//! The file is a gzip-compressed tar (ustar). Its entries are files, in this order:
//!
//! | entry | content |
//! |---|---|
//! | `manifest.json` | `format` (`stagewright-run`), `version`, `run_id`, `status`, `exported_at`, and how many there are of each |
//! | `events.jsonl` | the log, one event a line: `version`, `at`, `event` |
//! | `attempts.jsonl` | what attempts logged and used up |
//! | `calls.jsonl` | model calls with question, answer, and what they had used when they were asked before |
//! | `http-requests.jsonl` | HTTP requests with their answers; only where there are any |
//! | `bodies/<sha256>` | texts of artifacts and results, by their digest |
//! | `plugins/<sha256>.wasm` | the components that the run still needs; none if it is completed |
//!
//! Times are milliseconds since 1970. Events, questions, answers and logs have the form in which the database keeps them.
//! What is not there: the key under which the run was started, which is of its host, and whatever can be made again.
//!
//! Invariant: an archive is checked as a whole before anything of it is kept.
mod check;
mod entries;
mod insert;
pub(crate) mod pack;
mod record;
mod write;

use std::fs::File;

use domain::run::{Run, Status};
use domain::{Digest, RunId};
use serde::{Deserialize, Serialize};

use crate::Error;

pub use check::check;
#[cfg(test)]
pub(crate) use check::check_bounded;
pub(crate) use insert::insert;
pub use pack::ARCHIVE_BYTES_MAX;
pub(crate) use pack::{Entries, Packing};
pub(crate) use write::write;

/// What the manifest calls the format.
const FORMAT: &str = "stagewright-run";
/// The highest version of the format that is read. A run is written in the lowest that has all of it, so that hosts of
/// earlier versions can read it: 2 is that of runs with HTTP requests.
const FORMAT_VERSION: u32 = 2;

const MANIFEST: &str = "manifest.json";
const EVENTS: &str = "events.jsonl";
const ATTEMPTS: &str = "attempts.jsonl";
const CALLS: &str = "calls.jsonl";
const HTTP_REQUESTS: &str = "http-requests.jsonl";
const BODIES: &str = "bodies/";
const PLUGINS: &str = "plugins/";
const PLUGIN_SUFFIX: &str = ".wasm";

/// Why an archive was not made, or not taken in. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is not what it should be.
    #[error("the archive cannot be used: `{entry}`: {detail}")]
    Bad {
        /// The entry at fault.
        entry: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The run is here.
    #[error("run `{0}` is here already")]
    RunExists(RunId),
    /// The run goes on by itself: two hosts must not both do that.
    #[error("run `{run}` is {}", status.as_str())]
    RunActive {
        /// The run.
        run: RunId,
        /// What it does.
        status: Status,
    },
    /// The folder that a backup is to be restored into has something in it.
    #[error("the folder is not empty: `{}`", .0.display())]
    FolderNotEmpty(std::path::PathBuf),
    /// The disk or the database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl ArchiveError {
    pub(crate) fn bad(entry: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        ArchiveError::Bad { entry: entry.into(), detail: detail.to_string() }
    }

    /// What to do about it, as one imperative sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            ArchiveError::Bad { .. } => "make the archive again, with the version that reads it",
            ArchiveError::RunExists(_) => "use the run that is here, or prune it first",
            ArchiveError::RunActive { .. } => {
                "pause it first, then try again; two hosts must not both go on with it"
            }
            ArchiveError::FolderNotEmpty(_) => "name a folder that is empty or does not exist",
            ArchiveError::Store(error) => error.hint(),
        }
    }
}

/// What an archive says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: String,
    version: u32,
    run_id: String,
    status: String,
    exported_at: i64,
    event_count: u64,
    attempt_count: u64,
    call_count: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    http_request_count: u64,
    body_count: u64,
    plugins: Vec<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// An archive in which nothing is wrong.
#[derive(Debug)]
pub struct CheckedArchive {
    file: File,
    run: Run,
    event_count: u64,
    call_count: u64,
    plugins: Vec<Digest>,
}

impl CheckedArchive {
    /// The run as of its last event.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Events of the run.
    pub fn event_count(&self) -> u64 {
        self.event_count
    }

    /// Model calls of the run.
    pub fn call_count(&self) -> u64 {
        self.call_count
    }

    /// Whether a component is in the archive.
    pub fn has_plugin(&self, digest: &Digest) -> bool {
        self.plugins.contains(digest)
    }

    /// The bytes of a component. Blocks.
    ///
    /// # Errors
    /// [`ArchiveError::Bad`] if there is none with this digest.
    pub fn plugin(&self, digest: &Digest) -> Result<Vec<u8>, ArchiveError> {
        let wanted = plugin_entry(digest);
        let mut found = None;
        Entries::of(&self.file)?.each(|entry| {
            if entry.name() == wanted {
                found = Some(entry.bytes(pack::PLUGIN_BYTES_MAX)?);
            }
            Ok(())
        })?;
        found.ok_or_else(|| ArchiveError::bad(wanted, "it is missing"))
    }
}

/// What is wrong with something that could not be read. It stands in an archive, and not where the error thinks.
fn detail_of(error: Error) -> String {
    match error {
        Error::Damaged { detail, .. } | Error::Database { detail, .. } => detail,
        other => other.to_string(),
    }
}

/// Of all that a manifest says, what it is the manifest of.
#[derive(Deserialize)]
struct SaidFormat {
    format: String,
}

/// Compares the format that a manifest names. Comes before the rest is read: other formats have other members.
pub(crate) fn expect_format(manifest: &str, format: &str) -> Result<(), ArchiveError> {
    let bad = |detail: String| ArchiveError::bad(MANIFEST, detail);
    let said: SaidFormat =
        serde_json::from_str(manifest).map_err(|error| bad(error.to_string()))?;
    if said.format == format {
        return Ok(());
    }
    Err(bad(format!("it is a `{}`, and not a `{format}`", said.format)))
}

fn body_entry(digest: &Digest) -> String {
    format!("{BODIES}{}", digest.hex())
}

fn plugin_entry(digest: &Digest) -> String {
    format!("{PLUGINS}{}{PLUGIN_SUFFIX}", digest.hex())
}

/// The digest that stands in the name of an entry.
fn digest_in(entry: &str, hex: &str) -> Result<Digest, ArchiveError> {
    format!("{}{hex}", Digest::PREFIX)
        .parse()
        .map_err(|_| ArchiveError::bad(entry, "the name is not a digest"))
}
