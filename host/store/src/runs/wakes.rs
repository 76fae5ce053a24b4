//! Runs for which time brings about something by itself.
use domain::{RunId, Timestamp};
use rusqlite::{Connection, Row, params};

use crate::Error;
use crate::column::{parsed, time, time_or_none};

/// A run for which time brings about something. A paused one is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    pub cause: WakeCause,
}

/// What the run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeCause {
    /// Its next attempt.
    Retry,
    /// A gate: its deadline, or else people are reminded.
    Gate { deadline_at: Option<Timestamp> },
}

/// Behind a place in the order, so that whoever has to pass over rows does not read them again.
pub(crate) const WAKES: &str =
    "SELECT r.run_id, r.wakes_at, r.open_approval IS NOT NULL AS is_at_gate, a.deadline_at
    FROM runs r INDEXED BY runs_by_wake LEFT JOIN approvals a ON a.approval_id = r.open_approval
    WHERE r.wakes_at IS NOT NULL AND r.status <> 'paused' AND (r.wakes_at, r.run_id) > (?1, ?2)
    ORDER BY r.wakes_at, r.run_id LIMIT ?3";

/// Runs for which time brings about something, by that time; those behind one of them, or from the first on.
pub(crate) fn wakes(
    db: &Connection,
    behind: Option<&Wake>,
    limit: usize,
) -> Result<Vec<Wake>, Error> {
    let (at, run) = behind.map_or((i64::MIN, ""), |wake| (wake.at.as_unix_ms(), wake.run.as_str()));
    let mut statement = db.prepare_cached(WAKES)?;
    let rows = statement.query_map(params![at, run, limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Wake> {
    let cause = match row.get("is_at_gate")? {
        true => WakeCause::Gate { deadline_at: time_or_none(row, "deadline_at")? },
        false => WakeCause::Retry,
    };
    Ok(Wake { run: parsed(row, "run_id")?, at: time(row, "wakes_at")?, cause })
}
