//! What a file means on this host, for one request: plugins found, settings filled in, models named, artifacts checked.
//!
//! Invariant: a plan is made only if nothing at all is wrong; otherwise everything that is wrong has been reported.
mod gate;
mod model;
mod retry;

use std::collections::HashMap;

use domain::port::{KnownPlugin, PluginCatalog, PluginError};
use domain::stage::Skill;
use domain::{Limits, PlannedStage, StageKey};

use crate::HostNames;
use crate::findings::{Findings, known_hint, listed};
use crate::node::{Node, NodeValue, Spot};
use crate::overrides::Overrides;
use crate::said::parts::StageParts;
use crate::said::{At, Said, SaidStage, title_of};
use crate::settings::settle;

/// Whoever has to be asked to understand a file.
pub(crate) struct Meaning<'a> {
    pub(crate) said: &'a Said,
    /// The folder at which relative paths start.
    pub(crate) base: Option<&'a str>,
    pub(crate) overrides: &'a Overrides,
    pub(crate) catalog: &'a dyn PluginCatalog,
    pub(crate) names: &'a dyn HostNames,
}

/// A stage whose plugin was found, for the check of artifacts.
struct Found<'a> {
    key: &'a StageKey,
    spot: &'a Spot,
    plugin: KnownPlugin,
}

impl<'a> Meaning<'a> {
    /// The stages of the plan, if nothing is wrong with them.
    pub(crate) fn stages(
        &self,
        findings: &mut Findings,
        warnings: &mut Vec<String>,
    ) -> Vec<PlannedStage> {
        let mut planned = Vec::new();
        let mut chain = Vec::new();
        for stage in &self.said.stages {
            let found = self.plugin(stage, findings);
            if let Some(stage) = self.stage(stage, found.as_ref(), findings) {
                planned.push(stage);
            }
            chain.push(found);
        }
        check_artifacts(&chain, findings, warnings);
        self.warn_of_unused_skills(&planned, warnings);
        planned
    }

    fn changed(&self, stage: &SaidStage) -> Option<&'a StageParts> {
        stage.key.as_ref().and_then(|key| self.overrides.stage(&key.value))
    }

    fn plugin<'s>(&self, stage: &'s SaidStage, findings: &mut Findings) -> Option<Found<'s>>
    where
        'a: 's,
    {
        let changed = self.changed(stage).and_then(|parts| parts.plugin.as_ref());
        let reference = changed.or(stage.parts.plugin.as_ref())?;
        match self.catalog.find(&reference.value, self.base) {
            Ok(plugin) => {
                let key = stage.key.as_ref()?;
                Some(Found { key: &key.value, spot: &reference.spot, plugin })
            }
            Err(error) => {
                report_plugin(&error, &reference.spot, findings);
                None
            }
        }
    }

    fn stage(
        &self,
        stage: &SaidStage,
        found: Option<&Found<'_>>,
        findings: &mut Findings,
    ) -> Option<PlannedStage> {
        let changed = self.changed(stage);
        let skills = self.skills(stage, changed, findings);
        let model = self.model(stage, changed, findings);
        let gate = self.gate(stage, changed, findings);
        let retry = self.retry(stage, changed, findings);
        let found = found?;
        let settings = settings_of(stage, changed, found.spot);
        let settings = settle(&found.plugin, found.spot, &settings, findings);
        let info = &found.plugin.info;
        Some(PlannedStage {
            key: found.key.clone(),
            title: stage.title.clone().unwrap_or_else(|| title_of(found.key.as_str())),
            plugin: found.plugin.pin(),
            settings: domain::Json::from_parsed(settings?.to_string()),
            skills: skills?,
            needs: info.needs.clone(),
            uses: info.uses.clone(),
            makes: info.makes.clone(),
            gate,
            retry,
            limits: self.limits(stage, changed),
            model: model?,
        })
    }

    fn skills(
        &self,
        stage: &SaidStage,
        changed: Option<&StageParts>,
        findings: &mut Findings,
    ) -> Option<Vec<Skill>> {
        let names = changed
            .and_then(|parts| parts.skills.as_deref())
            .or(stage.parts.skills.as_deref())
            .unwrap_or_default();
        let texts: Vec<Option<Skill>> =
            names.iter().map(|name| self.skill(name, findings)).collect();
        texts.into_iter().collect()
    }

    fn skill(&self, name: &At<String>, findings: &mut Findings) -> Option<Skill> {
        let in_file = || {
            let skill = self.said.skills.iter().find(|skill| skill.name.value == name.value)?;
            Some(skill.body.as_str())
        };
        let Some(body) = self.overrides.skill(&name.value).or_else(in_file) else {
            let known: Vec<&str> =
                self.said.skills.iter().map(|skill| skill.name.value.as_str()).collect();
            findings
                .at(&name.spot, format!("the skill `{}` has no text", name.value))
                .hint(known_hint(&name.value, "the skills with a text", &known));
            return None;
        };
        Some(Skill { name: name.value.clone(), body: body.to_owned() })
    }

    fn limits(&self, stage: &SaidStage, changed: Option<&StageParts>) -> Limits {
        let mut limits = Limits::DEFAULT;
        self.said.defaults.limits.apply(&mut limits);
        stage.parts.limits.apply(&mut limits);
        if let Some(changed) = changed {
            changed.limits.apply(&mut limits);
        }
        limits
    }

    fn warn_of_unused_skills(&self, planned: &[PlannedStage], warnings: &mut Vec<String>) {
        let used = |name: &str| {
            planned.iter().any(|stage| stage.skills.iter().any(|skill| skill.name == name))
        };
        for skill in self.said.skills.iter().filter(|skill| !used(&skill.name.value)) {
            warnings.push(format!("no stage uses the skill `{}`", skill.name.value));
        }
    }
}

