//! The plan that a run is bound to: what a profile meant at the moment when the run began.
mod policy;

use std::fmt;
use std::str::FromStr;

pub use policy::{
    DeadlineOutcome, GRANT_COUNT_MAX, Gate, GateDeadline, GatePolicy, Reminder, RetryOn,
    RetryPolicy, Reviewer, SelfApproval, WhenSpent,
};

use crate::http::HttpGrant;
use crate::stage::{ArtifactSpec, Skill};
use crate::{Digest, Json, Limits, Mode, StageKey};

/// A position in the plan; the first stage is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageIdx(pub u16);

impl StageIdx {
    /// The position as an index into a list.
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}

/// Most stages of a profile.
pub const STAGE_COUNT_MAX: usize = 64;

/// What a run will do. Frozen when the run begins: later edits of a profile or a plugin do not touch it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The mode that was asked for.
    pub requested_mode: Mode,
    /// The profile that is carried out.
    pub effective_mode: Mode,
    /// Why the two differ, or why they were not allowed to.
    pub fallback: Option<Fallback>,
    /// Version that the profile gives itself.
    pub profile_version: String,
    /// Name of the profile for people.
    pub title: String,
    /// At least one, at most [`STAGE_COUNT_MAX`]; keys are unique.
    pub stages: Vec<PlannedStage>,
    /// JSON object: the `skill_overrides` of whoever started the run.
    pub skill_overrides: Json,
    /// JSON object: the `stage_overrides` of whoever started the run.
    pub stage_overrides: Json,
    /// Tokens, input and output, that the whole run may use. `None`: not bounded.
    pub run_token_count_max: Option<u64>,
    /// Cost of the whole run in billionths of a US dollar. `None`: not bounded.
    pub run_cost_nano_usd_max: Option<u64>,
    /// What happens when a question would go over a budget: of the run, of a stage or of the day.
    pub on_budget_exceeded: OnBudgetExceeded,
    /// Percent of a budget of the run or of a stage, 1 to 99, from which on the run warns. `None`: it does not.
    pub budget_warn_percent: Option<u8>,
}

impl Plan {
    /// The stage at a position.
    pub fn stage(&self, stage: StageIdx) -> Option<&PlannedStage> {
        self.stages.get(stage.as_usize())
    }

    /// The position of the stage with this key.
    pub fn position(&self, key: &StageKey) -> Option<StageIdx> {
        let found = self.stages.iter().position(|stage| stage.key == *key)?;
        u16::try_from(found).ok().map(StageIdx)
    }
}

/// Why a run does not carry out the mode that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Configuration forces every run to the fallback profile.
    Forced,
    /// No profile has the name that was asked for.
    UnknownMode,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStage {
    /// Its name within the profile.
    pub key: StageKey,
    /// Its name for people.
    pub title: String,
    /// The plugin that does it, pinned to a digest.
    pub plugin: PinnedPlugin,
    /// Settings with defaults filled in: a JSON object that follows the plugin's schema.
    pub settings: Json,
    /// Texts that the profile hands to the stage.
    pub skills: Vec<Skill>,
    /// Artifacts of earlier stages that the stage cannot do without.
    pub needs: Vec<String>,
    /// Artifacts of earlier stages that it uses where they exist.
    pub uses: Vec<String>,
    /// Artifacts that it makes.
    pub makes: Vec<ArtifactSpec>,
    /// The gate after it, if a person has to look.
    pub gate: Option<Gate>,
    /// What happens when an attempt fails.
    pub retry: RetryPolicy,
    /// What one attempt may use up.
    pub limits: Limits,
    /// Who answers its questions.
    pub model: ModelChoice,
    /// What it may reach beside the model.
    pub grants: Grants,
}

/// What a stage may reach beside the model. Nothing, unless a profile says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// Hosts to which it may send HTTP requests.
    pub http: Vec<HttpGrant>,
}

/// A plugin as a run is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedPlugin {
    /// The name it gives itself.
    pub name: String,
    /// The version it gives itself.
    pub version: String,
    /// Digest of the component's bytes. This is what is run, whatever name and version say.
    pub digest: Digest,
}

