//! `stagewright.yaml`: what it may say, and how it is read. Unknown keys are refused with the known ones, and every
//! complaint has file, line and column. No type here has `Debug`: the file may hold keys.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::grants::SaidGrants;
use super::registries::SaidRegistries;
use super::retention::SaidRetention;
use super::said::{
    SaidBudgets, SaidCache, SaidProvider, SaidRecords, SaidTelemetry, SaidWebhook, is_unsaid,
};
use crate::error::Error;

/// Largest configuration file, in bytes: a hundred times of what a hundred providers need.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The file as it was written.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "is_unsaid")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "is_unsaid")]
    token: Option<String>,
    #[serde(skip_serializing_if = "is_unsaid")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "is_unsaid")]
    fallback: Option<String>,
    #[serde(skip_serializing_if = "is_unsaid")]
    log: Option<String>,
    #[serde(skip_serializing_if = "is_unsaid")]
    log_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_call_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u64>,
    /// How long open model calls may go on when a server is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    shutdown_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_dirs: Option<Vec<PathBuf>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origins: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_unsaid")]
    actor_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<BTreeMap<String, SaidWebhook>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<BTreeMap<String, SaidProvider>>,
    /// A price list that is laid over the shipped one.
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<SaidCache>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budgets: Option<SaidBudgets>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<SaidRecords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<SaidRetention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    telemetry: Option<SaidTelemetry>,
    /// What stages may reach, if a profile grants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    grants: Option<SaidGrants>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registries: Option<SaidRegistries>,
}

/// Reads the file; `None` if there is none. What is wrong with it is told with the path as it was `shown`.
pub(super) fn read(path: &Path, shown: &Path) -> Result<Option<SaidFile>, Error> {
    let unreadable = |detail: String| Error::Config {
        message: format!("`{}` cannot be read: {detail}", shown.display()),
        hint: None,
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            return Err(unreadable(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&text, shown).map(Some)
}

fn parse(text: &str, shown: &Path) -> Result<SaidFile, Error> {
    // An empty file, or one with comments only, is `null` in YAML and says nothing.
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    if is_empty {
        return Ok(SaidFile::default());
    }
    // Without the snippet: the line in question may hold a key.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(String::new, |location| {
            format!(":{}:{}", location.line(), location.column())
        });
        Error::Config {
            message: format!("{}{place}: {}", shown.display(), message_of(&error)),
            hint: None,
        }
    })
}

/// The parser's message in one line and without the place, which stands before it.
fn message_of(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let without_place = first.split(" at line ").next().unwrap_or(first);
    without_place.trim_end_matches([':', '.', ' ']).to_owned()
}
