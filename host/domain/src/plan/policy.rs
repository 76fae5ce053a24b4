//! What a profile says about a stage beside its work: who may decide at its gate and until when, and what happens when
//! an attempt fails.
use std::time::Duration;

use crate::FaultKind;

/// Most grants that a gate can ask for: more people than that do not read one text.
pub const GRANT_COUNT_MAX: u8 = 16;

/// A stop after a stage: nothing goes on until a person decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    /// What the reviewer is asked; `None` for the usual question.
    pub question: Option<String>,
    /// Who may decide, how many of them it takes, and what happens when nobody does.
    pub policy: GatePolicy,
}

/// Who may decide at a gate, how many of them it takes, and what happens when nobody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatePolicy {
    /// Different people who have to grant: 1 to [`GRANT_COUNT_MAX`]. One rejection, or one wish for a revision, is
    /// enough.
    pub grant_count: u8,
    /// Who may decide. Empty: everybody.
    pub reviewers: Vec<Reviewer>,
    /// Whether whoever started the run may grant.
    pub self_approval: SelfApproval,
    /// Until when somebody has to decide.
    pub deadline: Option<GateDeadline>,
    /// When people are reminded.
    pub reminder: Option<Reminder>,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            grant_count: 1,
            reviewers: Vec::new(),
            self_approval: SelfApproval::Allowed,
            deadline: None,
            reminder: None,
        }
    }
}

/// Somebody who may decide.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reviewer {
    /// The actor with this name.
    Actor(String),
    /// Everybody in this group of the host's configuration, as it is when they decide.
    Group(String),
}

/// Whether whoever started a run may grant its gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelfApproval {
    /// They may.
    #[default]
    Allowed,
    /// They may reject and send back, and not grant. The run has to say who started it.
    Refused,
}

/// Until when somebody has to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateDeadline {
    /// From the opening of the gate.
    pub after: Duration,
    /// What happens then.
    pub outcome: DeadlineOutcome,
}

/// What happens at a gate when its deadline passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadlineOutcome {
    /// The gate is rejected.
    Reject,
    /// The gate is granted, however many grants it asks for.
    Grant,
    /// These may decide as well, and the gate waits on without a deadline.
    Escalate {
        /// At least one.
        to: Vec<Reviewer>,
    },
}

/// When people are reminded of an open gate, over a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    /// Name of a webhook of the host's configuration.
    pub webhook: String,
    /// From the opening of the gate to the first reminder. 0: at once.
    pub after: Duration,
    /// From one reminder to the next. `None`: there is one.
    pub every: Option<Duration>,
    /// Most reminders of one gate, at least 1.
    pub count_max: u16,
}

/// What happens when an attempt at a stage fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts before the stage is given up, the first included; 1: it is not tried again.
    pub attempt_count_max: u32,
    /// From the first failure to the next attempt. It doubles with each further failure.
    pub wait: Duration,
    /// Longest such wait.
    pub wait_max: Duration,
    /// Which failures are tried again.
    pub on: RetryOn,
    /// What happens when the last attempt has failed.
    pub when_spent: WhenSpent,
}

impl RetryPolicy {
    /// A stage that is not tried again.
    pub const NONE: RetryPolicy = RetryPolicy {
        attempt_count_max: 1,
        wait: Duration::from_secs(2),
        wait_max: Duration::from_secs(60),
        on: RetryOn::Retryable,
        when_spent: WhenSpent::Fail,
    };

    /// Whether the policy is about this failure.
    pub fn covers(&self, kind: &FaultKind) -> bool {
        match &self.on {
            RetryOn::Retryable => kind.is_retryable(),
            RetryOn::Codes(codes) => codes.iter().any(|code| code == kind.code()),
        }
    }

    /// The wait after this many failures in a row; the first is 1.
    pub fn wait_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.wait.saturating_mul(1 << doublings).min(self.wait_max)
    }
}

/// Which failures are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOn {
    /// Those that may pass by themselves ([`FaultKind::is_retryable`]).
    Retryable,
    /// Those with these codes ([`FaultKind::code`]).
    Codes(Vec<String>),
}

/// What happens when a stage that is tried again fails for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenSpent {
    /// The run fails.
    #[default]
    Fail,
    /// The run pauses. Resumed, it begins the stage anew, with as many attempts.
    Pause,
}
