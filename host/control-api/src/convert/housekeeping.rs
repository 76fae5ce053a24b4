//! What was removed, and what was taken in.
use engine::{Imported, Pruned};
use store::PrunableRun;

use super::moment;
use crate::dto::{ImportedRunDto, PrunedDto, PrunedRunDto, RunStatusDto};

/// The answer to a wish to remove runs, which may have been for a list alone.
pub(crate) struct PrunedParts<'a> {
    pub(crate) dry_run: bool,
    pub(crate) pruned: &'a Pruned,
}

impl From<PrunedParts<'_>> for PrunedDto {
    fn from(parts: PrunedParts<'_>) -> Self {
        let PrunedParts { dry_run, pruned } = parts;
        PrunedDto {
            dry_run,
            runs: pruned.runs.iter().map(PrunedRunDto::from).collect(),
            size_bytes: pruned.runs.iter().map(|run| run.size_bytes).sum(),
            has_more: pruned.is_more,
        }
    }
}

impl From<&PrunableRun> for PrunedRunDto {
    fn from(run: &PrunableRun) -> Self {
        PrunedRunDto {
            run_id: run.id.to_string(),
            effective_mode: run.effective_mode.to_string(),
            status: RunStatusDto::from(run.status),
            ended_at: moment(run.ended_at),
            size_bytes: run.size_bytes,
        }
    }
}

impl From<&Imported> for ImportedRunDto {
    fn from(imported: &Imported) -> Self {
        ImportedRunDto {
            run_id: imported.run_id.to_string(),
            status: RunStatusDto::from(imported.status),
            event_count: imported.event_count,
            call_count: imported.call_count,
        }
    }
}
