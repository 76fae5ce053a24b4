//! Whether the journal of requests is whole.
use domain::RunId;
use rusqlite::{Connection, params};

use crate::Error;
use crate::column::parsed;

/// Outcomes that a replay would look for and not find, and texts of nothing.
const WITHOUT_OUTCOME: &str = "SELECT h.run_id, h.stage_key, h.attempt, h.ordinal, h.status
    FROM http_requests h LEFT JOIN http_answer_texts a ON a.seq = h.seq
    WHERE (h.status = 'answered' AND (h.answer_status IS NULL OR (h.texts <> 'off' AND a.seq IS NULL)))
    OR (h.status = 'failed' AND h.error_code IS NULL) LIMIT ?1";
/// A run that is being removed has rows and no row of its own.
const WITHOUT_RUN: &str = "SELECT DISTINCT h.run_id FROM http_requests h
    WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = h.run_id)
    AND NOT EXISTS (SELECT 1 FROM pruned_runs p WHERE p.run_id = h.run_id) LIMIT ?1";

/// What is not as it should be, by run; at most so many.
pub(crate) fn unsound(db: &Connection, count_max: usize) -> Result<Vec<(RunId, String)>, Error> {
    let mut statement = db.prepare_cached(WITHOUT_OUTCOME)?;
    let rows = statement.query_map(params![count_max], |row| {
        let stage: String = row.get("stage_key")?;
        let (attempt, ordinal): (u32, u32) = (row.get("attempt")?, row.get("ordinal")?);
        let status: String = row.get("status")?;
        let detail = format!(
            "HTTP request {ordinal} of attempt {attempt} at `{stage}` is {status}, and its outcome is missing"
        );
        Ok((parsed(row, "run_id")?, detail))
    })?;
    let mut found = rows.collect::<Result<Vec<(RunId, String)>, _>>()?;
    let mut statement = db.prepare_cached(WITHOUT_RUN)?;
    let rows = statement.query_map(params![count_max], |row| {
        Ok((parsed(row, "run_id")?, "it has HTTP requests, and no log".to_owned()))
    })?;
    found.extend(rows.collect::<Result<Vec<_>, _>>()?);
    found.truncate(count_max);
    Ok(found)
}
