//! Bounds on tokens and money, and what a person is asked about them.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CostDto;

/// What a budget bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScopeDto {
    /// All attempts of one stage.
    Stage,
    /// The whole run.
    Run,
    /// Everything that the host asks in one day (UTC).
    Day,
    /// Everything that the host asks one provider in one day (UTC).
    ProviderDay,
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetUnitDto {
    /// Tokens, input and output.
    Tokens,
    /// Billionths of a US dollar.
    NanoUsd,
}

/// A bound, with how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetBoundDto {
    /// What it bounds.
    pub scope: BudgetScopeDto,
    /// The provider, where one is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What it counts.
    pub unit: BudgetUnitDto,
    /// The bound, with what was allowed on top of it.
    pub max: u64,
    /// What is used of it.
    pub used: u64,
    /// `max` as money; null for tokens.
    pub max_cost: Option<CostDto>,
    /// `used` as money; null for tokens.
    pub used_cost: Option<CostDto>,
}

/// What a person is asked at a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GateSubjectDto {
    /// Whether the stage's result is good.
    Result,
    /// Whether more may be used than a budget allows. The attempt goes on where it stopped.
    Budget {
        /// The attempt that waits.
        attempt: u32,
        /// The budget.
        #[serde(flatten)]
        bound: BudgetBoundDto,
        /// What a grant allows on top, in the budget's unit; null if the budget is not configured any more.
        grant_allows: Option<u64>,
    },
}
