//! Policies of gates and of retries.
use std::time::Duration;

use domain::plan::{
    DeadlineOutcome, Gate, GateDeadline, Reminder, RetryOn, RetryPolicy, Reviewer, SelfApproval,
    WhenSpent,
};

use crate::dto::{
    DeadlineOutcomeDto, GateDeadlineDto, GateDto, ReminderDto, RetryPolicyDto, ReviewerDto,
    SelfApprovalDto, WhenSpentDto,
};

impl From<&Gate> for GateDto {
    fn from(gate: &Gate) -> Self {
        let policy = &gate.policy;
        Self {
            question: gate.question.clone(),
            grants_needed: policy.grant_count.into(),
            reviewers: reviewers(&policy.reviewers),
            self_approval: SelfApprovalDto::from(policy.self_approval),
            deadline: policy.deadline.as_ref().map(GateDeadlineDto::from),
            reminder: policy.reminder.as_ref().map(ReminderDto::from),
        }
    }
}

pub(crate) fn reviewers(reviewers: &[Reviewer]) -> Vec<ReviewerDto> {
    reviewers.iter().map(ReviewerDto::from).collect()
}

/// Who may decide as well when the deadline has passed.
pub(crate) fn escalated_to(outcome: &DeadlineOutcome) -> Vec<ReviewerDto> {
    match outcome {
        DeadlineOutcome::Escalate { to } => reviewers(to),
        DeadlineOutcome::Reject | DeadlineOutcome::Grant => Vec::new(),
    }
}

impl From<&Reviewer> for ReviewerDto {
    fn from(reviewer: &Reviewer) -> Self {
        match reviewer {
            Reviewer::Actor(name) => ReviewerDto::Actor(name.clone()),
            Reviewer::Group(name) => ReviewerDto::Group(name.clone()),
        }
    }
}

impl From<SelfApproval> for SelfApprovalDto {
    fn from(approval: SelfApproval) -> Self {
        match approval {
            SelfApproval::Allowed => SelfApprovalDto::Allowed,
            SelfApproval::Refused => SelfApprovalDto::Refused,
        }
    }
}

impl From<&GateDeadline> for GateDeadlineDto {
    fn from(deadline: &GateDeadline) -> Self {
        Self {
            after_ms: ms(deadline.after),
            outcome: DeadlineOutcomeDto::from(&deadline.outcome),
            escalate_to: escalated_to(&deadline.outcome),
        }
    }
}

impl From<&DeadlineOutcome> for DeadlineOutcomeDto {
    fn from(outcome: &DeadlineOutcome) -> Self {
        match outcome {
            DeadlineOutcome::Reject => DeadlineOutcomeDto::Reject,
            DeadlineOutcome::Grant => DeadlineOutcomeDto::Grant,
            DeadlineOutcome::Escalate { .. } => DeadlineOutcomeDto::Escalate,
        }
    }
}

impl From<&Reminder> for ReminderDto {
    fn from(reminder: &Reminder) -> Self {
        Self {
            webhook: reminder.webhook.clone(),
            after_ms: ms(reminder.after),
            every_ms: reminder.every.map(ms),
            count_max: reminder.count_max.into(),
        }
    }
}

impl From<&RetryPolicy> for RetryPolicyDto {
    fn from(policy: &RetryPolicy) -> Self {
        Self {
            attempt_count_max: policy.attempt_count_max,
            wait_ms: ms(policy.wait),
            wait_ms_max: ms(policy.wait_max),
            on_codes: match &policy.on {
                RetryOn::Retryable => None,
                RetryOn::Codes(codes) => Some(codes.clone()),
            },
            when_spent: match policy.when_spent {
                WhenSpent::Fail => WhenSpentDto::Fail,
                WhenSpent::Pause => WhenSpentDto::Pause,
            },
        }
    }
}

/// A duration in whole milliseconds.
pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
