//! Removing runs that have ended, and taking runs in from archives.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RunStatusDto;

/// Which ended runs may go. A run stays if it ended within the time, or is among the newest of its mode. Where neither is
/// said, the host's configuration decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Those that ended longer ago than so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than_s: Option<u64>,
    /// Of each mode, all but so many that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
    /// Runs of these modes alone; of all if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<String>,
    /// Only names them. True if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// Runs that were removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrunedDto {
    /// Nothing was removed.
    pub dry_run: bool,
    /// The runs, those that ended first before the others.
    pub runs: Vec<PrunedRunDto>,
    /// Bytes of their events and texts, together. The database uses the room again; its file does not shrink.
    pub size_bytes: u64,
    /// Whether there are more that may go: the same request again goes on.
    pub has_more: bool,
}

/// A run that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrunedRunDto {
    /// The run.
    pub run_id: String,
    /// The profile that it carried out.
    pub effective_mode: String,
    /// How it ended.
    pub status: RunStatusDto,
    /// When it ended.
    pub ended_at: String,
    /// Bytes of its events and texts. Texts that other runs have as well are among them, and stay.
    pub size_bytes: u64,
}

/// A run that was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedRunDto {
    /// The run.
    pub run_id: String,
    /// Where it is; paused if it has not ended.
    pub status: RunStatusDto,
    /// Events that it came with.
    pub event_count: u64,
    /// Model calls that it came with.
    pub call_count: u64,
}
