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

impl From<&Profile> for ProfileDto {
    fn from(profile: &Profile) -> Self {
        Self {
            summary: ProfileSummaryDto::from(profile.summary()),
            text: profile.text().to_owned(),
        }
    }
}

impl From<&Resolved> for PreviewDto {
    fn from(resolved: &Resolved) -> Self {
        Self { plan: PlanDto::from(&resolved.plan), warnings: resolved.warnings.clone() }
    }
}
