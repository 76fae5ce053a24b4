//! Questions to people.
use store::{ApprovalRow, ApprovalStatus, ArtifactRow, StageRow};

use super::{excerpt, moment};
use crate::dto::{ApprovalDetailDto, ApprovalDto, ApprovalStatusDto, ArtifactDto};

impl From<&ApprovalRow> for ApprovalDto {
    fn from(row: &ApprovalRow) -> Self {
        Self {
            approval_id: row.id.to_string(),
            run_id: row.run.to_string(),
            stage: row.stage.to_string(),
            status: ApprovalStatusDto::from(row.status),
            question: row.question.clone().unwrap_or_else(|| usual_question(row)),
            content_hash: row.content_hash.to_string(),
            mode: row.effective_mode.to_string(),
            request_excerpt: excerpt(&row.request_text),
            opened_at: moment(row.opened_at),
            decided_at: row.decided_at.map(moment),
            actor: row.actor.clone(),
            comment: row.comment.clone(),
        }
    }
}

/// What is asked where the profile has no words of its own.
fn usual_question(row: &ApprovalRow) -> String {
    format!("Is the result of `{}` good enough to go on with?", row.stage)
}

impl ApprovalDetailDto {
    /// An approval, with what its stage of the run has made.
    pub(crate) fn new(row: &ApprovalRow, stages: &[StageRow], artifacts: &[ArtifactRow]) -> Self {
        let stage = stages.iter().find(|stage| stage.key == row.stage);
        let shown =
            artifacts.iter().filter(|artifact| artifact.stage == row.stage && artifact.current);
        Self {
            approval: ApprovalDto::from(row),
            request_text: row.request_text.clone(),
            summary: stage.and_then(|stage| stage.summary.clone()),
            artifacts: shown.map(ArtifactDto::from).collect(),
        }
    }
}

impl From<ApprovalStatus> for ApprovalStatusDto {
    fn from(status: ApprovalStatus) -> Self {
        match status {
            ApprovalStatus::Pending => ApprovalStatusDto::Pending,
            ApprovalStatus::Granted => ApprovalStatusDto::Granted,
            ApprovalStatus::Rejected => ApprovalStatusDto::Rejected,
            ApprovalStatus::Closed => ApprovalStatusDto::Closed,
        }
    }
}
