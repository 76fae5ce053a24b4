//! The profiles of a host: those that are shipped, and those of its folders.
//!
//! Invariant: a mode names at most one usable profile. A file that cannot be used is listed with its problems; it still
//! takes the place of the profile that it replaces, so that nobody is given a workflow that he meant to change.
mod naming;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use domain::plan::Fallback;
use domain::port::PluginCatalog;
use domain::{Json, Mode, Plan};
use serde_json::Value;

use crate::findings::{Findings, clean, known_hint};
use crate::folder;
use crate::meaning::Meaning;
use crate::overrides::Overrides;
use crate::said::Said;
use crate::said::gate::SaidGate;
use crate::shipped::SHIPPED;
use crate::{Ask, FALLBACK_MODE, FallbackPolicy, HostNames, Problem, Problems, Resolved};

pub use naming::NamedPlugin;

/// The profiles of a host. A cheap clone.
#[derive(Debug, Clone)]
pub struct Library {
    profiles: Arc<Vec<Arc<Profile>>>, // Sorted by mode.
}

/// One profile, as it was said.
#[derive(Debug, Clone)]
pub struct Profile {
    summary: Summary,
    source: Source,
    text: String,
    said: Said,
}

/// A profile for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its mode; the name of its file where the file does not say one.
    pub mode: String,
    pub title: String,
    pub description: String,
    pub version: String,
    pub stage_keys: Vec<String>,
    pub gate_count: usize,
    /// The path of its file, or [`SHIPPED_SOURCE`].
    pub source: String,
    /// Why it cannot be used; empty if it can, as far as can be said without asking its plugins.
    pub problems: Vec<Problem>,
}

/// The [`Summary::source`] of what is shipped.
pub const SHIPPED_SOURCE: &str = "shipped";

/// Where a profile comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Shipped(&'static str),
    File(PathBuf),
}

impl Source {
    /// The name of the file in problems.
    pub(crate) fn path(&self) -> String {
        match self {
            Source::Shipped(file_name) => format!("{SHIPPED_SOURCE}/{file_name}"),
            Source::File(path) => path.display().to_string(),
        }
    }

    fn stem(&self) -> String {
        let path = match self {
            Source::Shipped(file_name) => Path::new(file_name),
            Source::File(path) => path,
        };
        path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The folder at which the paths of plugins start.
    fn base(&self) -> Option<&str> {
        match self {
            Source::Shipped(_) => None,
            Source::File(path) => match path.parent()?.to_str()? {
                "" => Some("."),
                folder => Some(folder),
            },
        }
    }
}

impl Profile {
    pub(crate) fn new(source: Source, text: String, said: Said, problems: Vec<Problem>) -> Self {
        let mode = said.mode.as_ref().map(|mode| mode.value.to_string());
        let keys = said.stages.iter().filter_map(|stage| stage.key.as_ref());
        let summary = Summary {
            mode: mode.unwrap_or_else(|| source.stem()),
            title: said.title.clone(),
            description: said.description.clone(),
            version: said.version.clone(),
            stage_keys: keys.map(|key| key.value.to_string()).collect(),
            gate_count: said
                .stages
                .iter()
                .filter(|stage| matches!(stage.gate(&said.defaults), SaidGate::Required(_)))
                .count(),
            source: match &source {
                Source::Shipped(_) => SHIPPED_SOURCE.to_owned(),
                Source::File(path) => path.display().to_string(),
            },
            problems,
        };
        Self { summary, source, text, said }
    }

    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The YAML, with comments; empty if the file could not be read.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn resolve(
        &self,
        modes: Modes,
        ask: &Ask<'_>,
        catalog: &dyn PluginCatalog,
        names: &dyn HostNames,
    ) -> Result<Resolved, Problems> {
        let mut findings = Findings::new(self.source.path());
        let mut warnings = Vec::new();
        let overrides = Overrides::read(ask, &self.said, &mut findings);
        let meaning = Meaning {
            said: &self.said,
            base: self.source.base(),
            overrides: &overrides,
            catalog,
            names,
        };
        let stages = meaning.stages(&mut findings, &mut warnings);
        let mut problems = self.summary.problems.clone();
        problems.extend(findings.into_problems());
        Problems::check(problems)?;
        let plan = Plan {
            requested_mode: modes.requested,
            effective_mode: modes.effective,
            fallback: modes.fallback,
            profile_version: self.said.version.clone(),
            title: self.said.title.clone(),
            stages,
            skill_overrides: frozen(ask.skill_overrides),
            stage_overrides: frozen(ask.stage_overrides),
            run_token_count_max: self.said.budget.run_token_count_max,
            run_cost_nano_usd_max: self.said.budget.run_cost_nano_usd_max,
            on_budget_exceeded: self.said.budget.on_exceeded,
            budget_warn_percent: self.said.budget.warn_percent,
        };
        Ok(Resolved { plan, warnings })
    }
}

/// Which profile was asked for, which one is carried out, and why it is another.
struct Modes {
    requested: Mode,
    effective: Mode,
    fallback: Option<Fallback>,
}

fn frozen(overrides: Option<&Value>) -> Json {
    match overrides {
        Some(value) if !value.is_null() => Json::from_parsed(value.to_string()),
        _ => Json::empty_object(),
    }
}

/// What is shipped, read once: it does not change, and every start of a run loads a library.
static SHIPPED_PROFILES: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| {
    let read = |(name, text): &(&'static str, &str)| Arc::new(folder::read_shipped(name, text));
    SHIPPED.iter().map(read).collect()
});

impl Library {
    /// What the program brings along.
    pub fn shipped() -> Library {
        Self::load(&[])
    }

