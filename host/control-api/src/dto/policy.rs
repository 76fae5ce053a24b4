//! What a plan says about a stage beside its work: who may decide at its gate and until when, and what happens when an
//! attempt fails.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A stop after a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateDto {
    /// What the reviewer is asked; null for the usual question.
    pub question: Option<String>,
    /// Different people who have to grant.
    pub grants_needed: u32,
    /// Who may decide; empty: everybody.
    pub reviewers: Vec<ReviewerDto>,
    /// Whether whoever started the run may grant.
    pub self_approval: SelfApprovalDto,
    /// Until when somebody has to decide; null: there is no such time.
    pub deadline: Option<GateDeadlineDto>,
    /// When people are reminded; null: they are not.
    pub reminder: Option<ReminderDto>,
}

/// Somebody who may decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewerDto {
    /// The actor with this name.
    Actor(String),
    /// Everybody in this group of the server's configuration, as it is when they decide.
    Group(String),
}

/// Whether whoever started a run may grant its gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelfApprovalDto {
    /// They may.
    Allowed,
    /// They may reject and send back, and not grant.
    Refused,
}

/// Until when somebody has to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateDeadlineDto {
    /// From the opening of the gate, in milliseconds.
    pub after_ms: u64,
    /// What happens then.
    pub outcome: DeadlineOutcomeDto,
    /// Who may decide as well after that, where the outcome is `escalate`.
    pub escalate_to: Vec<ReviewerDto>,
}

/// What happens at a gate when its deadline passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineOutcomeDto {
    /// The gate is rejected.
    Reject,
    /// The gate is granted, however many grants it asks for.
    Grant,
    /// Others may decide as well, and the gate waits on without a deadline.
    Escalate,
}

/// When people are reminded of an open gate, over a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReminderDto {
    /// Name of a webhook of the server's configuration.
    pub webhook: String,
    /// From the opening of the gate to the first reminder, in milliseconds.
    pub after_ms: u64,
    /// From one reminder to the next, in milliseconds; null: there is one.
    pub every_ms: Option<u64>,
    /// Most reminders of one gate.
    pub count_max: u32,
}

/// What happens when an attempt at a stage fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryPolicyDto {
    /// Attempts before the stage is given up, the first included; 1: it is not tried again.
    pub attempt_count_max: u32,
    /// From the first failure to the next attempt, in milliseconds. It doubles with each further failure.
    pub wait_ms: u64,
    /// Longest such wait, in milliseconds.
    pub wait_ms_max: u64,
    /// Codes of the failures that are tried again; null: those that may pass by themselves.
    pub on_codes: Option<Vec<String>>,
    /// What happens when the last attempt has failed.
    pub when_spent: WhenSpentDto,
}

/// What happens when a stage that is tried again fails for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenSpentDto {
    /// The run fails.
    Fail,
    /// The run pauses. Resumed, it begins the stage anew, with as many attempts.
    Pause,
}
