//! Which artifacts a stage needs and makes, and whether the stages of a profile fit together.
//!
//! A plugin announces names. Where the schema of its settings says so, settings add to what is needed and give other
//! names to what is made: a plugin that does whatever its settings ask for cannot know the names that a workflow wants.
use std::collections::{HashMap, HashSet};

use domain::stage::{ArtifactSpec, StageInfo};
use domain::{ArtifactName, StageKey};
use serde_json::Value;

use crate::findings::{Findings, listed};
use crate::node::{Node, Spot};

/// Marks a property, a text, whose value takes the place of the mark's own text at the start of announced names: with
/// the mark `document` and the value `brief`, what is announced as `document.md` is made as `brief.md`. An empty value
/// stands for the key of the stage.
const ARTIFACT_MARK: &str = "x-artifact";
/// Marks a property, a list of texts, that names artifacts without which the stage cannot work.
const NEEDS_MARK: &str = "x-needs";
/// Marks a property, a list of texts, that names artifacts that the stage uses where they exist.
const USES_MARK: &str = "x-uses";
/// Most names of each kind; the contract says so of what plugins announce.
const NAME_COUNT_MAX: usize = 64;

/// What one stage needs, uses and makes with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageArtifacts {
    /// Artifacts of earlier stages without which it cannot work.
    pub needs: Vec<String>,
    /// Artifacts of earlier stages that it uses where they exist.
    pub uses: Vec<String>,
    /// Artifacts that it makes.
    pub makes: Vec<ArtifactSpec>,
}

/// A setting that names artifacts as nobody can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableName {
    /// The setting.
    pub setting: String,
    /// What is wrong with it.
    pub message: String,
}

impl StageArtifacts {
    /// What a plugin's stage with this key needs, uses and makes; `settings` are complete and follow the schema.
    ///
    /// # Errors
    /// Every setting that names an artifact as none can be named.
    pub fn of(
        info: &StageInfo,
        settings: &Value,
        key: &StageKey,
    ) -> Result<StageArtifacts, Vec<UnusableName>> {
        let schema: Value =
            serde_json::from_str(info.settings_schema.as_str()).unwrap_or(Value::Null);
        let mut found = StageArtifacts {
            needs: info.needs.clone(),
            uses: info.uses.clone(),
            makes: info.makes.clone(),
        };
        let mut unusable = Vec::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (setting, property) in properties.into_iter().flatten() {
            let value = settings.get(setting);
            if let Some(stem) = property.get(ARTIFACT_MARK).and_then(Value::as_str) {
                let chosen = value.and_then(Value::as_str).filter(|name| !name.is_empty());
                rename(&mut found.makes, stem, chosen.unwrap_or(key.as_str()));
                unusable.extend(wrong_names(setting, &found.makes));
            }
            if property.get(NEEDS_MARK).is_some_and(is_true) {
                unusable.extend(add(&mut found.needs, setting, value));
            }
            if property.get(USES_MARK).is_some_and(is_true) {
                unusable.extend(add(&mut found.uses, setting, value));
            }
        }
        if unusable.is_empty() { Ok(found) } else { Err(unusable) }
    }
}

/// What a plugin's stage makes whatever its settings are; nothing is known where it is they that give the names.
pub(super) fn announced_makes(info: &StageInfo) -> Option<Vec<ArtifactSpec>> {
    let schema: Value = serde_json::from_str(info.settings_schema.as_str()).ok()?;
    let properties = schema.get("properties").and_then(Value::as_object);
    let is_named = |property: &Value| property.get(ARTIFACT_MARK).is_some();
    let is_open = properties.is_some_and(|properties| properties.values().any(is_named));
    (!is_open).then(|| info.makes.clone())
}

fn is_true(mark: &Value) -> bool {
    mark == &Value::Bool(true)
}

fn rename(makes: &mut [ArtifactSpec], stem: &str, chosen: &str) {
    for made in makes {
        let rest = made.name.strip_prefix(stem).filter(|rest| rest.starts_with('.'));
        if let Some(rest) = rest {
            made.name = format!("{chosen}{rest}");
        }
    }
}

