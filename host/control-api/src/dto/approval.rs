//! Questions to a person at a gate, and their answers.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ArtifactDto, GateSubjectDto, RunStatusDto};

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
    /// Who decided.
    pub actor: Option<String>,
    /// In which words.
    pub comment: Option<String>,
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
    /// The artifacts to look at; none where nothing but a budget is asked about.
    pub artifacts: Vec<ArtifactDto>,
}

/// A decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Who decides.
    pub actor: String,
    /// In which words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Digest of what was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// Reserved: changed artifacts cannot be handed in with a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Value>,
}

/// What a decision led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecidedDto {
    /// The question.
    pub approval_id: String,
    /// `granted` or `rejected`.
    pub verdict: String,
    /// The run.
    pub run_id: String,
    /// Where the run is.
    pub status: RunStatusDto,
}