/// What the file and the request say together. Where neither says anything, the plugin's name is the place of what
/// its schema misses.
fn settings_of(stage: &SaidStage, changed: Option<&StageParts>, plugin_spot: &Spot) -> Node {
    let nothing = || Node { spot: plugin_spot.clone(), value: NodeValue::Map(Vec::new()) };
    let mut settings = stage.parts.settings.clone().unwrap_or_else(nothing);
    if let Some(over) = changed.and_then(|parts| parts.settings.as_ref()) {
        settings.overlay(over);
    }
    settings
}

fn report_plugin(error: &PluginError, spot: &Spot, findings: &mut Findings) {
    let problem = findings.at(spot, error.to_string());
    match error {
        PluginError::Unknown { asked, known } => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            problem.hint(known_hint(asked, "the plugins", &known));
        }
        PluginError::Unfit { .. } => problem.hint("rebuild the plugin, or name another one"),
        PluginError::Io { .. } => {
            problem.hint("a relative path starts at the folder of the profile");
        }
    }
}

/// Each stage has to find what it needs, and two stages that make the same artifact are probably a slip.
fn check_artifacts(
    chain: &[Option<Found<'_>>],
    findings: &mut Findings,
    warnings: &mut Vec<String>,
) {
    let mut makers: HashMap<&str, &StageKey> = HashMap::new();
    // Behind a stage that is not known, an artifact may or may not be there.
    let mut certain = true;
    for (idx, found) in chain.iter().enumerate() {
        let Some(found) = found else {
            certain = false;
            continue;
        };
        for need in &found.plugin.info.needs {
            if certain && !makers.contains_key(need.as_str()) {
                report_need(found, need, &chain[idx + 1..], &makers, findings);
            }
        }
        for made in &found.plugin.info.makes {
            if let Some(earlier) = makers.insert(&made.name, found.key) {
                warnings.push(format!(
                    "the stages `{earlier}` and `{}` both make `{}`: stages after them get the later one",
                    found.key, made.name
                ));
            }
        }
    }
}

fn report_need(
    found: &Found<'_>,
    need: &str,
    later: &[Option<Found<'_>>],
    makers: &HashMap<&str, &StageKey>,
    findings: &mut Findings,
) {
    let message =
        format!("the stage `{}` needs `{need}`, and no stage before it makes that", found.key);
    let problem = findings.at(found.spot, message);
    let maker = later
        .iter()
        .flatten()
        .find(|stage| stage.plugin.info.makes.iter().any(|made| made.name == need));
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