/// Who answers the questions of a stage, and how by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelChoice {
    /// Name of a configured provider.
    pub provider: String,
    /// Name of one of its models.
    pub model: String,
    /// For calls that do not say it.
    pub temperature: Option<f32>,
    /// For calls that do not say it.
    pub max_tokens: Option<u32>,
    /// Longest time for one call, its retries included. `None`: the provider's setting.
    pub call_time_ms_max: Option<u64>,
    /// Who is asked instead, in this order, when the first is not available.
    pub alternatives: Vec<ModelAlternative>,
    /// Whether an answer to the same question may come from the host's cache.
    pub caching: Caching,
}

/// Somebody else who may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelAlternative {
    /// Name of a configured provider.
    pub provider: String,
    /// Name of one of its models.
    pub model: String,
}

/// Whether an answer to the same question may come from the host's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caching {
    /// Every question is asked.
    #[default]
    Off,
    /// An answer that is kept is given again, and costs nothing.
    On,
}

/// What happens when a question would go over a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBudgetExceeded {
    /// The question is refused with `budget_exhausted`.
    #[default]
    Stop,
    /// The run waits at a gate until a person allows as much again.
    Ask,
}

/// How a profile names a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PluginRef {
    /// The newest version of the plugin with this name.
    Name(String),
    /// This name in this version.
    Version {
        /// The plugin's name.
        name: String,
        /// Its version, as the plugin says it.
        version: String,
    },
    /// These bytes.
    Digest(Digest),
    /// A component file. A relative path starts at the profile's folder.
    Path(String),
}

/// A text that names no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPluginRef {
    /// It has none of the forms.
    #[error(
        "not a plugin: write a name (`research`), a name with version (`research@1.0.0`), a digest (`sha256:…`) or a path (`./research.wasm`)"
    )]
    Form,
    /// It begins as a digest does, and is none: what is the only one today may be one of two tomorrow.
    #[error(
        "not a whole digest: a profile needs `sha256:` and all 64 digits, as `stagewright plugins show` says them"
    )]
    Digest,
}

/// Hexadecimal digits with which a digest can be begun. Fewer are typed by mistake, and soon mean several.
const BEGINNING_LEN_MIN: usize = 8;

/// Hexadecimal digits of a whole digest.
const DIGEST_LEN: usize = 64;

/// Whether these are the first digits of a digest, or all of them, and enough to mean one.
pub(crate) fn is_digits_of_digest(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (BEGINNING_LEN_MIN..=DIGEST_LEN).contains(&text.len()) && text.bytes().all(is_digit)
}

impl FromStr for PluginRef {
    type Err = InvalidPluginRef;

    fn from_str(text: &str) -> Result<Self, InvalidPluginRef> {
        if text.starts_with(Digest::PREFIX) {
            return text.parse().map(PluginRef::Digest).map_err(|_| InvalidPluginRef::Digest);
        }
        if text.contains(['/', '\\']) || text.ends_with(".wasm") {
            return Ok(PluginRef::Path(text.to_owned()));
        }
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if name.parse::<StageKey>().is_err() || version.is_some_and(str::is_empty) {
            let is_begun = is_digits_of_digest(text);
            return Err(if is_begun { InvalidPluginRef::Digest } else { InvalidPluginRef::Form });
        }
        Ok(match version {
            Some(version) => {
                PluginRef::Version { name: name.to_owned(), version: version.to_owned() }
            }
            None => PluginRef::Name(name.to_owned()),
        })
    }
}

impl fmt::Display for PluginRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PluginRef::Name(name) => out.write_str(name),
            PluginRef::Version { name, version } => write!(out, "{name}@{version}"),
            PluginRef::Digest(digest) => write!(out, "{digest}"),
            PluginRef::Path(path) => out.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_named_in_four_ways() {
        assert_eq!("research".parse(), Ok(PluginRef::Name("research".to_owned())));
        assert_eq!(
            "research@1.2.0".parse(),
            Ok(PluginRef::Version { name: "research".to_owned(), version: "1.2.0".to_owned() })
        );
        assert_eq!("./my.wasm".parse(), Ok(PluginRef::Path("./my.wasm".to_owned())));
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(digest.parse::<PluginRef>().unwrap().to_string(), digest);
    }

    #[test]
    fn what_names_no_plugin_is_refused() {
        for text in ["", "Research", "research@", "@1.0.0", "1234567"] {
            assert_eq!(text.parse::<PluginRef>(), Err(InvalidPluginRef::Form), "{text}");
        }
        for text in ["sha256:12", "sha256:02f7ed89", "02f7ed89"] {
            assert_eq!(text.parse::<PluginRef>(), Err(InvalidPluginRef::Digest), "{text}");
        }
    }
}
