//! What a run was allowed on top of budgets, by grants at gates.
//!
//! A budget of a plan belongs to its run, and grants add up. A budget of a day is used up by others, too: its grant
//! allows as much again as was used when it was asked for, and ends with the day that was asked about.
use domain::StageIdx;
use domain::run::{BudgetBound, BudgetScope, BudgetUnit, GateSubject, Run};
use store::{ApprovalFilter, ApprovalRow, ApprovalStatus, Page, Store};

use super::day::day;
use crate::Error;

/// Gates of a run that are looked at, the newest first. Each grant for a day includes those before it, so that the newest
/// alone would do if a run did not meet several budgets.
const GATE_COUNT_MAX: u32 = 200;

/// A grant for a budget of a day.
#[derive(Debug, Clone)]
pub(crate) struct DayGrant {
    /// The budget, as it was when a person was asked.
    bound: BudgetBound,
    /// The day that was asked about, in days since 1970.
    day: i64,
}

impl DayGrant {
    /// Up to where a budget of a day goes that is `base` without grants.
    pub(super) fn raised(
        base: u64,
        (scope, unit): (&BudgetScope, BudgetUnit),
        today: i64,
        grants: &[DayGrant],
    ) -> u64 {
        let is_for = |grant: &&DayGrant| {
            grant.day == today && grant.bound.scope == *scope && grant.bound.unit == unit
        };
        let raised = grants
            .iter()
            .filter(is_for)
            .map(|DayGrant { bound, .. }| bound.max.max(bound.used).saturating_add(base));
        raised.max().unwrap_or(base).max(base)
    }
}

/// How often a run was allowed a budget of its plan once more. What is allowed to a stage counts for that stage alone.
pub(super) fn grant_count(
    run: &Run,
    stage: StageIdx,
    (scope, unit): (&BudgetScope, BudgetUnit),
) -> u64 {
    let is_for = |allowance: &&domain::run::Allowance| {
        allowance.scope == *scope
            && allowance.unit == unit
            && (allowance.scope != BudgetScope::Stage || allowance.stage == stage)
    };
    run.allowances().iter().filter(is_for).count() as u64
}

/// What a run was allowed on top of budgets of days.
pub(super) async fn day_grants(store: &Store, run: &Run) -> Result<Vec<DayGrant>, Error> {
    // Nearly every run has none, and then nothing is read.
    if !run.allowances().iter().any(|allowance| is_of_day(&allowance.scope)) {
        return Ok(Vec::new());
    }
    let filter =
        ApprovalFilter { status: Some(ApprovalStatus::Granted), run: Some(run.id().clone()) };
    let page = Page { cursor: None, limit: GATE_COUNT_MAX };
    let rows = store.approvals(filter, page).await?.items;
    Ok(rows.into_iter().filter_map(day_grant).collect())
}

fn day_grant(row: ApprovalRow) -> Option<DayGrant> {
    match row.subject {
        GateSubject::Budget { bound, .. } if is_of_day(&bound.scope) => {
            Some(DayGrant { bound, day: day(row.opened_at) })
        }
        GateSubject::Budget { .. } | GateSubject::Result => None,
    }
}

fn is_of_day(scope: &BudgetScope) -> bool {
    match scope {
        BudgetScope::Day | BudgetScope::ProviderDay { .. } => true,
        BudgetScope::Stage | BudgetScope::Run => false,
    }
}
