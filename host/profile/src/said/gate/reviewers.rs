//! Who may decide: people by the name that they act under, and groups of the host's configuration.
use domain::Mode;
use domain::plan::Reviewer;
use domain::run::HOST_ACTOR_PREFIX;

use crate::findings::Findings;
use crate::node::{Node, NodeValue, Spot};
use crate::said::At;
use crate::said::fields::{Fields, line};
use crate::said::parts::shown;

/// Most entries of one list. Whoever needs more of them needs a group.
const REVIEWER_COUNT_MAX: usize = 64;
/// Longest name of somebody who acts, in bytes: as the host takes it.
const ACTOR_BYTES_MAX: usize = 200;
const GROUP: &str = "group";

/// Reads a list of reviewers, and notes where it names groups. `None` if nothing of it can be used.
pub(super) fn read(
    node: &Node,
    key: &str,
    groups: &mut Vec<At<String>>,
    findings: &mut Findings,
) -> Option<Vec<Reviewer>> {
    let NodeValue::List(items) = &node.value else {
        findings
            .at(&node.spot, format!("`{key}` has to be a list, not {}", node.kind()))
            .hint("write `[\"anna@example.com\", { group: editors }]`");
        return None;
    };
    if items.is_empty() {
        findings
            .at(&node.spot, format!("`{key}` names nobody"))
            .hint("name people or groups, or leave it out");
        return None;
    }
    if items.len() > REVIEWER_COUNT_MAX {
        let message =
            format!("`{key}` has {} entries, and may have {REVIEWER_COUNT_MAX}", items.len());
        findings.at(&node.spot, message).hint("make a group of them in the host's configuration");
        return None;
    }
    let mut reviewers = Vec::new();
    let mut is_whole = true;
    for item in items {
        let Some(reviewer) = reviewer(item, groups, findings) else {
            is_whole = false;
            continue;
        };
        if reviewers.contains(&reviewer) {
            findings.at(&item.spot, format!("{} is named twice", words(&reviewer)));
        } else {
            reviewers.push(reviewer);
        }
    }
    // Of a list of which a part was not understood, nothing can be concluded.
    is_whole.then_some(reviewers)
}

/// A reviewer for a message.
pub(super) fn words(reviewer: &Reviewer) -> String {
    match reviewer {
        Reviewer::Actor(name) => format!("`{name}`"),
        Reviewer::Group(name) => format!("the group `{name}`"),
    }
}

fn reviewer(
    item: &Node,
    groups: &mut Vec<At<String>>,
    findings: &mut Findings,
) -> Option<Reviewer> {
    match &item.value {
        NodeValue::Text(_) => actor(item, findings).map(Reviewer::Actor),
        NodeValue::Map(_) => {
            let fields = Fields::open(item, "a reviewer", &[GROUP], findings)?;
            let group = configured_name(fields.required(GROUP, findings)?, GROUP, findings)?;
            groups.push(group.clone());
            Some(Reviewer::Group(group.value))
        }
        _ => {
            findings
                .at(&item.spot, format!("a reviewer cannot be {}", shown(item)))
                .hint("write the name of somebody who decides, or `{ group: NAME }`");
            None
        }
    }
}

fn actor(node: &Node, findings: &mut Findings) -> Option<String> {
    let name = line(node, "reviewer", ACTOR_BYTES_MAX, findings)?;
    if name.starts_with(HOST_ACTOR_PREFIX) {
        let message = format!("a reviewer cannot be `{name}`: that is the host itself");
        findings.at(&node.spot, message);
        return None;
    }
    if name.trim() != name {
        // Nobody acts under such a name, so that this reviewer could never decide.
        findings.at(&node.spot, format!("`{name}` has blanks before or after the name"));
        return None;
    }
    Some(name)
}

/// The name of a group or a webhook; they are named like modes.
pub(super) fn configured_name(
    node: &Node,
    key: &str,
    findings: &mut Findings,
) -> Option<At<String>> {
    let At { value, spot }: At<Mode> = crate::said::fields::named(node, key, findings)?;
    Some(At { value: value.as_str().to_owned(), spot })
}

/// Whoever may decide anyway gains nothing by an escalation.
pub(super) fn check_new(
    spot: &Spot,
    key: &str,
    to: &[Reviewer],
    reviewers: &[Reviewer],
    findings: &mut Findings,
) {
    if let Some(known) = to.iter().find(|reviewer| reviewers.contains(reviewer)) {
        findings
            .at(spot, format!("`{key}` names {}, who may decide anyway", words(known)))
            .hint("name only those who may not decide before");
    }
}
