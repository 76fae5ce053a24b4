//! A gate's policy in words: who may decide, how many grants it takes, until when, and what comes next.
use std::collections::BTreeMap;

use control_api::dto::{
    ApprovalDto, DeadlineOutcomeDto, GateSubjectDto, NextStageDto, ReviewerDto, SelfApprovalDto,
};

use crate::output::clean;
use crate::render;

/// What an actor can do at a gate, as far as this process knows; the host has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They can decide.
    MayDecide,
    /// They started the run: they can reject it or have it revised, and somebody else has to grant.
    MayNotGrant,
    /// They have granted, and somebody else has to as well.
    HasGranted,
    /// Others decide.
    NotAReviewer,
}

/// What an actor can do at a gate. Members of a group that is not configured here are not known, and may all decide.
pub(crate) fn standing(
    approval: &ApprovalDto,
    actor: &str,
    started_by: Option<&str>,
    groups: &BTreeMap<String, Vec<String>>,
) -> Standing {
    // The policy is about results; a budget is everybody's who may call.
    if !matches!(approval.subject, GateSubjectDto::Result) {
        return Standing::MayDecide;
    }
    let is_one = |reviewer: &ReviewerDto| match reviewer {
        ReviewerDto::Actor(name) => name == actor,
        ReviewerDto::Group(name) => {
            groups.get(name).is_none_or(|members| members.iter().any(|member| member == actor))
        }
    };
    if !approval.reviewers.is_empty() && !all_reviewers(approval).any(is_one) {
        return Standing::NotAReviewer;
    }
    if approval.grants.iter().any(|grant| grant.actor == actor) {
        return Standing::HasGranted;
    }
    match approval.self_approval {
        SelfApprovalDto::Refused if started_by == Some(actor) => Standing::MayNotGrant,
        SelfApprovalDto::Refused | SelfApprovalDto::Allowed => Standing::MayDecide,
    }
}

/// Nobody, where everybody may decide: an escalation adds nobody to them.
fn all_reviewers(approval: &ApprovalDto) -> impl Iterator<Item = &ReviewerDto> {
    let adds = approval.escalated && !approval.reviewers.is_empty();
    let also = approval.escalate_to.iter().filter(move |_| adds);
    approval.reviewers.iter().chain(also)
}

/// Who may decide, e.g. `anna@example.com, group editors`; nothing where everybody may.
pub(crate) fn who_may_decide(approval: &ApprovalDto) -> String {
    names(all_reviewers(approval))
}

/// The same, with who of them may not grant.
pub(crate) fn reviewers(approval: &ApprovalDto) -> String {
    let mut text = who_may_decide(approval);
    if approval.self_approval == SelfApprovalDto::Refused {
        if text.is_empty() {
            text.push_str("everybody");
        }
        text.push_str("; whoever started the run may not grant");
    }
    text
}

fn names<'a>(reviewers: impl Iterator<Item = &'a ReviewerDto>) -> String {
    let name = |reviewer: &ReviewerDto| match reviewer {
        ReviewerDto::Actor(name) => clean(name),
        ReviewerDto::Group(name) => format!("group {}", clean(name)),
    };
    reviewers.map(name).collect::<Vec<_>>().join(", ")
}

/// How many have granted of how many, e.g. `1/2`.
pub(crate) fn grants_count(approval: &ApprovalDto) -> String {
    format!("{}/{}", approval.grants.len(), approval.grants_needed)
}

/// The same with their names; nothing where one grant is enough and there is none.
pub(crate) fn grants(approval: &ApprovalDto) -> String {
    if approval.grants_needed <= 1 && approval.grants.is_empty() {
        return String::new();
    }
    let given = approval.grants.iter().map(|grant| {
        let words = grant.comment.as_deref().map(render::one_line);
        let words = words.map_or_else(String::new, |words| format!(": {words}"));
        format!("{} ({}){words}", clean(&grant.actor), render::time(&grant.at))
    });
    let of = format!("{} of {}", approval.grants.len(), approval.grants_needed);
    [of].into_iter().chain(given).collect::<Vec<_>>().join("; ")
}

/// Until when somebody has to decide, and what happens then.
pub(crate) fn deadline(approval: &ApprovalDto) -> String {
    let escalated =
        || format!("has passed: {} may decide as well", names(approval.escalate_to.iter()));
    match (&approval.deadline_at, approval.deadline_outcome) {
        _ if approval.escalated => escalated(),
        (Some(at), Some(outcome)) => {
            format!("{}, {}", render::time(at), outcome_of(approval, outcome))
        }
        (Some(at), None) => render::time(at),
        (None, _) => String::new(),
    }
}

fn outcome_of(approval: &ApprovalDto, outcome: DeadlineOutcomeDto) -> String {
    match outcome {
        DeadlineOutcomeDto::Reject => "then it is rejected".to_owned(),
        DeadlineOutcomeDto::Grant => "then it is granted".to_owned(),
        DeadlineOutcomeDto::Escalate => {
            format!("then {} may decide as well", names(approval.escalate_to.iter()))
        }
    }
}

