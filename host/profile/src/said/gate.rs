//! The `gate` of a stage: whether a person has to look, who may decide, and what happens when nobody does.
//!
//! A gate is said as a whole: one of a stage or of an override takes nothing from the gate that it replaces. What
//! contradicts itself is reported here; whether the groups and the webhook exist is asked later.
mod reviewers;
mod timing;

use domain::plan::{GRANT_COUNT_MAX, GateDeadline, GatePolicy, Reminder, Reviewer, SelfApproval};

use super::At;
use super::fields::{Bound, Fields, text, whole};
use super::parts::shown;
use crate::findings::Findings;
use crate::node::{Node, NodeValue, Spot};

/// Longest question at a gate, in bytes: it is read before a decision, not studied.
const QUESTION_BYTES_MAX: usize = 1_000;

const APPROVALS: Bound =
    Bound { key: "approvals", min: 1, max: GRANT_COUNT_MAX as u64, unit: "people" };
const SELF_APPROVAL: &str = "self_approval";
const REVIEWERS: &str = "reviewers";

const KEYS: [&str; 6] =
    ["question", APPROVALS.key, REVIEWERS, SELF_APPROVAL, "deadline", "reminder"];

/// Whether a person has to look.
#[derive(Debug, Clone)]
pub(crate) enum SaidGate {
    None,
    Required(Box<SaidReview>),
}

/// How a person has to look.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidReview {
    pub(crate) question: Option<String>,
    pub(crate) policy: GatePolicy,
    /// Every group that the policy names.
    pub(crate) groups: Vec<At<String>>,
    /// The webhook that the policy names.
    pub(crate) webhook: Option<At<String>>,
}

impl SaidGate {
    /// Reads the member `gate`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> Option<SaidGate> {
        let node = fields.node("gate")?;
        match &node.value {
            NodeValue::Text(word) if word == "required" => Some(SaidGate::Required(Box::default())),
            NodeValue::Text(word) if word == "none" => Some(SaidGate::None),
            NodeValue::Map(_) => {
                let gate = Fields::open(node, "`gate`", &KEYS, findings)?;
                Some(SaidGate::Required(Box::new(SaidReview::read(&gate, findings))))
            }
            _ => {
                findings
                    .at(&node.spot, format!("`gate` cannot be {}", shown(node)))
                    .hint("write `required`, `none` or a map such as `{ question: \"…\" }`");
                None
            }
        }
    }
}

impl SaidReview {
    fn read(gate: &Fields<'_>, findings: &mut Findings) -> SaidReview {
        let mut groups = Vec::new();
        let approvals = gate.node(APPROVALS.key);
        let grant_count = approvals.and_then(|node| whole(node, &APPROVALS, findings));
        let reviewers = gate
            .node(REVIEWERS)
            .and_then(|node| reviewers::read(node, REVIEWERS, &mut groups, findings));
        if let (Some(node), Some(count), Some(reviewers)) = (approvals, grant_count, &reviewers) {
            check_enough(&node.spot, count, reviewers, findings);
        }
        let deadline = timing::deadline(gate, reviewers.as_deref(), &mut groups, findings);
        let reminder = timing::reminder(gate, findings);
        check_in_time(deadline.as_ref(), reminder.as_ref(), findings);
        let webhook = reminder
            .as_ref()
            .map(|At { value, spot }| At { value: value.webhook.clone(), spot: spot.clone() });
        let default = GatePolicy::default();
        SaidReview {
            question: gate
                .node("question")
                .and_then(|node| text(node, "question", QUESTION_BYTES_MAX, findings)),
            policy: GatePolicy {
                grant_count: grant_count
                    .and_then(|count| u8::try_from(count).ok())
                    .unwrap_or(default.grant_count),
                reviewers: reviewers.unwrap_or_default(),
                self_approval: gate
                    .node(SELF_APPROVAL)
                    .and_then(|node| self_approval(node, findings))
                    .unwrap_or_default(),
                deadline,
                reminder: reminder.map(|reminder| reminder.value),
            },
            groups,
            webhook,
        }
    }
}

/// Where all who may decide are named one by one, there have to be as many of them as it takes.
fn check_enough(spot: &Spot, count: u64, reviewers: &[Reviewer], findings: &mut Findings) {
    let is_actor = |reviewer: &Reviewer| match reviewer {
        Reviewer::Actor(_) => true,
        Reviewer::Group(_) => false,
    };
    if reviewers.iter().all(is_actor) && count > reviewers.len() as u64 {
        let message =
            format!("{count} people have to grant, and `{REVIEWERS}` names {}", reviewers.len());
        findings.at(spot, message).hint("name more people or a group, or ask for fewer grants");
    }
}

/// A reminder of a gate that is decided by then is never sent.
fn check_in_time(
    deadline: Option<&GateDeadline>,
    reminder: Option<&At<Reminder>>,
    findings: &mut Findings,
) {
    let (Some(deadline), Some(reminder)) = (deadline, reminder) else { return };
    if timing::decides(&deadline.outcome) && reminder.value.after >= deadline.after {
        findings
            .at(&reminder.spot, "the reminder comes when the deadline has passed")
            .hint("let the first reminder come before the deadline");
    }
}

fn self_approval(node: &Node, findings: &mut Findings) -> Option<SelfApproval> {
    match &node.value {
        NodeValue::Bool(true) => Some(SelfApproval::Allowed),
        NodeValue::Bool(false) => Some(SelfApproval::Refused),
        _ => {
            findings
                .at(&node.spot, format!("`{SELF_APPROVAL}` cannot be {}", shown(node)))
                .hint("write `true`, or `false` if whoever starts a run may not grant its gate");
            None
        }
    }
}
