//! Which runs may go.
use std::collections::BTreeMap;

use domain::run::Status;
use domain::{Mode, RunId, Timestamp};
use rusqlite::{Connection, Row, params};

use crate::Error;
use crate::column::{parsed, time, word};

/// Which ended runs of a mode stay. A run stays if either says so; where nothing is said, all stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepRule {
    /// Those that ended within this time.
    pub within_ms: Option<u64>,
    /// As many as this of those that ended last.
    pub newest_count: Option<u64>,
}

/// Which runs are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneWish {
    /// From when the age of a run is counted.
    pub now: Timestamp,
    /// For modes that have no rule of their own.
    pub usual: KeepRule,
    /// By effective mode.
    pub by_mode: BTreeMap<String, KeepRule>,
    /// Runs of these effective modes alone; empty: of all.
    pub only_modes: Vec<String>,
    /// Most runs of one plan.
    pub run_count_max: usize,
}

/// A run that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunableRun {
    pub id: RunId,
    pub effective_mode: Mode,
    pub status: Status,
    pub ended_at: Timestamp,
    /// Bytes of its events and texts. Texts that other runs have as well are among them.
    pub size_bytes: u64,
}

/// Runs that may go, those that ended first before the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePlan {
    pub runs: Vec<PrunableRun>,
    /// Whether there are more than were asked for.
    pub is_more: bool,
}

/// The place counts from the run of the mode that ended last.
const ENDED: &str = "SELECT run_id, effective_mode, status, ended_at,
    ROW_NUMBER() OVER (PARTITION BY effective_mode ORDER BY ended_at DESC, run_id DESC) AS place
    FROM runs WHERE status IN ('completed', 'failed', 'canceled') AND ended_at IS NOT NULL
    ORDER BY ended_at, run_id";
/// Lengths in bytes stand in the head of a row, so that no text is read.
const SIZE: &str = "SELECT
    (SELECT CAST(TOTAL(octet_length(payload)) AS INTEGER) FROM events WHERE run_id = ?1)
    + (SELECT CAST(TOTAL(octet_length(log)) AS INTEGER) FROM attempts WHERE run_id = ?1)
    + (SELECT CAST(TOTAL(size_bytes) AS INTEGER)
        FROM (SELECT DISTINCT digest, size_bytes FROM artifacts WHERE run_id = ?1))
    + (SELECT CAST(TOTAL(octet_length(q.request)) AS INTEGER)
        FROM llm_calls c JOIN llm_requests q ON q.seq = c.seq WHERE c.run_id = ?1)
    + (SELECT CAST(TOTAL(octet_length(a.answer)) AS INTEGER)
        FROM llm_calls c JOIN llm_answers a ON a.seq = c.seq WHERE c.run_id = ?1)
    + (SELECT CAST(TOTAL(octet_length(q.request)) AS INTEGER)
        FROM http_requests h JOIN http_request_texts q ON q.seq = h.seq WHERE h.run_id = ?1)
    + (SELECT CAST(TOTAL(octet_length(a.answer)) AS INTEGER)
        FROM http_requests h JOIN http_answer_texts a ON a.seq = h.seq WHERE h.run_id = ?1)";

impl KeepRule {
    /// Whether the rule lets any run go.
    pub fn is_bound(&self) -> bool {
        self.within_ms.is_some() || self.newest_count.is_some()
    }

    fn keeps(&self, age_ms: u64, place: u64) -> bool {
        let is_young = self.within_ms.is_some_and(|within_ms| age_ms < within_ms);
        let is_among_newest = self.newest_count.is_some_and(|count| place <= count);
        !self.is_bound() || is_young || is_among_newest
    }
}

impl PruneWish {
    fn lets_go(&self, run: &PrunableRun, place: u64) -> bool {
        let mode = run.effective_mode.as_str();
        let is_wanted = self.only_modes.is_empty() || self.only_modes.iter().any(|m| m == mode);
        let rule = self.by_mode.get(mode).unwrap_or(&self.usual);
        is_wanted && !rule.keeps(self.now.ms_since(run.ended_at), place)
    }
}

pub(crate) fn plan(db: &Connection, wish: &PruneWish) -> Result<PrunePlan, Error> {
    // One moment of the database, however many statements read it.
    let db = db.unchecked_transaction()?;
    let mut plan = PrunePlan { runs: Vec::new(), is_more: false };
    {
        let mut statement = db.prepare_cached(ENDED)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let run = read(row)?;
            if !wish.lets_go(&run, row.get("place")?) {
                continue;
            }
            if plan.runs.len() >= wish.run_count_max {
                plan.is_more = true;
                break;
            }
            plan.runs.push(run);
        }
    }
    let mut size = db.prepare_cached(SIZE)?;
    for run in &mut plan.runs {
        run.size_bytes = size.query_row(params![run.id.as_str()], |row| row.get(0))?;
    }
    Ok(plan)
}

fn read(row: &Row<'_>) -> rusqlite::Result<PrunableRun> {
    Ok(PrunableRun {
        id: parsed(row, "run_id")?,
        effective_mode: parsed(row, "effective_mode")?,
        status: word(row, "status", Status::from_word)?,
        ended_at: time(row, "ended_at")?,
        size_bytes: 0,
    })
}
