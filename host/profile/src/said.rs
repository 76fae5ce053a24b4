//! What a file says: its text, read into types. No plugin, model or request is asked here.
//!
//! Reading goes on behind a problem: what could not be read is left out, so that the rest of the file is checked too.
//! A reader must therefore not conclude anything from what is missing while there are problems.
pub(crate) mod budget;
pub(crate) mod fields;
pub(crate) mod gate;
pub(crate) mod grants;
pub(crate) mod limits;
pub(crate) mod model;
pub(crate) mod money;
pub(crate) mod parts;
pub(crate) mod retry;

use std::collections::HashMap;

use domain::plan::STAGE_COUNT_MAX;
use domain::{Mode, StageKey};

use self::budget::SaidBudget;
use self::fields::{Fields, line, named, text};
use self::gate::SaidGate;
use self::grants::{GRANTS, SaidGrants};
use self::limits::SaidLimits;
use self::model::SaidModel;
use self::parts::{PART_KEYS, StageParts};
use self::retry::SaidRetry;
use crate::findings::Findings;
use crate::node::{Node, NodeValue, Spot};

/// Longest title of a profile or a stage, in bytes: it has to fit into a line of a list.
pub(crate) const TITLE_BYTES_MAX: usize = 200;
/// Longest description, in bytes: some paragraphs on a page.
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
/// Longest version, in bytes: a semantic version with a long suffix.
pub(crate) const VERSION_BYTES_MAX: usize = 64;
/// Most skills of a profile. Each is a text that somebody has to keep up to date.
pub(crate) const SKILL_COUNT_MAX: usize = 64;
/// Largest text of one skill, in bytes: it goes into prompts, whose models hold about a million characters at most.
pub(crate) const SKILL_BYTES_MAX: usize = 256 << 10;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) spot: Spot,
}

/// A file, as far as it could be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) mode: Option<At<Mode>>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) version: String,
    pub(crate) defaults: Defaults,
    pub(crate) budget: SaidBudget,
    pub(crate) skills: Vec<SaidSkill>,
    pub(crate) stages: Vec<SaidStage>,
}

/// What holds for every stage that says nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub(crate) model: SaidModel,
    pub(crate) limits: SaidLimits,
    pub(crate) gate: Option<SaidGate>,
    pub(crate) retry: SaidRetry,
}

/// A named text.
#[derive(Debug, Clone)]
pub(crate) struct SaidSkill {
    pub(crate) name: At<String>,
    pub(crate) body: String,
}

/// A stage. Its key is missing if the file does not say a usable one.
#[derive(Debug, Clone)]
pub(crate) struct SaidStage {
    pub(crate) key: Option<At<StageKey>>,
    pub(crate) spot: Spot,
    pub(crate) title: Option<String>,
    pub(crate) parts: StageParts,
    /// What the stage may reach beside the model. A request cannot say it: a profile is reviewed, and a request is not.
    pub(crate) grants: SaidGrants,
}

impl SaidStage {
    /// The gate that the file means for this stage.
    pub(crate) fn gate<'s>(&'s self, defaults: &'s Defaults) -> &'s SaidGate {
        self.parts.gate.as_ref().or(defaults.gate.as_ref()).unwrap_or(&SaidGate::None)
    }
}

const PROFILE_KEYS: [&str; 8] =
    ["profile", "title", "description", "version", "defaults", "budget", "skills", "stages"];

/// Reads the whole file.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Said {
    let Some(fields) = Fields::open(root, "a profile", &PROFILE_KEYS, findings) else {
        return Said::default();
    };
    let mode: Option<At<Mode>> =
        fields.required("profile", findings).and_then(|node| named(node, "profile", findings));
    let version = fields
        .required("version", findings)
        .and_then(|node| line(node, "version", VERSION_BYTES_MAX, findings));
    Said {
        title: fields
            .line("title", TITLE_BYTES_MAX, findings)
            .or_else(|| mode.as_ref().map(|mode| title_of(mode.value.as_str())))
            .unwrap_or_default(),
        description: fields
            .text("description", DESCRIPTION_BYTES_MAX, findings)
            .unwrap_or_default(),
        version: version.unwrap_or_default(),
        defaults: defaults(&fields, findings),
        budget: SaidBudget::read(&fields, findings),
        skills: skills(&fields, findings),
        stages: stages(&fields, findings),
        mode,
    }
}

