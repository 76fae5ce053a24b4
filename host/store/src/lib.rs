//! SQLite: event log, projections, journal of model calls, artifacts.
//!
//! One data folder, owned by one process at a time: the database, and under `runs/` files that a person may open. All
//! writing goes through one thread ([`Store::append`] and its siblings), reading through a few others, so no caller's
//! thread ever waits for the disk.
//!
//! Invariants: an append is on the disk when it returns, and stored as a whole or not at all; every projection, and
//! every file under `runs/`, can be made again from the log and what was kept beside it.
//!
//! What this crate does not do: it decides nothing, makes no identifiers, and reads no clock.
mod append;
mod approvals;
mod archive;
mod artifacts;
mod attempts;
mod backup;
mod calls;
mod check;
mod column;
mod cursor;
mod database;
mod error;
mod events;
mod folder;
mod http_requests;
mod inspect;
mod project;
mod prune;
mod readers;
mod record;
mod replay;
mod run_files;
mod runs;
mod spool;
mod stages;
mod start_keys;
mod store;
#[cfg(test)]
mod tests;
mod upgrade;
mod variables;
mod writer;

pub use append::{Append, Beside};
pub use approvals::{ApprovalFilter, ApprovalRow, ApprovalStatus, GrantRow};
pub use archive::{ARCHIVE_BYTES_MAX, ArchiveError, CheckedArchive, check as check_archive};
pub use artifacts::ArtifactRow;
pub use attempts::AttemptRecord;
pub use backup::{Restored, Secrets, restore};
pub use calls::{
    AnswerSource, CallAnswered, CallDetail, CallFilter, CallOrigin, CallRow, CallStarted,
    CallStatus, CallTiming, DaySpent, Journaled, Spent, StageSpent, TextsKept,
    USAGE_GROUP_COUNT_MAX, UsageFilter, UsageKey, UsageRow, UsageSum, UsedBefore,
};
pub use check::{Depth, FINDING_COUNT_MAX, Finding, Part};
pub use column::digest_of;
pub use cursor::{Listed, PAGE_ROW_COUNT_MAX, Page};
pub use error::Error;
pub use folder::Owner;
pub use http_requests::{
    HttpJournaled, HttpRequestAnswered, HttpRequestKey, HttpRequestRow, HttpRequestStarted,
    HttpRequestStatus,
};
pub use prune::{KeepRule, PrunableRun, PrunePlan, PruneWish, Removal};
pub use runs::{FaultRow, RunFilter, RunRow, Wake, WakeCause};
pub use stages::{StageRow, StageStatus, StageTimes};
pub use start_keys::StartedWith;
pub use store::{Options, Store, Texts};
