//! Policies of a plan as they are stored. Times are in whole milliseconds; what a plan of an earlier version does not
//! say means what it meant then.
use std::time::Duration;

use domain::plan::{
    DeadlineOutcome, Gate, GateDeadline, GatePolicy, Reminder, RetryOn, RetryPolicy, Reviewer,
    SelfApproval, WhenSpent,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GateRecord {
    question: Option<String>,
    #[serde(default, skip_serializing_if = "PolicyRecord::is_usual")]
    policy: PolicyRecord,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PolicyRecord {
    grant_count: u8,
    reviewers: Vec<ReviewerRecord>,
    self_approval: bool,
    deadline: Option<DeadlineRecord>,
    reminder: Option<ReminderRecord>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReviewerRecord {
    Actor(String),
    Group(String),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DeadlineRecord {
    after_ms: u64,
    outcome: OutcomeRecord,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeRecord {
    Reject,
    Grant,
    Escalate(Vec<ReviewerRecord>),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ReminderRecord {
    webhook: String,
    after_ms: u64,
    every_ms: Option<u64>,
    count_max: u16,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RetryRecord {
    attempt_count_max: u32,
    wait_ms: u64,
    wait_ms_max: u64,
    /// `None`: those that may pass by themselves.
    codes: Option<Vec<String>>,
    pauses: bool,
}

impl PolicyRecord {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for PolicyRecord {
    fn default() -> Self {
        Self::from(&GatePolicy::default())
    }
}

impl RetryRecord {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for RetryRecord {
    fn default() -> Self {
        Self::from(&RetryPolicy::NONE)
    }
}

impl From<&Gate> for GateRecord {
    fn from(gate: &Gate) -> Self {
        Self { question: gate.question.clone(), policy: PolicyRecord::from(&gate.policy) }
    }
}

impl From<GateRecord> for Gate {
    fn from(record: GateRecord) -> Self {
        Self { question: record.question, policy: record.policy.into() }
    }
}

impl From<&GatePolicy> for PolicyRecord {
    fn from(policy: &GatePolicy) -> Self {
        Self {
            grant_count: policy.grant_count,
            reviewers: reviewer_records(&policy.reviewers),
            self_approval: match policy.self_approval {
                SelfApproval::Allowed => true,
                SelfApproval::Refused => false,
            },
            deadline: policy.deadline.as_ref().map(|deadline| DeadlineRecord {
                after_ms: millis(deadline.after),
                outcome: match &deadline.outcome {
                    DeadlineOutcome::Reject => OutcomeRecord::Reject,
                    DeadlineOutcome::Grant => OutcomeRecord::Grant,
                    DeadlineOutcome::Escalate { to } => {
                        OutcomeRecord::Escalate(reviewer_records(to))
                    }
                },
            }),
            reminder: policy.reminder.as_ref().map(|reminder| ReminderRecord {
                webhook: reminder.webhook.clone(),
                after_ms: millis(reminder.after),
                every_ms: reminder.every.map(millis),
                count_max: reminder.count_max,
            }),
        }
    }
}

impl From<PolicyRecord> for GatePolicy {
    fn from(record: PolicyRecord) -> Self {
        Self {
            grant_count: record.grant_count,
            reviewers: reviewers(record.reviewers),
            self_approval: match record.self_approval {
                true => SelfApproval::Allowed,
                false => SelfApproval::Refused,
            },
            deadline: record.deadline.map(|deadline| GateDeadline {
                after: Duration::from_millis(deadline.after_ms),
                outcome: match deadline.outcome {
                    OutcomeRecord::Reject => DeadlineOutcome::Reject,
                    OutcomeRecord::Grant => DeadlineOutcome::Grant,
                    OutcomeRecord::Escalate(to) => DeadlineOutcome::Escalate { to: reviewers(to) },
                },
            }),
            reminder: record.reminder.map(|reminder| Reminder {
                webhook: reminder.webhook,
                after: Duration::from_millis(reminder.after_ms),
                every: reminder.every_ms.map(Duration::from_millis),
                count_max: reminder.count_max,
            }),
        }
    }
}

impl From<&RetryPolicy> for RetryRecord {
    fn from(retry: &RetryPolicy) -> Self {
        Self {
            attempt_count_max: retry.attempt_count_max,
            wait_ms: millis(retry.wait),
            wait_ms_max: millis(retry.wait_max),
            codes: match &retry.on {
                RetryOn::Retryable => None,
                RetryOn::Codes(codes) => Some(codes.clone()),
            },
            pauses: match retry.when_spent {
                WhenSpent::Fail => false,
                WhenSpent::Pause => true,
            },
        }
    }
}

impl From<RetryRecord> for RetryPolicy {
    fn from(record: RetryRecord) -> Self {
        Self {
            attempt_count_max: record.attempt_count_max,
            wait: Duration::from_millis(record.wait_ms),
            wait_max: Duration::from_millis(record.wait_ms_max),
            on: record.codes.map_or(RetryOn::Retryable, RetryOn::Codes),
            when_spent: if record.pauses { WhenSpent::Pause } else { WhenSpent::Fail },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn reviewer_records(reviewers: &[Reviewer]) -> Vec<ReviewerRecord> {
    let record = |reviewer: &Reviewer| match reviewer {
        Reviewer::Actor(name) => ReviewerRecord::Actor(name.clone()),
        Reviewer::Group(name) => ReviewerRecord::Group(name.clone()),
    };
    reviewers.iter().map(record).collect()
}

fn reviewers(records: Vec<ReviewerRecord>) -> Vec<Reviewer> {
    let reviewer = |record| match record {
        ReviewerRecord::Actor(name) => Reviewer::Actor(name),
        ReviewerRecord::Group(name) => Reviewer::Group(name),
    };
    records.into_iter().map(reviewer).collect()
}