    /// What the program brings along, and every `*.yaml` and `*.yml` of the folders. Where two have the same mode, a
    /// folder's replaces the shipped one, and a later folder's an earlier one's.
    pub fn load(folders: &[PathBuf]) -> Library {
        let mut profiles = SHIPPED_PROFILES.clone();
        for folder in folders {
            let mut found = folder::read_folder(folder);
            report_twins(&mut found);
            profiles.retain(|earlier| found.iter().all(|later| !earlier.is_twin_of(later)));
            profiles.extend(found.into_iter().map(Arc::new));
        }
        profiles.sort_by(|one, other| one.summary.mode.cmp(&other.summary.mode));
        Library { profiles: Arc::new(profiles) }
    }

    /// Every profile, by mode; also those that cannot be used.
    pub fn list(&self) -> Vec<Summary> {
        self.profiles.iter().map(|profile| profile.summary.clone()).collect()
    }

    /// The profile of a mode, even if it cannot be used.
    pub fn find(&self, mode: &Mode) -> Option<&Profile> {
        let mut profiles = self.profiles.iter().map(Arc::as_ref);
        profiles.find(|profile| profile.summary.mode == mode.as_str())
    }

    /// What a mode means on this host, with the overrides of one request.
    ///
    /// # Errors
    /// Everything that is wrong with the request and with the profile.
    pub fn resolve(
        &self,
        ask: &Ask<'_>,
        catalog: &dyn PluginCatalog,
        names: &dyn HostNames,
        fallback: &FallbackPolicy,
    ) -> Result<Resolved, Problems> {
        let (modes, profile) = self.choose(ask.mode, *fallback)?;
        profile.resolve(modes, ask, catalog, names)
    }

    /// What one file means on this host, whether or not it lies in a folder of profiles.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check_file(
        path: &Path,
        catalog: &dyn PluginCatalog,
        names: &dyn HostNames,
    ) -> Result<Resolved, Problems> {
        let profile = folder::read_file(path);
        // A file without a usable mode has a problem that says so; the name of the fallback only fills its place.
        let mode = profile.said.mode.as_ref().map_or(FALLBACK_MODE, |mode| mode.value.as_str());
        let mode: Mode = mode
            .parse()
            .map_err(|error| Problem::of_file(profile.source.path(), format!("{error}")))?;
        let ask = Ask { mode: mode.as_str(), skill_overrides: None, stage_overrides: None };
        let modes = Modes { requested: mode.clone(), effective: mode.clone(), fallback: None };
        profile.resolve(modes, &ask, catalog, names)
    }

    fn choose(&self, asked: &str, policy: FallbackPolicy) -> Result<(Modes, &Profile), Problems> {
        let requested = self.mode(asked)?;
        let fallback = match (policy, self.find(&requested)) {
            (FallbackPolicy::Forced, _) => Some(Fallback::Forced),
            (FallbackPolicy::UnknownMode, None) => Some(Fallback::UnknownMode),
            (FallbackPolicy::Off | FallbackPolicy::UnknownMode, _) => None,
        };
        let effective = match fallback {
            Some(_) => self.mode(FALLBACK_MODE)?,
            None => requested.clone(),
        };
        let profile = self.find(&effective).ok_or_else(|| {
            Problem::at_pointer("/mode", format!("no profile has the mode `{effective}`"))
                .with_hint(self.known_modes(effective.as_str()))
        })?;
        Ok((Modes { requested, effective, fallback }, profile))
    }

    /// A text that cannot be a mode is refused under every policy: there is no way to keep it in a plan.
    fn mode(&self, asked: &str) -> Result<Mode, Problem> {
        asked.parse().map_err(|error| {
            let message = if asked.trim().is_empty() {
                "no mode is named".to_owned()
            } else {
                clean(&format!("`{asked}` cannot be a mode: {error}"))
            };
            Problem::at_pointer("/mode", message).with_hint(self.known_modes(asked))
        })
    }

    fn known_modes(&self, asked: &str) -> String {
        let usable = self.profiles.iter().filter(|profile| profile.summary.problems.is_empty());
        let modes: Vec<&str> = usable.map(|profile| profile.summary.mode.as_str()).collect();
        known_hint(asked, "the modes", &modes)
    }
}

impl Profile {
    fn is_twin_of(&self, other: &Profile) -> bool {
        self.summary.mode == other.summary.mode
    }
}

/// Two files of one folder with the same mode: nobody can say which is meant, so neither is used.
fn report_twins(profiles: &mut [Profile]) {
    let names: Vec<(String, String)> = profiles
        .iter()
        .map(|profile| (profile.summary.mode.clone(), profile.source.path()))
        .collect();
    for profile in profiles {
        let own = profile.source.path();
        let twin = names.iter().find(|(mode, path)| *mode == profile.summary.mode && *path != own);
        if let Some((mode, path)) = twin {
            let message = format!("the mode `{mode}` is also that of `{path}`");
            profile
                .summary
                .problems
                .push(Problem::of_file(own, message).with_hint("give one of them another mode"));
        }
    }
}
