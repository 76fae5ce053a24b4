//! Questions to people.
use domain::run::GateSubject;
use store::{ApprovalRow, ApprovalStatus, ArtifactRow, StageRow};

use super::budget::budget_question;
use super::{excerpt, moment};
use crate::dto::{ApprovalDetailDto, ApprovalDto, ApprovalStatusDto, ArtifactDto, GateSubjectDto};

impl ApprovalDto {
    /// A question. `grant_allows` is what a grant would add to a budget, where one is asked about and it is known.
    pub(crate) fn new(row: &ApprovalRow, grant_allows: Option<u64>) -> Self {
        Self {
            approval_id: row.id.to_string(),
            run_id: row.run.to_string(),
            stage: row.stage.to_string(),
            status: ApprovalStatusDto::from(row.status),
            subject: GateSubjectDto::new(&row.subject, grant_allows),
            question: question(row, grant_allows),
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

/// What is asked: about a result in the words of the profile, where it has some.
fn question(row: &ApprovalRow, grant_allows: Option<u64>) -> String {
    match (&row.subject, &row.question) {
        (GateSubject::Budget { bound, .. }, _) => {
            budget_question(row.stage.as_str(), bound, grant_allows)
        }
        (GateSubject::Result, Some(question)) => question.clone(),
        (GateSubject::Result, None) => {
            format!("Is the result of `{}` good enough to go on with?", row.stage)
        }
    }
}

impl ApprovalDetailDto {
    /// A question about a result, with what the stage has made; one about a budget, which has nothing to look at.
    pub(crate) fn new(
        approval: ApprovalDto,
        row: &ApprovalRow,
        stages: &[StageRow],
        artifacts: &[ArtifactRow],
    ) -> Self {
        let asks_about_result = row.subject == GateSubject::Result;
        let stage = stages.iter().find(|stage| asks_about_result && stage.key == row.stage);
        let shown = artifacts.iter().filter(|artifact| {
            asks_about_result && artifact.stage == row.stage && artifact.current
        });
        Self {
            approval,
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
            ApprovalStatus::Revised => ApprovalStatusDto::Revised,
            ApprovalStatus::Closed => ApprovalStatusDto::Closed,
        }
    }
}
