//! The journal of model calls: the tables `llm_calls`, `llm_calls_before`, `llm_requests`, `llm_answers` and
//! `usage_days`.
//!
//! A call of an attempt is keyed (run, stage, attempt, ordinal) and has one row, however often it is asked. An answer that
//! is kept is never replaced: only a call that is open or was canceled takes another outcome. A call is open only while
//! somebody may still ask it.
//!
//! Invariant: what a call used is counted once, whether it was answered or not and however often its outcome is kept;
//! what it had used before it was asked again is counted beside that.
mod days;
mod list;
mod read;
mod state;
mod sums;
mod texts;
mod write;

use std::sync::Arc;

pub use domain::model::AnswerSource;
use domain::model::{Completion, ModelError, ModelRequest, Usage};
use domain::{CallId, Digest, RunId, StageKey, Timestamp};

pub use days::{DaySpent, USAGE_GROUP_COUNT_MAX, UsageFilter, UsageKey, UsageRow};
pub(crate) use days::{
    add_brought, as_journal as usage_days_as_journal, keep_sums, rebuild as rebuild_usage_days,
    spent_in_day, take_pruned, usage_by,
};
pub use list::CallFilter;
pub(crate) use list::list;
#[cfg(test)]
pub(crate) use list::{list_looking_at, lists};
pub use read::{CallDetail, CallRow, CallStatus, Journaled, TextsKept};
pub(crate) use read::{journaled, last_model, one};
pub use sums::{StageSpent, UsageSum, UsedBefore};
pub(crate) use sums::{spent, usage, usage_by_stage};
pub(crate) use texts::{attempts_ended, event_as_kept, has_ended};
pub(crate) use write::{Noted, Outcome, answered, close_open_chats, run_canceled, started};

/// What must be found by a key, however many calls there are.
#[cfg(test)]
pub(crate) fn lookups() -> impl Iterator<Item = &'static str> {
    let few = read::LOOKUPS.into_iter().chain(sums::LOOKUPS).chain(write::LOOKUPS);
    few.chain(texts::LOOKUPS).chain(days::LOOKUPS)
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOrigin {
    /// An attempt at a stage.
    Stage {
        run: RunId,
        stage: StageKey,
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
    },
    /// Somebody who talks to a model outside of any run.
    Chat {
        session_id: Option<String>,
        /// Names the program that asks, in its own words.
        client_id: Option<String>,
    },
}

/// A question that is about to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct CallStarted {
    pub call: CallId,
    pub origin: CallOrigin,
    /// The conversation that the call belongs to. `None`: that of its attempt, or of its session, or one of its own.
    pub conversation_id: Option<String>,
    pub request: Arc<ModelRequest>,
    /// Digest over the whole request; tells a replay whether it asks the same.
    pub request_digest: Digest,
    pub provider: String,
    pub model: String,
    pub at: Timestamp,
}

/// A question with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallAnswered {
    pub started: CallStarted,
    /// [`domain::model::ModelErrorKind::Canceled`] is not an answer: a replay asks again.
    pub outcome: Result<Completion, ModelError>,
    /// What a call without an answer used all the same; `None`: nothing, as far as is known.
    pub spent: Option<Spent>,
    /// Who answered or was asked last: another than the one of the question, where that was not available.
    pub provider: String,
    pub model: String,
    pub source: AnswerSource,
    /// Why somebody else was asked than the one of the question, in words; `None` if nobody else was.
    pub fallback_reason: Option<String>,
    pub timing: CallTiming,
    pub at: Timestamp,
}

/// What a call used that broke off, ran out of time or was canceled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// What had arrived.
    pub content: String,
    pub usage: Usage,
    /// `None` if the price is not known.
    pub cost_nano_usd: Option<u64>,
}

/// How long a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallTiming {
    /// Waits for a place within the limits of providers.
    pub queue_ms: u64,
    /// To the first text; `None` if there was none.
    pub first_token_ms: Option<u64>,
    /// All tries and the waits between them.
    pub total_ms: u64,
    /// 1 if the first try did it.
    pub tries: u32,
}