/// What is wrong with the names that came of a setting.
fn wrong_names(setting: &str, makes: &[ArtifactSpec]) -> Option<UnusableName> {
    let unusable = |message| Some(UnusableName { setting: setting.to_owned(), message });
    let mut names = HashSet::new();
    for made in makes {
        if let Err(reason) = made.name.parse::<ArtifactName>() {
            return unusable(format!(
                "`{}` cannot be the name of an artifact: {reason}",
                made.name
            ));
        }
        if !names.insert(made.name.to_lowercase()) {
            return unusable(format!("the stage would make `{}` twice", made.name));
        }
    }
    None
}

fn add(names: &mut Vec<String>, setting: &str, value: Option<&Value>) -> Option<UnusableName> {
    let unusable = |message| Some(UnusableName { setting: setting.to_owned(), message });
    let wanted = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for name in wanted {
        if let Err(reason) = name.parse::<ArtifactName>() {
            return unusable(format!("`{name}` cannot be the name of an artifact: {reason}"));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.len() > NAME_COUNT_MAX {
        return unusable(format!(
            "{} artifacts are named, and a stage can have {NAME_COUNT_MAX}",
            names.len()
        ));
    }
    None
}

/// Reports settings at their places.
pub(super) fn report_unusable(
    unusable: &[UnusableName],
    said: &Node,
    plugin_spot: &Spot,
    findings: &mut Findings,
) {
    for name in unusable {
        let spot = said.entry(&name.setting).map_or(plugin_spot, |entry| &entry.node.spot);
        findings.at(spot, format!("`{}`: {}", name.setting, name.message));
    }
}

/// A stage whose plugin was found, for the check of artifacts.
pub(super) struct Link<'a> {
    pub(super) key: &'a StageKey,
    pub(super) spot: &'a Spot,
    /// What it is known to need.
    pub(super) needs: Vec<String>,
    /// What it makes; nothing where its settings are wrong and give the names.
    pub(super) makes: Option<Vec<ArtifactSpec>>,
}

impl Link<'_> {
    fn makes(&self) -> &[ArtifactSpec] {
        self.makes.as_deref().unwrap_or_default()
    }
}

/// Each stage has to find what it needs, and two stages that make the same artifact are probably a slip.
pub(super) fn check_artifacts(
    chain: &[Option<Link<'_>>],
    findings: &mut Findings,
    warnings: &mut Vec<String>,
) {
    let mut makers: HashMap<&str, &StageKey> = HashMap::new();
    // Behind a stage of which it is not known what it makes, an artifact may or may not be there.
    let mut certain = true;
    for (idx, link) in chain.iter().enumerate() {
        let Some(link) = link else {
            certain = false;
            continue;
        };
        for need in &link.needs {
            if certain && !makers.contains_key(need.as_str()) {
                report_need(link, need, &chain[idx + 1..], &makers, findings);
            }
        }
        certain &= link.makes.is_some();
        for made in link.makes() {
            if let Some(earlier) = makers.insert(&made.name, link.key) {
                warnings.push(format!(
                    "the stages `{earlier}` and `{}` both make `{}`: stages after them get the later one",
                    link.key, made.name
                ));
            }
        }
    }
}

fn report_need(
    link: &Link<'_>,
    need: &str,
    later: &[Option<Link<'_>>],
    makers: &HashMap<&str, &StageKey>,
    findings: &mut Findings,
) {
    let message =
        format!("the stage `{}` needs `{need}`, and no stage before it makes that", link.key);
    let problem = findings.at(link.spot, message);
    let maker =
        later.iter().flatten().find(|stage| stage.makes().iter().any(|made| made.name == need));
    if let Some(maker) = maker {
        problem.hint(format!("move the stage `{}` before it", maker.key));
        return;
    }
    let mut made: Vec<&str> = makers.keys().copied().collect();
    made.sort_unstable();
    problem.hint(if made.is_empty() {
        "put a stage before it that makes it".to_owned()
    } else {
        format!("put a stage before it that makes it; the stages before it make {}", listed(&made))
    });
}
