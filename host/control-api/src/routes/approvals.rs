//! What waits for a person, and the decisions.
//!
//! A question about a budget says how much a grant allows. That is the budget itself, once more; the plan of the run or
//! the host's settings have it, because the log keeps only the bound with what was allowed on top.
mod decide;
mod grant;
mod list;
mod next;
mod reject;
mod reviewed;
mod revise;
mod show;

use domain::run::{BudgetBound, BudgetScope, BudgetUnit, GateSubject};
use domain::{ApprovalId, Plan, StageKey};
use engine::Engine;
use store::{ApprovalRow, GrantRow};

use crate::convert::ApprovalParts;
use crate::dto::ApprovalDto;
use crate::{Code, Problem};

// The macro behind `routes!` looks for what the attribute on a handler made beside it, so all of it is taken over.
pub(crate) use {grant::*, list::*, reject::*, revise::*, show::*};

/// A question as it is shown, of a run with this plan.
pub(crate) async fn approval_dto(
    engine: &Engine,
    row: &ApprovalRow,
    plan: &Plan,
) -> Result<ApprovalDto, Problem> {
    let grants = earlier_grants(engine, row).await?;
    let grant_allows = match &row.subject {
        GateSubject::Result => None,
        GateSubject::Budget { bound, .. } => budget_step(engine, row, plan, bound),
    };
    Ok(ApprovalDto::from(ApprovalParts { row, plan, grants: &grants, grant_allows }))
}

/// Those before the last one, which the row itself has.
async fn earlier_grants(engine: &Engine, row: &ApprovalRow) -> Result<Vec<GrantRow>, Problem> {
    if row.grant_count > 1 { Ok(engine.store().grants(&row.id).await?) } else { Ok(Vec::new()) }
}

/// How much a grant adds to a budget; `None` if it is not configured any more.
fn budget_step(
    engine: &Engine,
    row: &ApprovalRow,
    plan: &Plan,
    bound: &BudgetBound,
) -> Option<u64> {
    let days = &engine.settings().budgets;
    let day = match &bound.scope {
        BudgetScope::Stage | BudgetScope::Run => return planned_step(plan, &row.stage, bound),
        BudgetScope::Day => &days.all,
        BudgetScope::ProviderDay { provider } => days.by_provider.get(provider)?,
    };
    match bound.unit {
        BudgetUnit::Tokens => day.tokens,
        BudgetUnit::NanoUsd => day.nano_usd,
    }
}

fn planned_step(plan: &Plan, stage: &StageKey, bound: &BudgetBound) -> Option<u64> {
    let limits = || plan.stages.iter().find(|planned| planned.key == *stage).map(|one| &one.limits);
    match (&bound.scope, bound.unit) {
        (BudgetScope::Stage, BudgetUnit::Tokens) => limits()?.stage_token_count_max,
        (BudgetScope::Stage, BudgetUnit::NanoUsd) => limits()?.stage_cost_nano_usd_max,
        (BudgetScope::Run, BudgetUnit::Tokens) => plan.run_token_count_max,
        (BudgetScope::Run, BudgetUnit::NanoUsd) => plan.run_cost_nano_usd_max,
        (BudgetScope::Day | BudgetScope::ProviderDay { .. }, _) => None,
    }
}

async fn approval_row(engine: &Engine, approval: &ApprovalId) -> Result<ApprovalRow, Problem> {
    let row = engine.store().approval(approval).await?;
    row.ok_or_else(|| Problem::new(Code::ApprovalUnknown, format!("no approval `{approval}`")))
}
