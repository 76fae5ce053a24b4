//! The `retry` of a stage: how often it is tried, and what happens then. Merged key by key.
use domain::FaultKind;
use domain::plan::{RetryOn, WhenSpent};

use super::At;
use super::fields::{Bound, Fields, text, whole};
use super::parts::shown;
use crate::findings::{Findings, known_hint};
use crate::node::{Node, NodeValue, Spot};

// Twenty attempts at the longest usual prompt are an evening's money.
const ATTEMPTS: Bound = Bound { key: "attempts", min: 1, max: 20, unit: "" };
// No wait is allowed: a model's answer that could not be used can be asked for again at once. After an hour the wait
// is better called a deadline.
const WAIT_S: Bound = Bound { key: "wait_s", min: 0, max: 3_600, unit: "s" };
// A day: whatever is down for longer needs a person.
const WAIT_MAX_S: Bound = Bound { key: "wait_max_s", min: 0, max: 86_400, unit: "s" };
const ON: &str = "on";
const WHEN_SPENT: &str = "when_spent";
/// Longest text that is looked at as a code, in bytes. Only keeps messages short.
const CODE_BYTES_MAX: usize = 200;

const KEYS: [&str; 5] = [ATTEMPTS.key, WAIT_S.key, WAIT_MAX_S.key, ON, WHEN_SPENT];

/// What happens when an attempt fails, as far as it is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidRetry {
    /// Where it was said last, if it was.
    pub(crate) spot: Option<Spot>,
    /// Whether all that was said could be read.
    pub(crate) is_broken: bool,
    pub(crate) attempts: Option<u32>,
    pub(crate) wait_s: Option<At<u64>>,
    pub(crate) wait_max_s: Option<At<u64>>,
    pub(crate) on: Option<RetryOn>,
    pub(crate) when_spent: Option<WhenSpent>,
}

impl SaidRetry {
    /// Reads the member `retry`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> SaidRetry {
        let Some(retry) = fields.map("retry", &KEYS, findings) else {
            return SaidRetry::default();
        };
        let mut number = |bound: &Bound| {
            let node = retry.node(bound.key)?;
            let value = whole(node, bound, findings)?;
            Some(At { value, spot: node.spot.clone() })
        };
        let attempts = number(&ATTEMPTS);
        SaidRetry {
            spot: Some(retry.spot().clone()),
            is_broken: attempts.is_none() && retry.node(ATTEMPTS.key).is_some(),
            attempts: attempts.and_then(|count| u32::try_from(count.value).ok()),
            wait_s: number(&WAIT_S),
            wait_max_s: number(&WAIT_MAX_S),
            on: retry.node(ON).and_then(|node| on(node, findings)),
            when_spent: retry.node(WHEN_SPENT).and_then(|node| when_spent(node, findings)),
        }
    }

    /// Lays what is said later over this.
    pub(crate) fn overlay(&mut self, over: &SaidRetry) {
        fn lay<T: Clone>(below: &mut Option<T>, over: &Option<T>) {
            if over.is_some() {
                below.clone_from(over);
            }
        }
        lay(&mut self.spot, &over.spot);
        lay(&mut self.attempts, &over.attempts);
        lay(&mut self.wait_s, &over.wait_s);
        lay(&mut self.wait_max_s, &over.wait_max_s);
        lay(&mut self.on, &over.on);
        lay(&mut self.when_spent, &over.when_spent);
        self.is_broken |= over.is_broken;
    }
}

fn on(node: &Node, findings: &mut Findings) -> Option<RetryOn> {
    let items = match &node.value {
        NodeValue::Text(word) if word == "retryable" => return Some(RetryOn::Retryable),
        NodeValue::List(items) if items.is_empty() => {
            findings
                .at(&node.spot, format!("`{ON}` lists no code"))
                .hint("leave it out, or say `attempts: 1` if nothing is tried again");
            return None;
        }
        NodeValue::List(items) => items,
        _ => {
            findings
                .at(&node.spot, format!("`{ON}` cannot be {}", shown(node)))
                .hint("write `retryable`, or a list of error codes such as `[model_timeout]`");
            return None;
        }
    };
    let known: Vec<&str> = FaultKind::codes().collect();
    let mut codes: Vec<String> = Vec::new();
    for item in items {
        let Some(code) = text(item, ON, CODE_BYTES_MAX, findings) else { continue };
        if !known.contains(&code.as_str()) {
            findings.at(&item.spot, format!("no attempt fails with `{code}`")).hint(known_hint(
                &code,
                "the codes",
                &known,
            ));
        } else if codes.contains(&code) {
            findings.at(&item.spot, format!("`{code}` is listed twice"));
        } else {
            codes.push(code);
        }
    }
    Some(RetryOn::Codes(codes))
}

fn when_spent(node: &Node, findings: &mut Findings) -> Option<WhenSpent> {
    match &node.value {
        NodeValue::Text(word) if word == "fail" => Some(WhenSpent::Fail),
        NodeValue::Text(word) if word == "pause" => Some(WhenSpent::Pause),
        _ => {
            findings
                .at(&node.spot, format!("`{WHEN_SPENT}` cannot be {}", shown(node)))
                .hint("write `fail` or `pause`");
            None
        }
    }
}