/// A name for people, from one for programs.
pub(crate) fn title_of(name: &str) -> String {
    let words = name.replace(['_', '-'], " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}

fn defaults(fields: &Fields<'_>, findings: &mut Findings) -> Defaults {
    let Some(defaults) = fields.map("defaults", &["model", "limits", "gate", "retry"], findings)
    else {
        return Defaults::default();
    };
    Defaults {
        model: SaidModel::read(&defaults, findings),
        limits: SaidLimits::read(&defaults, findings),
        gate: SaidGate::read(&defaults, findings),
        retry: SaidRetry::read(&defaults, findings),
    }
}

fn skills(fields: &Fields<'_>, findings: &mut Findings) -> Vec<SaidSkill> {
    let Some(node) = fields.node("skills") else { return Vec::new() };
    let NodeValue::Map(entries) = &node.value else {
        findings.at(
            &node.spot,
            format!("`skills` has to be a map of names to texts, not {}", node.kind()),
        );
        return Vec::new();
    };
    if entries.len() > SKILL_COUNT_MAX {
        findings.at(
            &node.spot,
            format!("{} skills, and a profile may have {SKILL_COUNT_MAX}", entries.len()),
        );
    }
    let mut skills = Vec::new();
    for entry in entries {
        let name = parts::skill_name(&entry.key, &entry.key_spot, findings);
        let body = text(&entry.node, &entry.key, SKILL_BYTES_MAX, findings);
        if let (Some(name), Some(body)) = (name, body) {
            skills.push(SaidSkill { name, body });
        }
    }
    skills
}

fn stages(fields: &Fields<'_>, findings: &mut Findings) -> Vec<SaidStage> {
    let Some(node) = fields.required("stages", findings) else { return Vec::new() };
    let NodeValue::List(items) = &node.value else {
        findings.at(&node.spot, format!("`stages` has to be a list, not {}", node.kind()));
        return Vec::new();
    };
    if items.is_empty() || items.len() > STAGE_COUNT_MAX {
        findings.at(
            &node.spot,
            format!("{} stages, and a profile has 1 to {STAGE_COUNT_MAX}", items.len()),
        );
    }
    let stages: Vec<SaidStage> = items.iter().filter_map(|item| stage(item, findings)).collect();
    report_twins(&stages, findings);
    stages
}

fn stage(node: &Node, findings: &mut Findings) -> Option<SaidStage> {
    let known: Vec<&str> = ["key", "title"].into_iter().chain(PART_KEYS).chain([GRANTS]).collect();
    let fields = Fields::open(node, "a stage", &known, findings)?;
    fields.required("plugin", findings);
    Some(SaidStage {
        key: fields.required("key", findings).and_then(|node| named(node, "key", findings)),
        spot: node.spot.clone(),
        title: fields.line("title", TITLE_BYTES_MAX, findings),
        parts: StageParts::read(&fields, findings),
        grants: SaidGrants::read(&fields, findings),
    })
}

fn report_twins(stages: &[SaidStage], findings: &mut Findings) {
    let mut seen: HashMap<&StageKey, &Spot> = HashMap::new();
    for key in stages.iter().filter_map(|stage| stage.key.as_ref()) {
        match seen.get(&key.value) {
            Some(Spot::Yaml { line, .. }) => findings
                .at(&key.spot, format!("a second stage has the key `{}`", key.value))
                .hint(format!("give it another key; the first is in line {line}")),
            _ => {
                seen.insert(&key.value, &key.spot);
            }
        }
    }
}
