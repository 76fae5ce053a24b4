//! Questions to people, and what they decide.
use crate::plan::StageIdx;
use crate::{ApprovalId, Digest, Timestamp};

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenGate {
    /// The stage whose result is to be looked at, or whose attempt waits for a budget.
    pub stage: StageIdx,
    /// Names the question.
    pub approval: ApprovalId,
    /// Digest of what the reviewer is asked to look at.
    pub content_hash: Digest,
    /// What is asked.
    pub subject: GateSubject,
    /// Who has granted so far, where it takes several.
    pub grants: Vec<Decision>,
    /// When something happens by itself.
    pub timing: GateTiming,
    /// Reminders that were sent, or tried.
    pub reminder_count: u16,
    /// Whether the deadline has passed, and others may decide as well.
    pub is_escalated: bool,
}

/// When something happens at a gate by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateTiming {
    /// When the outcome of the deadline comes about. `None`: never.
    pub deadline_at: Option<Timestamp>,
    /// When people are reminded next. `None`: not again.
    pub remind_at: Option<Timestamp>,
}

impl GateTiming {
    /// The earlier of the two.
    pub fn next(self) -> Option<Timestamp> {
        [self.deadline_at, self.remind_at].into_iter().flatten().min()
    }
}

/// What a person is asked at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateSubject {
    /// Whether the stage's result is good.
    Result,
    /// Whether a budget may be used up once more. The attempt goes on where it stopped.
    Budget {
        /// The attempt that waits.
        attempt: u32,
        /// The budget.
        bound: BudgetBound,
    },
}

/// A bound on tokens or money, with how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetBound {
    /// What it bounds.
    pub scope: BudgetScope,
    /// In which unit.
    pub unit: BudgetUnit,
    /// The bound, with what was allowed on top of it.
    pub max: u64,
    /// What is used of it.
    pub used: u64,
}

/// What a budget bounds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BudgetScope {
    /// All attempts of one stage.
    Stage,
    /// The whole run.
    Run,
    /// Everything that the host asks in one day (UTC).
    Day,
    /// Everything that the host asks one provider in one day (UTC).
    ProviderDay {
        /// Its name.
        provider: String,
    },
}

impl BudgetScope {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            BudgetScope::Stage => "stage",
            BudgetScope::Run => "run",
            BudgetScope::Day => "day",
            BudgetScope::ProviderDay { .. } => "provider_day",
        }
    }
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetUnit {
    /// Tokens, input and output.
    Tokens,
    /// Billionths of a US dollar.
    NanoUsd,
}

impl BudgetUnit {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            BudgetUnit::Tokens => "tokens",
            BudgetUnit::NanoUsd => "nano_usd",
        }
    }
}

/// Actors that begin so are the host itself; nobody else may call themselves so.
pub const HOST_ACTOR_PREFIX: &str = "stagewright:";

/// Who decides when the deadline of a gate passes.
pub const DEADLINE_ACTOR: &str = "stagewright:deadline";

/// What somebody decided at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who decided.
    pub actor: String,
    /// Their words.
    pub comment: Option<String>,
}

/// Which way a gate was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Granted,
    /// Stop here.
    Rejected,
    /// Do the stage again, with what is said.
    Revised,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Granted => "granted",
            Verdict::Rejected => "rejected",
            Verdict::Revised => "revised",
        }
    }
}
