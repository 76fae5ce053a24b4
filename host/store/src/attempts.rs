//! What attempts logged and used up: the table `attempts`.
use std::collections::HashMap;
use std::time::Duration;

use domain::port::Consumed;
use domain::stage::StageLog;
use domain::{RunId, StageKey, Timestamp};
use rusqlite::{Connection, params};

use crate::column::{count, parsed, time};
use crate::{Error, record};

/// One attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub run: RunId,
    pub stage: StageKey,
    pub attempt: u32,
    pub log: StageLog,
    pub consumed: Consumed,
    /// From where it could have been started to where it was.
    pub queue_ms: u64,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
}

/// One row for each attempt: whoever tells of it again replaces what was said.
const INSERT: &str = "INSERT OR REPLACE INTO attempts (run_id, stage_key, attempt, log,
    cpu_time_us, memory_bytes, queue_ms, started_at, ended_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const LIST: &str = "SELECT * FROM attempts WHERE run_id = ?1 AND (?2 IS NULL OR stage_key = ?2)";
/// A call that was asked before its attempt was interrupted and begun anew is replayed, and waits for nothing then: only
/// those count that were asked while the recorded attempt ran.
pub(crate) const TIMES: &str = "SELECT stage_key, COUNT(*) AS attempt_count,
    CAST(TOTAL(queue_ms) AS INTEGER) AS queue_ms,
    CAST(TOTAL(MAX(0, ended_at - started_at - (
        SELECT CAST(TOTAL(c.total_ms) AS INTEGER) FROM llm_calls c
        WHERE c.run_id = a.run_id AND c.stage_key = a.stage_key AND c.attempt = a.attempt
        AND c.started_at BETWEEN a.started_at AND a.ended_at
    ))) AS INTEGER) AS work_ms
    FROM attempts a WHERE run_id = ?1 GROUP BY stage_key";

pub(crate) fn insert(db: &Connection, attempt: &AttemptRecord) -> Result<(), Error> {
    let cpu_time_us = u64::try_from(attempt.consumed.cpu_time.as_micros()).unwrap_or(u64::MAX);
    db.prepare_cached(INSERT)?.execute(params![
        attempt.run.as_str(),
        attempt.stage.as_str(),
        attempt.attempt,
        record::encode_log(&attempt.log)?,
        count(cpu_time_us),
        count(attempt.consumed.memory_bytes),
        count(attempt.queue_ms),
        attempt.started_at.as_unix_ms(),
        attempt.ended_at.as_unix_ms(),
    ])?;
    Ok(())
}

/// The attempts of a run, or of one of its stages, by the time of their start.
pub(crate) fn list(
    db: &Connection,
    run: &RunId,
    stage: Option<&StageKey>,
) -> Result<Vec<AttemptRecord>, Error> {
    let mut statement = db.prepare_cached(LIST)?;
    let mut rows = statement.query(params![run.as_str(), stage.map(StageKey::as_str)])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let log: String = row.get("log")?;
        attempts.push(AttemptRecord {
            run: parsed(row, "run_id")?,
            stage: parsed(row, "stage_key")?,
            attempt: row.get("attempt")?,
            log: record::decode_log(&log)?,
            consumed: Consumed {
                cpu_time: Duration::from_micros(row.get("cpu_time_us")?),
                memory_bytes: row.get("memory_bytes")?,
            },
            queue_ms: row.get("queue_ms")?,
            started_at: time(row, "started_at")?,
            ended_at: time(row, "ended_at")?,
        });
    }
    attempts.sort_by_key(|attempt: &AttemptRecord| (attempt.started_at, attempt.attempt));
    Ok(attempts)
}

/// Times of all recorded attempts of a stage together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptTimes {
    pub(crate) count: u64,
    pub(crate) queue_ms: u64,
    /// They were running, without the model wait.
    pub(crate) work_ms: u64,
}

pub(crate) fn times_by_stage(
    db: &Connection,
    run: &RunId,
) -> Result<HashMap<StageKey, AttemptTimes>, Error> {
    let mut statement = db.prepare_cached(TIMES)?;
    let rows = statement.query_map([run.as_str()], |row| {
        let times = AttemptTimes {
            count: row.get("attempt_count")?,
            queue_ms: row.get("queue_ms")?,
            work_ms: row.get("work_ms")?,
        };
        Ok((parsed(row, "stage_key")?, times))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
