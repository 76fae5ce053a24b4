//! What can be said of a stage, by a profile and by the overrides of a request alike.
use domain::Mode;
use domain::plan::PluginRef;

use super::At;
use super::fields::{Fields, named, text};
use super::gate::SaidGate;
use super::limits::SaidLimits;
use super::model::SaidModel;
use super::retry::SaidRetry;
use crate::findings::Findings;
use crate::node::{Node, NodeValue, Spot};

/// Keys that a stage and an override have in common.
pub(crate) const PART_KEYS: [&str; 7] =
    ["plugin", "settings", "skills", "gate", "retry", "limits", "model"];

/// Longest text that is looked at as the name of a skill, in bytes. A name knows its own limit; this one only keeps
/// messages short.
const SKILL_NAME_BYTES_MAX: usize = 1_000;

/// What is said of a stage; what is not said is left to whoever spoke before.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageParts {
    pub(crate) plugin: Option<At<PluginRef>>,
    /// A map.
    pub(crate) settings: Option<Node>,
    pub(crate) skills: Option<Vec<At<String>>>,
    pub(crate) gate: Option<SaidGate>,
    pub(crate) retry: SaidRetry,
    pub(crate) limits: SaidLimits,
    pub(crate) model: SaidModel,
}

impl StageParts {
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> StageParts {
        StageParts {
            plugin: fields.node("plugin").and_then(|node| named(node, "plugin", findings)),
            settings: settings(fields, findings),
            skills: skills(fields, findings),
            gate: SaidGate::read(fields, findings),
            retry: SaidRetry::read(fields, findings),
            limits: SaidLimits::read(fields, findings),
            model: SaidModel::read(fields, findings),
        }
    }
}

fn settings(fields: &Fields<'_>, findings: &mut Findings) -> Option<Node> {
    let node = fields.node("settings")?;
    if matches!(node.value, NodeValue::Map(_)) {
        return Some(node.clone());
    }
    findings.at(&node.spot, format!("`settings` has to be a map, not {}", node.kind()));
    None
}

fn skills(fields: &Fields<'_>, findings: &mut Findings) -> Option<Vec<At<String>>> {
    let node = fields.node("skills")?;
    let NodeValue::List(items) = &node.value else {
        findings.at(
            &node.spot,
            format!("`skills` of a stage has to be a list of names, not {}", node.kind()),
        );
        return None;
    };
    let mut names: Vec<At<String>> = Vec::new();
    for item in items {
        let Some(name) = text(item, "skills", SKILL_NAME_BYTES_MAX, findings) else { continue };
        let Some(name) = skill_name(&name, &item.spot, findings) else { continue };
        if names.iter().any(|earlier| earlier.value == name.value) {
            findings.at(&item.spot, format!("the skill `{}` is listed twice", name.value));
        } else {
            names.push(name);
        }
    }
    Some(names)
}

/// Skills are named like modes: both are words of a profile's author.
pub(crate) fn skill_name(name: &str, spot: &Spot, findings: &mut Findings) -> Option<At<String>> {
    match name.parse::<Mode>() {
        Ok(_) => Some(At { value: name.to_owned(), spot: spot.clone() }),
        Err(error) => {
            findings.at(spot, format!("a skill cannot be named `{name}`: {error}"));
            None
        }
    }
}

/// What stands there, for a message.
pub(super) fn shown(node: &Node) -> String {
    match &node.value {
        NodeValue::Text(text) => format!("`{text}`"),
        _ => node.kind().to_owned(),
    }
}
