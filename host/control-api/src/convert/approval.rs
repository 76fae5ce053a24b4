//! Questions to people.
use std::collections::BTreeMap;

use domain::plan::{Gate, GatePolicy, PlannedStage};
use domain::run::{DEADLINE_ACTOR, GateSubject};
use domain::{Plan, RunId};
use engine::PromptPreview;
use store::{ApprovalRow, ApprovalStatus, ArtifactRow, GrantRow};

use super::budget::budget_question;
use super::policy::{escalated_to, reviewers};
use super::{cost, excerpt, moment, segment};
use crate::Problem;
use crate::dto::{
    ApprovalDetailDto, ApprovalDto, ApprovalStatusDto, ArtifactDto, DeadlineOutcomeDto,
    GateSubjectDto, GrantDto, NextStageDto, PreviousArtifactDto, SelfApprovalDto,
};

/// What a question is shown with.
pub(crate) struct ApprovalParts<'a> {
    pub(crate) row: &'a ApprovalRow,
    /// What its run is bound to.
    pub(crate) plan: &'a Plan,
    /// Those before the last one.
    pub(crate) grants: &'a [GrantRow],
    /// What a grant would add to a budget, where one is asked about and it is known.
    pub(crate) grant_allows: Option<u64>,
}

impl From<ApprovalParts<'_>> for ApprovalDto {
    fn from(parts: ApprovalParts<'_>) -> Self {
        let ApprovalParts { row, plan, grants, grant_allows } = parts;
        let anybody = GatePolicy::default();
        let policy = policy(row, plan).unwrap_or(&anybody);
        let deadline = policy.deadline.as_ref();
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
            grants_needed: row.grant_count.into(),
            grants: grants.iter().map(GrantDto::from).chain(last_grant(row)).collect(),
            reviewers: reviewers(&policy.reviewers),
            self_approval: SelfApprovalDto::from(policy.self_approval),
            deadline_at: row.deadline_at.map(moment),
            deadline_outcome: deadline.map(|one| DeadlineOutcomeDto::from(&one.outcome)),
            escalated: row.is_escalated,
            escalate_to: deadline.map(|one| escalated_to(&one.outcome)).unwrap_or_default(),
            remind_at: row.remind_at.map(moment),
            reminder_count: row.reminder_count.into(),
            reminder_failure: row.reminder_failure.clone(),
        }
    }
}

/// The policy that the question follows. One about a budget follows none: everybody may decide it.
fn policy<'a>(row: &ApprovalRow, plan: &'a Plan) -> Option<&'a GatePolicy> {
    let gate: &Gate = match &row.subject {
        GateSubject::Result => plan.stage(plan.position(&row.stage)?)?.gate.as_ref()?,
        GateSubject::Budget { .. } => return None,
    };
    Some(&gate.policy)
}

/// The grant that passed the gate, where it was not a deadline.
fn last_grant(row: &ApprovalRow) -> Option<GrantDto> {
    match row.status {
        ApprovalStatus::Granted => Some(GrantDto {
            actor: row.actor.clone().filter(|actor| actor != DEADLINE_ACTOR)?,
            comment: row.comment.clone(),
            at: moment(row.decided_at?),
        }),
        ApprovalStatus::Pending
        | ApprovalStatus::Rejected
        | ApprovalStatus::Revised
        | ApprovalStatus::Closed => None,
    }
}

impl From<&GrantRow> for GrantDto {
    fn from(grant: &GrantRow) -> Self {
        Self { actor: grant.actor.clone(), comment: grant.comment.clone(), at: moment(grant.at) }
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

/// What a question is shown with where somebody looks at it.
pub(crate) struct ApprovalDetailParts<'a> {
    pub(crate) approval: ApprovalDto,
    pub(crate) row: &'a ApprovalRow,
    pub(crate) reviewed: Reviewed,
    /// Every version of every artifact of the run.
    pub(crate) artifacts: &'a [ArtifactRow],
    pub(crate) next: Option<NextStageDto>,
}

/// What a question is about: nothing, where it is about a budget.
#[derive(Debug, Default)]
pub(crate) struct Reviewed {
    /// The stage's summary of its result.
    pub(crate) summary: Option<String>,
    /// What a reviewer wanted changed, where that led to this result.
    pub(crate) feedback: Option<String>,
    /// The version of each artifact, by its name.
    pub(crate) versions: BTreeMap<String, u32>,
}

impl From<ApprovalDetailParts<'_>> for ApprovalDetailDto {
    fn from(parts: ApprovalDetailParts<'_>) -> Self {
        let ApprovalDetailParts { approval, row, reviewed, artifacts, next } = parts;
        let Reviewed { summary, feedback, versions } = reviewed;
        let of_stage = artifacts.iter().filter(|artifact| artifact.stage == row.stage);
        let mut shown = Vec::new();
        let mut previous = Vec::new();
        for artifact in of_stage {
            let Some(wanted) = versions.get(artifact.name.as_str()) else { continue };
            if artifact.version == *wanted {
                shown.push(ArtifactDto::from(artifact));
            } else if artifact.version + 1 == *wanted {
                previous.push(PreviousArtifactDto::new(&row.run, artifact, *wanted));
            }
        }
        let request_text = row.request_text.clone();
        Self { approval, request_text, summary, artifacts: shown, previous, feedback, next }
    }
}

impl PreviousArtifactDto {
    fn new(run: &RunId, older: &ArtifactRow, newer_version: u32) -> Self {
        let (stage, name) = (segment(older.stage.as_str()), segment(older.name.as_str()));
        let path = format!("/api/v2/workflow-runs/{run}/artifacts/{stage}/{name}/diff");
        let diff = format!("{path}?from={}&to={newer_version}", older.version);
        Self { artifact: ArtifactDto::from(older), newer_version, diff }
    }
}

impl NextStageDto {
    /// The stage after a gate, with its prompt or why it cannot be built.
    pub(crate) fn new(
        run: &RunId,
        planned: &PlannedStage,
        built: Result<PromptPreview, Problem>,
    ) -> Self {
        let key = planned.key.as_str();
        let (built, problem) = match built {
            Ok(preview) => (Some(preview), None),
            Err(problem) => (None, Some(problem.into_dto())),
        };
        let estimate = built.as_ref().and_then(|preview| preview.estimated_cost_nano_usd);
        Self {
            stage: key.to_owned(),
            title: planned.title.clone(),
            provider: planned.model.provider.clone(),
            model: planned.model.model.clone(),
            input_tokens: built.as_ref().map(|preview| preview.input_tokens),
            max_output_tokens: built.as_ref().and_then(|preview| preview.max_output_tokens),
            estimated_cost: estimate.map(cost),
            prompt: format!("/api/v2/workflow-runs/{run}/stages/{}/prompt", segment(key)),
            problem,
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
