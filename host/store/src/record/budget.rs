//! A budget as it is stored in events and beside the question whether it may be used up once more.
use domain::run::{BudgetBound, BudgetScope, BudgetUnit, GateSubject};
use serde::{Deserialize, Serialize};

use super::Unreadable;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BoundRecord {
    scope: String,
    provider: Option<String>,
    unit: String,
    max: u64,
    used: u64,
}

impl From<&BudgetBound> for BoundRecord {
    fn from(bound: &BudgetBound) -> Self {
        let provider = match &bound.scope {
            BudgetScope::ProviderDay { provider } => Some(provider.clone()),
            BudgetScope::Stage | BudgetScope::Run | BudgetScope::Day => None,
        };
        Self {
            scope: bound.scope.as_str().to_owned(),
            provider,
            unit: bound.unit.as_str().to_owned(),
            max: bound.max,
            used: bound.used,
        }
    }
}

impl TryFrom<BoundRecord> for BudgetBound {
    type Error = Unreadable;

    fn try_from(record: BoundRecord) -> Result<Self, Unreadable> {
        let scope = match (record.scope.as_str(), record.provider) {
            ("stage", None) => BudgetScope::Stage,
            ("run", None) => BudgetScope::Run,
            ("day", None) => BudgetScope::Day,
            ("provider_day", Some(provider)) => BudgetScope::ProviderDay { provider },
            (other, _) => return Err(Unreadable(format!("unknown budget `{other}`"))),
        };
        let unit = match record.unit.as_str() {
            "tokens" => BudgetUnit::Tokens,
            "nano_usd" => BudgetUnit::NanoUsd,
            other => return Err(Unreadable(format!("unknown unit `{other}`"))),
        };
        Ok(Self { scope, unit, max: record.max, used: record.used })
    }
}

/// What a gate asks, where it is not whether a result is good.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BudgetSubjectRecord {
    attempt: u32,
    bound: BoundRecord,
}

impl BudgetSubjectRecord {
    pub(crate) fn new(attempt: u32, bound: &BudgetBound) -> Self {
        Self { attempt, bound: BoundRecord::from(bound) }
    }
}

impl TryFrom<BudgetSubjectRecord> for GateSubject {
    type Error = Unreadable;

    fn try_from(record: BudgetSubjectRecord) -> Result<Self, Unreadable> {
        let bound = BudgetBound::try_from(record.bound)?;
        Ok(GateSubject::Budget { attempt: record.attempt, bound })
    }
}
