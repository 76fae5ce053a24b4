//! What a file means on this host, for one request: plugins found, settings filled in, models named, artifacts checked.
//!
//! Invariant: a plan is made only if nothing at all is wrong; otherwise everything that is wrong has been reported.
pub(crate) mod artifacts;
mod gate;
mod grants;
mod model;
mod retry;

use std::collections::HashMap;

use domain::plan::PluginRef;
use domain::port::{KnownPlugin, PluginCatalog, PluginError};
use domain::stage::Skill;
use domain::{Json, Limits, PlannedStage, StageKey};

use self::artifacts::{Link, StageArtifacts, announced_makes, check_artifacts, report_unusable};
use crate::HostNames;
use crate::findings::{Findings, known_hint};
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

/// What the references of a file have turned out to be. One that two stages have is looked up once: a plugin that is
/// swapped meanwhile must not be of two versions in one run.
type LookedUp = HashMap<PluginRef, Result<KnownPlugin, PluginError>>;

/// A stage whose plugin was found.
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
        let mut looked_up = LookedUp::new();
        for stage in &self.said.stages {
            let found = self.plugin(stage, &mut looked_up, findings);
            let settled = found.as_ref().and_then(|found| self.settled(stage, found, findings));
            let artifacts = settled.as_ref().map(|(_, artifacts)| artifacts.clone());
            if let Some(stage) = self.stage(stage, found.as_ref(), settled, findings) {
                planned.push(stage);
            }
            chain.push(found.map(|Found { key, spot, plugin }| match artifacts {
                Some(StageArtifacts { needs, makes, .. }) => {
                    Link { key, spot, needs, makes: Some(makes) }
                }
                // What settings that are wrong would name is not known; what the plugin announces is.
                None => {
                    let makes = announced_makes(&plugin.info);
                    Link { key, spot, needs: plugin.info.needs, makes }
                }
            }));
        }
        check_artifacts(&chain, findings, warnings);
        self.warn_of_unused_skills(&planned, warnings);
        planned
    }

    fn changed(&self, stage: &SaidStage) -> Option<&'a StageParts> {
        stage.key.as_ref().and_then(|key| self.overrides.stage(&key.value))
    }

    fn plugin<'s>(
        &self,
        stage: &'s SaidStage,
        looked_up: &mut LookedUp,
        findings: &mut Findings,
    ) -> Option<Found<'s>>
    where
        'a: 's,
    {
        let changed = self.changed(stage).and_then(|parts| parts.plugin.as_ref());
        let reference = changed.or(stage.parts.plugin.as_ref())?;
        let look_up = || self.catalog.find(&reference.value, self.base);
        match looked_up.entry(reference.value.clone()).or_insert_with(look_up).clone() {
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
        settled: Option<(Json, StageArtifacts)>,
        findings: &mut Findings,
    ) -> Option<PlannedStage> {
        let changed = self.changed(stage);
        let skills = self.skills(stage, changed, findings);
        let model = self.model(stage, changed, findings);
        let gate = self.gate(stage, changed, findings);
        let retry = self.retry(stage, changed, findings);
        let grants = self.grants(stage, findings);
        let found = found?;
        let (settings, artifacts) = settled?;
        Some(PlannedStage {
            key: found.key.clone(),
            title: stage.title.clone().unwrap_or_else(|| title_of(found.key.as_str())),
            plugin: found.plugin.pin(),
            settings,
            skills: skills?,
            needs: artifacts.needs,
            uses: artifacts.uses,
            makes: artifacts.makes,
            gate,
            retry,
            limits: self.limits(stage, changed),
            model: model?,
            grants,
        })
    }

    /// The settings of a stage, complete, and the artifacts that it needs and makes with them.
    fn settled(
        &self,
        stage: &SaidStage,
        found: &Found<'_>,
        findings: &mut Findings,
    ) -> Option<(Json, StageArtifacts)> {
        let said = settings_of(stage, self.changed(stage), found.spot);
        let settings = settle(&found.plugin, found.spot, &said, findings)?;
        match StageArtifacts::of(&found.plugin.info, &settings, found.key) {
            Ok(artifacts) => Some((Json::from_parsed(settings.to_string()), artifacts)),
            Err(unusable) => {
                report_unusable(&unusable, &said, found.spot, findings);
                None
            }
        }
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
        // Nobody can tell from a digest what it is nearly.
        PluginError::Unknown { known, .. } if known.is_empty() => {
            problem.hint(
                "`stagewright plugins list` says what is there; `stagewright plugins add FILE` adds it",
            );
        }
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
