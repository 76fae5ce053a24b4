//! Stages as they are shown, with what the attempts and the journal know about them.
use std::collections::HashMap;

use domain::{Digest, RunId, StageKey, Timestamp};
use rusqlite::{Connection, Row};

use crate::calls::{self, UsageSum};
use crate::column::{parsed, parsed_or_none, time_or_none, word};
use crate::runs::FaultRow;
use crate::{Error, attempts};

/// How far a stage has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageStatus {
    /// Not begun, or to be done again.
    Pending,
    /// An attempt is running.
    Running,
    /// Its attempt failed, and the next one begins later.
    BackingOff,
    /// A person has to look at what it made, or to allow its attempt more budget.
    WaitingApproval,
    /// Done, and granted where there is a gate.
    Done,
    /// Its attempt failed.
    Failed,
    /// A person said no.
    Rejected,
    /// The run was called off while the stage was running or waiting.
    Canceled,
}

impl StageStatus {
    /// All, in the order of a stage's life.
    pub const ALL: [StageStatus; 8] = [
        StageStatus::Pending,
        StageStatus::Running,
        StageStatus::BackingOff,
        StageStatus::WaitingApproval,
        StageStatus::Done,
        StageStatus::Failed,
        StageStatus::Rejected,
        StageStatus::Canceled,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            StageStatus::Pending => "pending",
            StageStatus::Running => "running",
            StageStatus::BackingOff => "backing_off",
            StageStatus::WaitingApproval => "waiting_approval",
            StageStatus::Done => "done",
            StageStatus::Failed => "failed",
            StageStatus::Rejected => "rejected",
            StageStatus::Canceled => "canceled",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A stage of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRow {
    pub key: StageKey,
    /// 0 for the first.
    pub position: u16,
    pub title: String,
    pub status: StageStatus,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Why the newest attempt failed, until the next one begins.
    pub fault: Option<FaultRow>,
    /// When the next attempt begins, while the stage waits for it.
    pub retry_at: Option<Timestamp>,
    /// What a reviewer wants changed, until the stage is done again.
    pub feedback: Option<String>,
    /// What the stage says about its result, in one line.
    pub summary: Option<String>,
    pub first_started_at: Option<Timestamp>,
    /// Of the newest attempt.
    pub started_at: Option<Timestamp>,
    /// Of the newest attempt.
    pub ended_at: Option<Timestamp>,
    pub times: StageTimes,
    /// Of all attempts.
    pub usage: UsageSum,
}

/// Where the time of a stage went, over all attempts. What is still going on is not counted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTimes {
    /// It could have been started.
    pub queue_ms: u64,
    /// Its attempts were running, without the model wait. Those without a record count only while none has one.
    pub work_ms: u64,
    /// A model was asked.
    pub model_wait_ms: u64,
    /// A gate was open.
    pub human_wait_ms: u64,
}

const LIST: &str = "SELECT * FROM stages WHERE run_id = ?1 ORDER BY position";

/// The stages of a run in the order of its plan.
pub(crate) fn list(db: &Connection, run: &RunId) -> Result<Vec<StageRow>, Error> {
    let mut usage: HashMap<StageKey, UsageSum> =
        calls::usage_by_stage(db, run)?.into_iter().collect();
    let mut attempts = attempts::times_by_stage(db, run)?;
    let mut statement = db.prepare_cached(LIST)?;
    let mut rows = statement.query([run.as_str()])?;
    let mut stages = Vec::new();
    while let Some(row) = rows.next()? {
        let key: StageKey = parsed(row, "stage_key")?;
        let usage = usage.remove(&key).unwrap_or_default();
        let attempts = attempts.remove(&key).unwrap_or_default();
        stages.push(read(row, key, usage, attempts)?);
    }
    Ok(stages)
}

fn read(
    row: &Row<'_>,
    key: StageKey,
    usage: UsageSum,
    attempts: attempts::AttemptTimes,
) -> rusqlite::Result<StageRow> {
    // The engine measures an attempt from where it really begins, after a wait for room; the log knows only the events
    // around it, and between them also the time in which no process was there. Attempts that were canceled or
    // interrupted have no record; the log is asked only where there is none at all.
    let queue_ms: u64 = row.get("queue_ms")?;
    let attempt_ms: u64 = row.get("attempt_ms")?;
    let work_ms = if attempts.count > 0 {
        attempts.work_ms
    } else {
        attempt_ms.saturating_sub(usage.model_wait_ms)
    };
    Ok(StageRow {
        key,
        position: row.get("position")?,
        title: row.get("title")?,
        status: word(row, "status", StageStatus::from_word)?,
        attempt: row.get("attempt")?,
        fault: crate::runs::read_fault(row)?,
        retry_at: time_or_none(row, "retry_at")?,
        feedback: row.get("feedback")?,
        summary: row.get("summary")?,
        first_started_at: time_or_none(row, "first_started_at")?,
        started_at: time_or_none(row, "started_at")?,
        ended_at: time_or_none(row, "ended_at")?,
        times: StageTimes {
            queue_ms: queue_ms.max(attempts.queue_ms),
            work_ms,
            model_wait_ms: usage.model_wait_ms,
            human_wait_ms: row.get("human_wait_ms")?,
        },
        usage,
    })
}

/// What only the files of a stage need.
pub(crate) struct StageFiles {
    pub(crate) data: Option<Digest>,
    pub(crate) content_hash: Option<Digest>,
}

/// What only the files of a run's stages need, in the order of its plan.
pub(crate) fn files(db: &Connection, run: &RunId) -> Result<Vec<StageFiles>, Error> {
    let mut statement = db.prepare_cached(LIST)?;
    let rows = statement.query_map([run.as_str()], |row| {
        Ok(StageFiles {
            data: parsed_or_none(row, "data_digest")?,
            content_hash: parsed_or_none(row, "content_hash")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
