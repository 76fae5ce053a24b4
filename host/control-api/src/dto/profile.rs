//! Profiles: what a mode means.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{PlanDto, ProblemItemDto};

/// A profile in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileSummaryDto {
    /// The mode that it is started as. For a file without a readable name, the name of the file.
    pub mode: String,
    /// Its name for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// The version it gives itself.
    pub version: String,
    /// The keys of its stages, in order.
    pub stages: Vec<String>,
    /// How many of its stages wait for a person.
    pub gate_count: u32,
    /// The file it was read from, or `shipped`.
    pub source: String,
    /// What is wrong with the file; empty for a profile that can be started.
    pub problems: Vec<ProblemItemDto>,
}

/// A profile with its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileDto {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: ProfileSummaryDto,
    /// The YAML text.
    pub text: String,
    /// What a run of it would be bound to now, without overrides; null for a profile that cannot be started.
    pub plan: Option<PlanDto>,
}

/// What a run would be started with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Name of a profile.
    pub mode: String,
    /// JSON object: texts of skills to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_overrides: Option<Value>,
    /// JSON object: what is different for a stage, by its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_overrides: Option<Value>,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewDto {
    /// The plan that the run would be bound to.
    #[serde(flatten)]
    pub plan: PlanDto,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}
