//! Reads the members of a map, one by one: what is there has to be known, and of the right kind and size.
//!
//! A key without a value (`title:`) counts as not said.
use std::fmt::Display;
use std::str::FromStr;

use super::At;
use crate::findings::{Findings, known_hint};
use crate::node::{Node, NodeValue, Spot};

/// The members of one map.
pub(crate) struct Fields<'n> {
    node: &'n Node,
}

/// What a whole number may be.
pub(crate) struct Bound {
    pub(crate) key: &'static str,
    pub(crate) min: u64,
    pub(crate) max: u64,
    /// For messages, e.g. `MiB`; empty for counts.
    pub(crate) unit: &'static str,
}

impl<'n> Fields<'n> {
    /// The members of a map, after every key that does not belong there was reported.
    pub(crate) fn open(
        node: &'n Node,
        what: &str,
        known: &[&str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let NodeValue::Map(entries) = &node.value else {
            if matches!(node.value, NodeValue::Null) {
                findings.at(&node.spot, format!("{what} cannot be empty"));
                return None;
            }
            findings.at(&node.spot, format!("{what} has to be a map, not {}", node.kind()));
            return None;
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                findings
                    .at(&entry.key_spot, format!("{what} has no `{}`", entry.key))
                    .hint(known_hint(&entry.key, "it may have", known));
            }
        }
        Some(Self { node })
    }

    pub(crate) fn spot(&self) -> &'n Spot {
        &self.node.spot
    }

    /// The member with this key, if it has a value.
    pub(crate) fn node(&self, key: &str) -> Option<&'n Node> {
        self.said(key).filter(|node| !matches!(node.value, NodeValue::Null))
    }

    /// The member with this key, even if it is there without a value.
    pub(crate) fn said(&self, key: &str) -> Option<&'n Node> {
        self.node.entry(key).map(|entry| &entry.node)
    }

    pub(crate) fn required(&self, key: &str, findings: &mut Findings) -> Option<&'n Node> {
        let found = self.node(key);
        if found.is_none() {
            let spot = self.node.entry(key).map_or(self.spot(), |entry| &entry.key_spot);
            findings.at(spot, format!("`{key}` is missing"));
        }
        found
    }

    pub(crate) fn text(
        &self,
        key: &str,
        bytes_max: usize,
        findings: &mut Findings,
    ) -> Option<String> {
        self.node(key).and_then(|node| text(node, key, bytes_max, findings))
    }

    /// A text for a list: on one line.
    pub(crate) fn line(
        &self,
        key: &str,
        bytes_max: usize,
        findings: &mut Findings,
    ) -> Option<String> {
        self.node(key).and_then(|node| line(node, key, bytes_max, findings))
    }

    pub(crate) fn map(
        &self,
        key: &str,
        known: &[&str],
        findings: &mut Findings,
    ) -> Option<Fields<'n>> {
        let node = self.node(key)?;
        Fields::open(node, &format!("`{key}`"), known, findings)
    }
}

/// A text that is not blank.
pub(crate) fn text(
    node: &Node,
    key: &str,
    bytes_max: usize,
    findings: &mut Findings,
) -> Option<String> {
    let NodeValue::Text(text) = &node.value else {
        let problem =
            findings.at(&node.spot, format!("`{key}` has to be a text, not {}", node.kind()));
        if matches!(node.value, NodeValue::Number { .. } | NodeValue::Bool(_)) {
            problem.hint("write it in quotes");
        }
        return None;
    };
    if text.trim().is_empty() {
        findings.at(&node.spot, format!("`{key}` is blank"));
        return None;
    }
    if text.len() > bytes_max {
        findings.at(
            &node.spot,
            format!("`{key}` has {} bytes, and {bytes_max} are allowed", text.len()),
        );
        return None;
    }
    Some(text.clone())
}

/// A text on one line.
pub(crate) fn line(
    node: &Node,
    key: &str,
    bytes_max: usize,
    findings: &mut Findings,
) -> Option<String> {
    let text = text(node, key, bytes_max, findings)?;
    if text.chars().any(char::is_control) {
        findings.at(&node.spot, format!("`{key}` has a line break or a control character"));
        return None;
    }
    Some(text)
}

/// A name that its own type checks.
pub(crate) fn named<T>(node: &Node, key: &str, findings: &mut Findings) -> Option<At<T>>
where
    T: FromStr,
    T::Err: Display,
{
    // The type knows its own limit; this one only keeps messages short.
    let text = text(node, key, 4 << 10, findings)?;
    match text.parse() {
        Ok(value) => Some(At { value, spot: node.spot.clone() }),
        Err(error) => {
            findings.at(&node.spot, format!("`{key}` cannot be `{text}`: {error}"));
            None
        }
    }
}

/// A whole number within its bounds.
pub(crate) fn whole(node: &Node, bound: &Bound, findings: &mut Findings) -> Option<u64> {
    let Bound { key, min, max, unit } = bound;
    let range =
        if unit.is_empty() { format!("{min} to {max}") } else { format!("{min} to {max} {unit}") };
    let NodeValue::Number { number, written } = &node.value else {
        findings.at(
            &node.spot,
            format!("`{key}` has to be a whole number ({range}), not {}", node.kind()),
        );
        return None;
    };
    match number.as_u64() {
        Some(value) if (*min..=*max).contains(&value) => Some(value),
        Some(_) => {
            findings.at(&node.spot, format!("`{key}` is {written}, and may be {range}"));
            None
        }
        None => {
            findings.at(
                &node.spot,
                format!("`{key}` has to be a whole number ({range}), not {written}"),
            );
            None
        }
    }
}
