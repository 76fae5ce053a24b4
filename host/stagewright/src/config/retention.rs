//! Which ended runs stay, and whether a server removes the others by itself.
use std::collections::BTreeMap;

use domain::Mode;
use engine::Retention;
use serde::{Deserialize, Serialize};
use store::KeepRule;

use super::layers::Layers;
use crate::error::Error;

/// Most days that a run may be kept for by a rule: a century. Whoever wants more leaves the rule out.
const DAYS_MAX: u64 = 36_500;
/// Most runs of a profile that a rule may keep: more than a folder is made for.
const RUNS_MAX: u64 = 100_000_000;
/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What the file says about it.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidRetention {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_days: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_runs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) modes: Option<BTreeMap<String, SaidRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) automatic: Option<String>,
}

/// A rule for one profile.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_days: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_runs: Option<u64>,
}

/// Whether a server removes by itself what may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Automatic {
    Off,
    On,
}

/// The rules, and who applies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Housekeeping {
    pub(crate) retention: Retention,
    pub(crate) automatic: Automatic,
}

pub(super) fn resolve(layers: &Layers, said: &SaidRetention) -> Result<Housekeeping, Error> {
    let usual = rule(layers, "retention", said.keep_days, said.keep_runs)?;
    let mut by_mode = BTreeMap::new();
    for (mode, said) in said.modes.iter().flatten() {
        let place = format!("retention.modes.{mode}");
        if let Err(error) = mode.parse::<Mode>() {
            return Err(Error::Config {
                message: format!("`{place}` names no profile: {error}"),
                hint: Some("use the name of a profile, e.g. `foundation_stack`".to_owned()),
            });
        }
        by_mode.insert(mode.clone(), rule(layers, &place, said.keep_days, said.keep_runs)?);
    }
    let retention = Retention { usual, by_mode };
    let automatic = match said.automatic.as_deref().unwrap_or("off") {
        "off" => Automatic::Off,
        "on" if retention.is_bound() => Automatic::On,
        "on" => {
            return Err(Error::Config {
                message: "`retention.automatic` is `on`, and nothing says which runs may go"
                    .to_owned(),
                hint: Some("say `keep_days` or `keep_runs` beside it".to_owned()),
            });
        }
        other => return Err(layers.one_of("retention.automatic", other, "`on` or `off`")),
    };
    Ok(Housekeeping { retention, automatic })
}

fn rule(
    layers: &Layers,
    place: &str,
    keep_days: Option<u64>,
    keep_runs: Option<u64>,
) -> Result<KeepRule, Error> {
    let days = keep_days
        .map(|days| layers.bounded(&format!("{place}.keep_days"), days, 0..=DAYS_MAX))
        .transpose()?;
    let newest_count = keep_runs
        .map(|runs| layers.bounded(&format!("{place}.keep_runs"), runs, 0..=RUNS_MAX))
        .transpose()?;
    Ok(KeepRule { within_ms: days.map(|days| days * DAY_MS), newest_count })
}
