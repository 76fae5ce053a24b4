//! What one request wants different from a profile.
//!
//! The same readers as for the file are used, so an override can say what a stage can say, within the same bounds. One
//! thing is refused: a plugin by its path, since a request may come from another machine and must not name files of
//! this one.
use domain::StageKey;
use domain::plan::PluginRef;
use serde_json::Value;

use crate::Ask;
use crate::findings::{Findings, known_hint};
use crate::node::{Entry, Node, NodeValue, Spot};
use crate::said::fields::{Fields, text};
use crate::said::parts::{PART_KEYS, StageParts, skill_name};
use crate::said::{At, SKILL_BYTES_MAX, Said, SaidSkill};

/// Largest JSON of all overrides of one kind, in bytes. They are frozen into the run, and as large as a profile may be.
const OVERRIDES_BYTES_MAX: usize = 1 << 20;

/// What is different, as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    stages: Vec<(StageKey, StageParts)>,
    skills: Vec<SaidSkill>,
}

impl Overrides {
    pub(crate) fn read(ask: &Ask<'_>, said: &Said, findings: &mut Findings) -> Overrides {
        let stages = object(ask.stage_overrides, "/stage_overrides", findings)
            .map(|node| stages(&node, said, findings))
            .unwrap_or_default();
        let skills = object(ask.skill_overrides, "/skill_overrides", findings)
            .map(|node| skills(&node, said, &stages, findings))
            .unwrap_or_default();
        Overrides { stages, skills }
    }

    /// What is different for a stage.
    pub(crate) fn stage(&self, key: &StageKey) -> Option<&StageParts> {
        self.stages.iter().find(|(overridden, _)| overridden == key).map(|(_, parts)| parts)
    }

    /// The text that replaces, or is, a skill's.
    pub(crate) fn skill(&self, name: &str) -> Option<&str> {
        self.skills.iter().find(|skill| skill.name.value == name).map(|skill| skill.body.as_str())
    }
}

/// The member of the request as a map; `null` is as good as nothing.
fn object(value: Option<&Value>, pointer: &str, findings: &mut Findings) -> Option<Node> {
    let value = value.filter(|value| !value.is_null())?;
    let spot = Spot::Pointer(pointer.into());
    if !value.is_object() {
        findings.at(&spot, "overrides have to be a JSON object");
        return None;
    }
    if value.to_string().len() > OVERRIDES_BYTES_MAX {
        findings
            .at(&spot, format!("the overrides have more than {} KiB", OVERRIDES_BYTES_MAX >> 10));
        return None;
    }
    Some(Node::from_json(value, spot))
}

/// The members that have a value.
fn said_entries(node: &Node) -> impl Iterator<Item = &Entry> {
    let entries: &[Entry] = match &node.value {
        NodeValue::Map(entries) => entries,
        _ => &[],
    };
    entries.iter().filter(|entry| !matches!(entry.node.value, NodeValue::Null))
}

fn stages(node: &Node, said: &Said, findings: &mut Findings) -> Vec<(StageKey, StageParts)> {
    let keys: Vec<&At<StageKey>> =
        said.stages.iter().filter_map(|stage| stage.key.as_ref()).collect();
    let names: Vec<&str> = keys.iter().map(|key| key.value.as_str()).collect();
    let mut stages = Vec::new();
    for entry in said_entries(node) {
        let Some(key) = keys.iter().find(|key| key.value.as_str() == entry.key) else {
            findings
                .at(&entry.key_spot, format!("the profile has no stage `{}`", entry.key))
                .hint(known_hint(&entry.key, "its stages", &names));
            continue;
        };
        if let Some(parts) = stage(&entry.node, findings) {
            stages.push((key.value.clone(), parts));
        }
    }
    stages
}

fn stage(node: &Node, findings: &mut Findings) -> Option<StageParts> {
    let fields = Fields::open(node, "an override of a stage", &PART_KEYS, findings)?;
    let mut parts = StageParts::read(&fields, findings);
    if let Some(At { value: PluginRef::Path(_), spot }) = &parts.plugin {
        findings
            .at(spot, "a request cannot name a plugin by its path")
            .hint("name it in a profile, or add it to the host's plugins and use its name");
        parts.plugin = None;
    }
    Some(parts)
}

fn skills(
    node: &Node,
    said: &Said,
    stages: &[(StageKey, StageParts)],
    findings: &mut Findings,
) -> Vec<SaidSkill> {
    let known = known_skills(said, stages);
    let mut skills = Vec::new();
    for entry in said_entries(node) {
        let Some(name) = skill_name(&entry.key, &entry.key_spot, findings) else { continue };
        if !known.contains(&entry.key.as_str()) {
            findings
                .at(&entry.key_spot, format!("no stage has a skill `{}`", entry.key))
                .hint(known_hint(&entry.key, "the skills", &known));
            continue;
        }
        if let Some(body) = text(&entry.node, &entry.key, SKILL_BYTES_MAX, findings) {
            skills.push(SaidSkill { name, body });
        }
    }
    skills
}

/// The skills that the profile has texts for, and those that a stage lists, in the file or in the request.
fn known_skills<'s>(said: &'s Said, stages: &'s [(StageKey, StageParts)]) -> Vec<&'s str> {
    let in_file = said.stages.iter().map(|stage| &stage.parts);
    let in_request = stages.iter().map(|(_, parts)| parts);
    let listed = in_file.chain(in_request).flat_map(|parts| parts.skills.iter().flatten());
    let with_text = said.skills.iter().map(|skill| &skill.name);
    let mut names: Vec<&str> = with_text.chain(listed).map(|name| name.value.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}
