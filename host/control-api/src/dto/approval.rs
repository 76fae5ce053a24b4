//! Questions to a person at a gate, and their answers.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ArtifactDto, CostDto, DeadlineOutcomeDto, GateSubjectDto, ProblemDto, ReviewerDto,
    RunStatusDto, SelfApprovalDto,
};

/// Where a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatusDto {
    /// Waits for a person.
    Pending,
    /// A person said yes.
    Granted,
    /// A person said no.
    Rejected,
    /// A person wants another version.
    Revised,
    /// The run ended, or started again, before it was decided.
    Closed,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalDto {
    /// Names the question.
    pub approval_id: String,
    /// The run.
    pub run_id: String,
    /// The stage whose result is to be looked at, or whose attempt waits for a budget.
    pub stage: String,
    /// What is asked about.
    pub subject: GateSubjectDto,
    /// Where the question is.
    pub status: ApprovalStatusDto,
    /// What the reviewer is asked.
    pub question: String,
    /// Digest of what is to be looked at. Give it with the decision, and a decision on other content is refused.
    pub content_hash: String,
    /// The profile that the run carries out.
    pub mode: String,
    /// The beginning of the run's request.
    pub request_excerpt: String,
    /// When it was asked (RFC 3339).
    pub opened_at: String,
    /// When it was decided (RFC 3339).
    pub decided_at: Option<String>,
    /// Who decided; the last of those who granted.
    pub actor: Option<String>,
    /// In which words.
    pub comment: Option<String>,
    /// Different people who have to grant.
    pub grants_needed: u32,
    /// Which people have granted, in their order. An edit by somebody makes those of others void.
    pub grants: Vec<GrantDto>,
    /// Who may decide; empty: everybody.
    pub reviewers: Vec<ReviewerDto>,
    /// Whether whoever started the run may grant.
    pub self_approval: SelfApprovalDto,
    /// When the outcome of the deadline comes about (RFC 3339); null: never.
    pub deadline_at: Option<String>,
    /// What happens, or happened, when the deadline passes; null where there is none.
    pub deadline_outcome: Option<DeadlineOutcomeDto>,
    /// Whether the deadline has passed, and those of `escalate_to` may decide as well.
    pub escalated: bool,
    /// Who may decide as well after a deadline whose outcome is `escalate`.
    pub escalate_to: Vec<ReviewerDto>,
    /// When people are reminded next (RFC 3339); null: not again.
    pub remind_at: Option<String>,
    /// Reminders so far, those included that did not arrive.
    pub reminder_count: u32,
    /// Why the last reminder did not reach its webhook.
    pub reminder_failure: Option<String>,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantDto {
    /// Who granted.
    pub actor: String,
    /// In which words.
    pub comment: Option<String>,
    /// When (RFC 3339).
    pub at: String,
}

/// A question with what is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalDetailDto {
    /// What a list shows of it.
    #[serde(flatten)]
    pub approval: ApprovalDto,
    /// The whole request of the run.
    pub request_text: String,
    /// The stage's summary of its result; null where nothing but a budget is asked about.
    pub summary: Option<String>,
    /// The versions to look at, or that were looked at; none where nothing but a budget is asked about.
    pub artifacts: Vec<ArtifactDto>,
    /// For each of them that has one, the version before it: what an edit, a revision or a retry took the place of.
    pub previous: Vec<PreviousArtifactDto>,
    /// What a reviewer wanted changed, where that led to these artifacts.
    pub feedback: Option<String>,
    /// What a grant leads to; null after the last stage, at a gate for a budget, and where the question is decided.
    pub next: Option<NextStageDto>,
}

/// The version of an artifact before the one to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviousArtifactDto {
    /// That version.
    #[serde(flatten)]
    pub artifact: ArtifactDto,
    /// The version to look at.
    pub newer_version: u32,
    /// Path of the differences from one to the other.
    pub diff: String,
}

/// What the next stage would ask if the gate were granted at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextStageDto {
    /// Its name within the run.
    pub stage: String,
    /// Its name for people.
    pub title: String,
    /// Who would be asked.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// Tokens of its first prompt, estimated; null where the prompt cannot be built.
    pub input_tokens: Option<u64>,
    /// Upper bound of the answer, in tokens; null if the provider decides.
    pub max_output_tokens: Option<u32>,
    /// About what that question would cost; null if the price is not known.
    pub estimated_cost: Option<CostDto>,
    /// Path of the whole prompt.
    pub prompt: String,
    /// Why the prompt cannot be built now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemDto>,
}

/// A decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Who decides. Can be left out where a proxy says it in a header that the server knows of, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// In which words. A wish for a revision has words: they go to the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Digest of what was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// Texts to put in place of the stage's. They go with a grant only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<ArtifactEditDto>,
}

/// A reviewer's text in place of a stage's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactEditDto {
    /// Name of one of the artifacts to look at.
    pub name: String,
    /// The whole new text. It has to be JSON if the artifact's media type says so.
    pub body: String,
}

/// What a decision led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecidedDto {
    /// The question.
    pub approval_id: String,
    /// `granted`, `rejected` or `revised`.
    pub verdict: String,
    /// The run.
    pub run_id: String,
    /// Where the run is.
    pub status: RunStatusDto,
    /// How many people have granted.
    pub grants: u32,
    /// How many have to.
    pub grants_needed: u32,
    /// Whether the question still waits, because it takes more grants.
    pub open: bool,
    /// Digest of what was decided upon, edits included.
    pub content_hash: String,
}
