//! Bounds on tokens and money, as records and as words for people.
use domain::run::{BudgetBound, BudgetScope, BudgetUnit, GateSubject};

use super::{cost, usd};
use crate::dto::{BudgetBoundDto, BudgetScopeDto, BudgetUnitDto, GateSubjectDto};

impl From<&BudgetBound> for BudgetBoundDto {
    fn from(bound: &BudgetBound) -> Self {
        let (scope, provider) = match &bound.scope {
            BudgetScope::Stage => (BudgetScopeDto::Stage, None),
            BudgetScope::Run => (BudgetScopeDto::Run, None),
            BudgetScope::Day => (BudgetScopeDto::Day, None),
            BudgetScope::ProviderDay { provider } => {
                (BudgetScopeDto::ProviderDay, Some(provider.clone()))
            }
        };
        let (unit, max_cost, used_cost) = match bound.unit {
            BudgetUnit::Tokens => (BudgetUnitDto::Tokens, None, None),
            BudgetUnit::NanoUsd => {
                (BudgetUnitDto::NanoUsd, Some(cost(bound.max)), Some(cost(bound.used)))
            }
        };
        Self { scope, provider, unit, max: bound.max, used: bound.used, max_cost, used_cost }
    }
}

impl GateSubjectDto {
    /// What is asked, and what a grant would allow.
    pub(crate) fn new(subject: &GateSubject, grant_allows: Option<u64>) -> Self {
        match subject {
            GateSubject::Result => GateSubjectDto::Result,
            GateSubject::Budget { attempt, bound } => GateSubjectDto::Budget {
                attempt: *attempt,
                bound: BudgetBoundDto::from(bound),
                grant_allows,
            },
        }
    }
}

/// What a person is asked who may allow more: what is used, what is allowed, and what each decision does.
pub(crate) fn budget_question(
    stage: &str,
    bound: &BudgetBound,
    grant_allows: Option<u64>,
) -> String {
    let used = used_of(bound.unit, bound.used, bound.max);
    let verb = match bound.unit {
        BudgetUnit::Tokens => "are",
        BudgetUnit::NanoUsd => "is",
    };
    let more = grant_allows.map_or_else(
        || "as much again".to_owned(),
        |step| match bound.unit {
            BudgetUnit::Tokens => format!("{} tokens more", grouped(step)),
            BudgetUnit::NanoUsd => format!("{} USD more", usd(step)),
        },
    );
    let (whose, alone) = match &bound.scope {
        BudgetScope::Stage => ("the stage".to_owned(), ""),
        BudgetScope::Run => ("the run".to_owned(), ""),
        BudgetScope::Day => {
            ("the day (UTC), all runs and chats together".to_owned(), ", in this run alone")
        }
        BudgetScope::ProviderDay { provider } => {
            (format!("the day (UTC) for provider `{provider}`"), ", in this run alone")
        }
    };
    format!(
        "May `{stage}` go over the budget of {whose}? {used} {verb} used, and its next question with its answer does not fit. A grant \
         lets it go on where it stopped and allows {more}{alone}; a reject ends the run."
    )
}

/// A bound in one line for logs and terminals: `9,500 of 10,000 tokens of the stage`.
pub(crate) fn budget_words(bound: &BudgetBoundDto) -> String {
    let unit = match bound.unit {
        BudgetUnitDto::Tokens => BudgetUnit::Tokens,
        BudgetUnitDto::NanoUsd => BudgetUnit::NanoUsd,
    };
    let whose = match (bound.scope, &bound.provider) {
        (BudgetScopeDto::Stage, _) => "the stage".to_owned(),
        (BudgetScopeDto::Run, _) => "the run".to_owned(),
        (BudgetScopeDto::Day, _) | (BudgetScopeDto::ProviderDay, None) => "the day".to_owned(),
        (BudgetScopeDto::ProviderDay, Some(provider)) => format!("the day for `{provider}`"),
    };
    format!("{} of {whose}", used_of(unit, bound.used, bound.max))
}

fn used_of(unit: BudgetUnit, used: u64, max: u64) -> String {
    match unit {
        BudgetUnit::Tokens => format!("{} of {} tokens", grouped(used), grouped(max)),
        BudgetUnit::NanoUsd => format!("{} of {} USD", usd(used), usd(max)),
    }
}

/// A number with a comma before each group of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        let texts = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn a_question_says_what_is_used_what_is_allowed_and_what_each_decision_does() {
        let bound = |scope, unit, max, used| BudgetBound { scope, unit, max, used };
        let stage = bound(BudgetScope::Stage, BudgetUnit::Tokens, 20_000, 19_500);
        assert_eq!(
            budget_question("research", &stage, Some(10_000)),
            "May `research` go over the budget of the stage? 19,500 of 20,000 tokens are used, and its next question \
             with its answer does not fit. A grant lets it go on where it stopped and allows 10,000 tokens more; a reject ends the run."
        );
        let scope = BudgetScope::ProviderDay { provider: "kimi".to_owned() };
        let day = bound(scope, BudgetUnit::NanoUsd, 1_500_000_000, 1_250_000_000);
        assert_eq!(
            budget_question("research", &day, None),
            "May `research` go over the budget of the day (UTC) for provider `kimi`? 1.25 of 1.5 USD is used, and its \
             next question with its answer does not fit. A grant lets it go on where it stopped and allows as much again, in this run \
             alone; a reject ends the run."
        );
    }
}
