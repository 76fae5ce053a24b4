//! Profiles.
use profile::{Profile, Resolved, Summary};

use crate::dto::{PlanDto, PreviewDto, ProblemItemDto, ProfileDto, ProfileSummaryDto};

impl From<&Summary> for ProfileSummaryDto {
    fn from(summary: &Summary) -> Self {
        Self {
            mode: summary.mode.clone(),
            title: summary.title.clone(),
            description: summary.description.clone(),
            version: summary.version.clone(),
            stages: summary.stage_keys.clone(),
            gate_count: u32::try_from(summary.gate_count).unwrap_or(u32::MAX),
            source: summary.source.clone(),
            problems: summary.problems.iter().map(ProblemItemDto::from).collect(),
        }
    }
}

impl ProfileDto {
    /// A profile with what it means; without that where it cannot be started.
    pub(crate) fn new(profile: &Profile, resolved: Option<&Resolved>) -> Self {
        Self {
            summary: ProfileSummaryDto::from(profile.summary()),
            text: profile.text().to_owned(),
            plan: resolved.map(|resolved| PlanDto::from(&resolved.plan)),
        }
    }
}

impl From<&Resolved> for PreviewDto {
    fn from(resolved: &Resolved) -> Self {
        Self { plan: PlanDto::from(&resolved.plan), warnings: resolved.warnings.clone() }
    }
}
