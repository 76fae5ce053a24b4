//! What happens at a gate by itself: the deadline, and reminders before it.
use std::time::Duration;

use domain::plan::{DeadlineOutcome, GateDeadline, Reminder, Reviewer};

use super::reviewers;
use crate::findings::Findings;
use crate::node::{Node, NodeValue};
use crate::said::At;
use crate::said::fields::{Bound, Fields, whole};
use crate::said::parts::shown;

/// Longest deadline or wait for a reminder, in hours: a year. Whatever waits longer is forgotten.
const HOURS_MAX: u64 = 365 * 24;
/// The same in seconds.
const SECONDS_MAX: u64 = HOURS_MAX * 3_600;

const OUTCOME: &str = "outcome";
const ESCALATE_TO: &str = "escalate_to";
const WEBHOOK: &str = "webhook";
// A webhook that was told a hundred times tells nobody any more.
const COUNT: Bound = Bound { key: "count", min: 1, max: 100, unit: "reminders" };

const AFTER: Span = Span {
    hours: Bound { key: "after_h", min: 1, max: HOURS_MAX, unit: "hours" },
    seconds: Bound { key: "after_s", min: 1, max: SECONDS_MAX, unit: "seconds" },
};
/// The first reminder may come at once: it then says that the gate is open.
const REMIND_AFTER: Span = Span {
    hours: Bound { key: "after_h", min: 0, max: HOURS_MAX, unit: "hours" },
    seconds: Bound { key: "after_s", min: 0, max: SECONDS_MAX, unit: "seconds" },
};
const EVERY: Span = Span {
    hours: Bound { key: "every_h", min: 1, max: HOURS_MAX, unit: "hours" },
    seconds: Bound { key: "every_s", min: 1, max: SECONDS_MAX, unit: "seconds" },
};

const DEADLINE_KEYS: [&str; 4] = [AFTER.hours.key, AFTER.seconds.key, OUTCOME, ESCALATE_TO];
const REMINDER_KEYS: [&str; 6] = [
    WEBHOOK,
    REMIND_AFTER.hours.key,
    REMIND_AFTER.seconds.key,
    EVERY.hours.key,
    EVERY.seconds.key,
    COUNT.key,
];

/// A time that is said in hours or in seconds, not in both.
struct Span {
    hours: Bound,
    seconds: Bound,
}

impl Span {
    fn read(&self, fields: &Fields<'_>, findings: &mut Findings) -> Option<Duration> {
        let hours = fields.node(self.hours.key);
        let seconds = fields.node(self.seconds.key);
        if let (Some(_), Some(second)) = (hours, seconds) {
            let message = format!("`{}` is said beside `{}`", self.seconds.key, self.hours.key);
            findings.at(&second.spot, message).hint("keep one of them");
        }
        let in_hours = hours.and_then(|node| whole(node, &self.hours, findings));
        let in_seconds = seconds.and_then(|node| whole(node, &self.seconds, findings));
        in_hours.map(|hours| hours * 3_600).or(in_seconds).map(Duration::from_secs)
    }

    fn node<'n>(&self, fields: &Fields<'n>) -> Option<&'n Node> {
        fields.node(self.hours.key).or_else(|| fields.node(self.seconds.key))
    }

    fn required(&self, fields: &Fields<'_>, findings: &mut Findings) -> Option<Duration> {
        if self.node(fields).is_none() {
            findings.at(
                fields.spot(),
                format!("`{}` or `{}` is missing", self.hours.key, self.seconds.key),
            );
        }
        self.read(fields, findings)
    }
}

/// Whether the gate is decided by the deadline.
pub(super) fn decides(outcome: &DeadlineOutcome) -> bool {
    match outcome {
        DeadlineOutcome::Reject | DeadlineOutcome::Grant => true,
        DeadlineOutcome::Escalate { .. } => false,
    }
}

/// Reads the member `deadline` of a gate.
pub(super) fn deadline(
    gate: &Fields<'_>,
    reviewers: Option<&[Reviewer]>,
    groups: &mut Vec<At<String>>,
    findings: &mut Findings,
) -> Option<GateDeadline> {
    let fields = gate.map("deadline", &DEADLINE_KEYS, findings)?;
    let after = AFTER.required(&fields, findings);
    let to = fields.node(ESCALATE_TO);
    let named = to.and_then(|node| reviewers::read(node, ESCALATE_TO, groups, findings));
    let word = fields.required(OUTCOME, findings)?;
    let outcome = match &word.value {
        NodeValue::Text(word) if word == "reject" => DeadlineOutcome::Reject,
        NodeValue::Text(word) if word == "grant" => DeadlineOutcome::Grant,
        NodeValue::Text(word) if word == "escalate" => {
            check_escalation(gate, &fields, reviewers, named.as_deref(), findings);
            DeadlineOutcome::Escalate { to: named? }
        }
        _ => {
            findings
                .at(&word.spot, format!("`{OUTCOME}` cannot be {}", shown(word)))
                .hint("write `reject`, `grant` or `escalate`");
            return None;
        }
    };
    if let Some(to) = to.filter(|_| decides(&outcome)) {
        let message = format!("`{ESCALATE_TO}` goes with the outcome `escalate` only");
        findings.at(&to.spot, message).hint("leave it out, or write `outcome: escalate`");
    }
    Some(GateDeadline { after: after?, outcome })
}

fn check_escalation(
    gate: &Fields<'_>,
    deadline: &Fields<'_>,
    reviewers: Option<&[Reviewer]>,
    to: Option<&[Reviewer]>,
    findings: &mut Findings,
) {
    let Some(node) = deadline.required(ESCALATE_TO, findings) else { return };
    if gate.node(super::REVIEWERS).is_none() {
        findings
            .at(&node.spot, "everybody may decide, so there is nobody to escalate to")
            .hint("say in `reviewers` who decides before the deadline");
    }
    if let (Some(reviewers), Some(to)) = (reviewers, to) {
        reviewers::check_new(&node.spot, ESCALATE_TO, to, reviewers, findings);
    }
}

/// Reads the member `reminder` of a gate; its place is that of the webhook's name.
pub(super) fn reminder(gate: &Fields<'_>, findings: &mut Findings) -> Option<At<Reminder>> {
    let fields = gate.map("reminder", &REMINDER_KEYS, findings)?;
    let webhook = fields
        .required(WEBHOOK, findings)
        .and_then(|node| reviewers::configured_name(node, WEBHOOK, findings));
    let after = REMIND_AFTER.required(&fields, findings);
    let every = EVERY.read(&fields, findings);
    let count_node = fields.node(COUNT.key);
    let count = match count_node {
        Some(node) => whole(node, &COUNT, findings)?,
        None => 1,
    };
    match (EVERY.node(&fields), count_node) {
        (None, Some(node)) if count > 1 => {
            findings
                .at(&node.spot, format!("{count} reminders need the time between them"))
                .hint("say `every_h` or `every_s`");
        }
        (Some(node), _) if count == 1 => {
            findings
                .at(&node.spot, "there is one reminder, so there is no time between two")
                .hint("say with `count` how many there are, or leave it out");
        }
        (None | Some(_), _) => {}
    }
    let At { value: webhook, spot } = webhook?;
    let count_max = u16::try_from(count).unwrap_or(u16::MAX);
    Some(At { value: Reminder { webhook, after: after?, every, count_max }, spot })
}