/// Reminders so far and to come.
pub(crate) fn reminders(approval: &ApprovalDto) -> String {
    let mut parts = Vec::new();
    if approval.reminder_count > 0 {
        parts.push(render::counted(approval.reminder_count.into(), "reminder", "reminders"));
    }
    parts.extend(
        approval
            .reminder_failure
            .as_ref()
            .map(|why| format!("the last one did not arrive: {}", render::unbroken(why))),
    );
    parts.extend(approval.remind_at.as_ref().map(|at| format!("next at {}", render::time(at))));
    parts.join(", ")
}

/// What a grant leads to, in one line.
pub(crate) fn next(next: &NextStageDto) -> String {
    let stage = clean(&next.stage);
    // The built-in writer has one name for both.
    let model = match next.provider == next.model {
        true => clean(&next.model),
        false => clean(&format!("{}/{}", next.provider, next.model)),
    };
    if let Some(problem) = &next.problem {
        let why = render::unbroken(&problem.detail);
        return format!("{stage} asks {model}; its prompt cannot be shown now: {why}");
    }
    let input = next
        .input_tokens
        .map_or_else(String::new, |tokens| format!(": ≈ {} tokens in", render::count(tokens)));
    let output = next.max_output_tokens.map_or_else(String::new, |tokens| {
        format!(", at most {} out", render::count(tokens.into()))
    });
    let cost = match &next.estimated_cost {
        Some(cost) if cost.usd == "0" => "at no cost".to_owned(),
        Some(cost) => format!("about ${}", cost.usd),
        None => "price unknown".to_owned(),
    };
    format!("{stage} asks {model}{input}{output}, {cost}")
}

#[cfg(test)]
mod tests {
    use control_api::dto::{ApprovalStatusDto, GrantDto};

    use super::*;

    fn approval() -> ApprovalDto {
        ApprovalDto {
            approval_id: "appr_1".to_owned(),
            run_id: "run_1".to_owned(),
            stage: "research".to_owned(),
            subject: GateSubjectDto::Result,
            status: ApprovalStatusDto::Pending,
            question: String::new(),
            content_hash: String::new(),
            mode: String::new(),
            request_excerpt: String::new(),
            opened_at: "2026-01-01T00:00:00Z".to_owned(),
            decided_at: None,
            actor: None,
            comment: None,
            grants_needed: 2,
            grants: Vec::new(),
            reviewers: vec![
                ReviewerDto::Actor("anna".to_owned()),
                ReviewerDto::Group("editors".to_owned()),
            ],
            self_approval: SelfApprovalDto::Refused,
            deadline_at: Some("2026-01-02T00:00:00.5Z".to_owned()),
            deadline_outcome: Some(DeadlineOutcomeDto::Escalate),
            escalated: false,
            escalate_to: vec![ReviewerDto::Actor("carl".to_owned())],
            remind_at: None,
            reminder_count: 2,
            reminder_failure: Some("it answered with status 500".to_owned()),
        }
    }

    fn standing_of(approval: &ApprovalDto, actor: &str) -> Standing {
        let groups = BTreeMap::from([("editors".to_owned(), vec!["bob".to_owned()])]);
        standing(approval, actor, Some("bob"), &groups)
    }

    #[test]
    fn who_may_decide_is_known_before_anybody_is_asked() {
        let mut open = approval();
        assert_eq!(standing_of(&open, "anna"), Standing::MayDecide);
        assert_eq!(standing_of(&open, "bob"), Standing::MayNotGrant);
        assert_eq!(standing_of(&open, "carl"), Standing::NotAReviewer);
        open.escalated = true;
        assert_eq!(standing_of(&open, "carl"), Standing::MayDecide);
        let at = "2026-01-01T00:00:00Z".to_owned();
        open.grants = vec![GrantDto { actor: "anna".to_owned(), comment: None, at }];
        assert_eq!(standing_of(&open, "anna"), Standing::HasGranted);
        assert_eq!(grants(&open), "1 of 2; anna (2026-01-01 00:00:00Z)");
    }

    #[test]
    fn a_policy_is_told_in_words_and_none_in_none() {
        let mut open = approval();
        assert_eq!(reviewers(&open), "anna, group editors; whoever started the run may not grant");
        assert_eq!(deadline(&open), "2026-01-02 00:00:00Z, then carl may decide as well");
        assert_eq!(
            reminders(&open),
            "2 reminders, the last one did not arrive: it answered with status 500"
        );
        open.escalated = true;
        assert_eq!(deadline(&open), "has passed: carl may decide as well");
        open.reviewers.clear();
        open.grants_needed = 1;
        open.self_approval = SelfApprovalDto::Allowed;
        assert_eq!((reviewers(&open), grants(&open)), (String::new(), String::new()));
        assert_eq!(standing_of(&open, "carl"), Standing::MayDecide);
    }
}
