//! Budgets in words: what is used, what is allowed, what a grant allows.
use control_api::dto::{BudgetBoundDto, BudgetScopeDto, BudgetUnitDto, GateSubjectDto};

use crate::output::clean;
use crate::render;

/// Which budget, e.g. `the run's budget`.
pub(crate) fn name(bound: &BudgetBoundDto) -> String {
    match (bound.scope, &bound.provider) {
        (BudgetScopeDto::Stage, _) => "the stage's budget".to_owned(),
        (BudgetScopeDto::Run, _) => "the run's budget".to_owned(),
        (BudgetScopeDto::Day, _) | (BudgetScopeDto::ProviderDay, None) => {
            "the day's budget".to_owned()
        }
        (BudgetScopeDto::ProviderDay, Some(provider)) => {
            format!("the day's budget for `{}`", clean(provider))
        }
    }
}

/// How much of it is used, e.g. `1,900 of 2,000 tokens are used`.
pub(crate) fn used(bound: &BudgetBoundDto) -> String {
    match bound.unit {
        BudgetUnitDto::Tokens => {
            format!("{} of {} are used", render::count(bound.used), amount(bound.unit, bound.max))
        }
        BudgetUnitDto::NanoUsd => {
            let (used, max) = (amount(bound.unit, bound.used), amount(bound.unit, bound.max));
            format!("{used} of {max} are used")
        }
    }
}

/// What a grant at the gate allows.
pub(crate) fn grant(bound: &BudgetBoundDto, grant_allows: Option<u64>) -> String {
    let goes_on = "lets the attempt go on where it stopped";
    let Some(more) = grant_allows else {
        return format!("{goes_on}; the budget is not configured any more");
    };
    let alone = match bound.scope {
        BudgetScopeDto::Stage | BudgetScopeDto::Run => "",
        BudgetScopeDto::Day | BudgetScopeDto::ProviderDay => ", to this run alone",
    };
    format!("{goes_on}, and allows {} more{alone}", amount(bound.unit, more))
}

/// What a rejection at the gate does.
pub(crate) const REJECT: &str = "ends the run; what was used stays used";

/// What a gate is about, in one word.
pub(crate) fn subject(subject: &GateSubjectDto) -> &'static str {
    match subject {
        GateSubjectDto::Result => "result",
        GateSubjectDto::Budget { .. } => "budget",
    }
}

fn amount(unit: BudgetUnitDto, number: u64) -> String {
    match unit {
        BudgetUnitDto::Tokens => render::counted(number, "token", "tokens"),
        BudgetUnitDto::NanoUsd => render::usd(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(scope: BudgetScopeDto, unit: BudgetUnitDto) -> BudgetBoundDto {
        BudgetBoundDto {
            scope,
            provider: Some("kimi".to_owned()),
            unit,
            max: 2_000_000_000,
            used: 1_950_000_000,
            max_cost: None,
            used_cost: None,
        }
    }

    #[test]
    fn a_budget_is_told_in_its_unit() {
        let money = bound(BudgetScopeDto::ProviderDay, BudgetUnitDto::NanoUsd);
        assert_eq!(name(&money), "the day's budget for `kimi`");
        assert_eq!(used(&money), "$1.95 of $2.00 are used");
        let tokens = bound(BudgetScopeDto::Run, BudgetUnitDto::Tokens);
        assert_eq!(name(&tokens), "the run's budget");
        assert_eq!(used(&tokens), "1,950,000,000 of 2,000,000,000 tokens are used");
    }

    #[test]
    fn a_grant_says_how_much_it_allows() {
        let money = bound(BudgetScopeDto::Day, BudgetUnitDto::NanoUsd);
        assert_eq!(
            grant(&money, Some(500_000_000)),
            "lets the attempt go on where it stopped, and allows $0.50 more, to this run alone"
        );
        let tokens = bound(BudgetScopeDto::Stage, BudgetUnitDto::Tokens);
        assert!(grant(&tokens, Some(600)).ends_with("allows 600 tokens more"));
        assert!(grant(&tokens, None).contains("not configured any more"));
    }
}
