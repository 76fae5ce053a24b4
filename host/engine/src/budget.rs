//! What a stage, its run and a day may still use up: tokens and money, over all attempts.
//!
//! The bounds of a plan are counted by the attempt that runs, because nothing else of its run asks at the same time. Those
//! of a day hold for everything that the host asks, and are counted in one place for all (module `day`).
//!
//! Invariant: what calls without an answer used counts like the rest.
mod bound;
mod day;
mod granted;
mod quote;

use std::collections::HashSet;

use domain::model::Completion;
use domain::plan::OnBudgetExceeded;
use domain::run::{BudgetBound, BudgetScope, BudgetUnit, Run};
use domain::{RunId, StageIdx, StageKey, Timestamp};
use gateway::Route;
use store::{AnswerSource, CallAnswered, Spent, StageSpent, Store};

use crate::{Error, USUAL_ANSWER_TOKENS};
use bound::Bound;
pub(crate) use bound::{Refused, content_hash};
pub(crate) use day::{DayAsk, DayLedger, Held, Hold};
pub(crate) use granted::DayGrant;
use granted::{day_grants, grant_count};
pub(crate) use quote::Quote;

/// Longest answer, in tokens, where a budget holds and nobody says how long it may be. Every model that is in use takes
/// this bound, and no stage that is shipped writes as much. What is left of a budget would be another bound for each
/// question, which most models refuse and under which the cache finds nothing.
pub(crate) const UNSAID_ANSWER_TOKENS: u32 = 16_384;

/// Tokens that an answer needs where nobody says how long it may be: one as stages usually get, and as much again for
/// what a model thinks before it.
const NEEDED_ANSWER_TOKENS: u32 = 2 * USUAL_ANSWER_TOKENS;

/// Tokens and money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Amount {
    tokens: u64,
    nano_usd: u64,
}

/// The bounds that hold for a stage; empty where a profile sets none.
pub(crate) struct Budget {
    bounds: Vec<Bound>,
    warn_percent: Option<u8>,
    pub(crate) on_exceeded: OnBudgetExceeded,
    /// What the run was allowed on top of budgets of days.
    day_grants: Vec<DayGrant>,
    /// What this attempt has warned of. The run knows what others did.
    warned: HashSet<(BudgetScope, BudgetUnit)>,
}

impl Budget {
    /// The bounds of a stage with what was used up to now.
    pub(crate) async fn open(store: &Store, run: &Run, stage: StageIdx) -> Result<Self, Error> {
        let plan = run.plan();
        let planned = plan.stage(stage).expect("a budget is opened for a stage of the plan");
        let limits = &planned.limits;
        let (tokens, nano_usd) = (BudgetUnit::Tokens, BudgetUnit::NanoUsd);
        let set = [
            (BudgetScope::Stage, tokens, "limits.stage_tokens", limits.stage_token_count_max),
            (BudgetScope::Stage, nano_usd, "limits.stage_usd", limits.stage_cost_nano_usd_max),
            (BudgetScope::Run, tokens, "budget.run_tokens", plan.run_token_count_max),
            (BudgetScope::Run, nano_usd, "budget.run_usd", plan.run_cost_nano_usd_max),
        ];
        let mut budget = Self {
            bounds: Vec::new(),
            warn_percent: plan.budget_warn_percent,
            on_exceeded: plan.on_budget_exceeded,
            day_grants: day_grants(store, run).await?,
            warned: HashSet::new(),
        };
        if set.iter().all(|(.., max)| max.is_none()) {
            return Ok(budget);
        }
        let used = Used::read(store, run.id(), &planned.key).await?;
        for (scope, unit, setting, max) in set {
            let Some(max) = max else { continue };
            let granted = grant_count(run, stage, (&scope, unit));
            let used = used.of(&scope, unit);
            let bound = BudgetBound {
                scope,
                unit,
                max: max.saturating_mul(granted.saturating_add(1)),
                used,
            };
            budget.bounds.push(Bound { bound, base: max, setting: setting.to_owned() });
        }
        Ok(budget)
    }

    /// Whether there is nothing to look at.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.bounds.is_empty()
    }

    /// What the run was allowed on top of budgets of days.
    pub(crate) fn day_grants(&self) -> &[DayGrant] {
        &self.day_grants
    }

    /// Tokens that an answer is not to be cut below; `None` where it is rather cut than a person asked.
    pub(crate) fn needed(&self, asked: Option<u32>) -> Option<u32> {
        match self.on_exceeded {
            OnBudgetExceeded::Ask => Some(asked.unwrap_or(NEEDED_ANSWER_TOKENS)),
            OnBudgetExceeded::Stop => None,
        }
    }

    /// The bound on the tokens of an answer, at most what is left after the prompt.
    pub(crate) fn admit(
        &self,
        route: &Route,
        quote: &Quote,
        asked: Option<u32>,
    ) -> Result<Option<u32>, Refused> {
        let mut max_tokens = asked;
        for bound in &self.bounds {
            let room = bound.uncut_room(quote, self.needed(asked));
            let room = room.map_err(|why| bound.refused(why, quote, route))?;
            if let Ok(room) = u32::try_from(room) {
                max_tokens = Some(max_tokens.unwrap_or(UNSAID_ANSWER_TOKENS).min(room));
            }
        }
        Ok(max_tokens)
    }

    /// Counts what a call used.
    pub(crate) fn count(&mut self, used: Amount) {
        for bound in &mut self.bounds {
            let bound = &mut bound.bound;
            bound.used = bound.used.saturating_add(used.of(bound.unit));
        }
    }

    /// Budgets that are nearly used up, each once; those of the day included.
    pub(crate) fn due_warnings(
        &mut self,
        days: &DayLedger,
        provider: &str,
        now: Timestamp,
    ) -> Vec<BudgetBound> {
        let Self { bounds, warn_percent, day_grants, warned, .. } = self;
        let mut due = Vec::new();
        if let Some(percent) = *warn_percent {
            for bound in bounds.iter().filter(|bound| bound.is_nearly_used(percent)) {
                if warned.insert((bound.bound.scope.clone(), bound.bound.unit)) {
                    bound.say_nearly_used();
                    due.push(bound.bound.clone());
                }
            }
        }
        let of_day = days.nearly_used(provider, day_grants, now).into_iter();
        due.extend(of_day.filter(|bound| warned.insert((bound.scope.clone(), bound.unit))));
        due
    }
}

impl Amount {
    /// What a call used, answered or not. What the host answers itself uses nothing.
    pub(crate) fn of_call(answer: &CallAnswered) -> Self {
        let (usage, nano_usd) = match (&answer.source, &answer.outcome, &answer.spent) {
            (AnswerSource::Cache | AnswerSource::SharedCall, ..) | (_, Err(_), None) => {
                return Self::default();
            }
            (AnswerSource::Provider, Ok(Completion { usage, cost_nano_usd, .. }), _)
            | (AnswerSource::Provider, Err(_), Some(Spent { usage, cost_nano_usd, .. })) => {
                (usage, cost_nano_usd)
            }
        };
        Self { tokens: usage.total_tokens(), nano_usd: nano_usd.unwrap_or(0) }
    }

    fn of(self, unit: BudgetUnit) -> u64 {
        match unit {
            BudgetUnit::Tokens => self.tokens,
            BudgetUnit::NanoUsd => self.nano_usd,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            nano_usd: self.nano_usd.saturating_add(other.nano_usd),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            nano_usd: self.nano_usd.saturating_sub(other.nano_usd),
        }
    }

    fn larger(self, other: Self) -> Self {
        Self { tokens: self.tokens.max(other.tokens), nano_usd: self.nano_usd.max(other.nano_usd) }
    }
}

/// What a run and one of its stages used.
struct Used {
    stage: Amount,
    run: Amount,
}

impl Used {
    async fn read(store: &Store, run: &RunId, stage: &StageKey) -> Result<Self, Error> {
        let rows = store.spent(run).await?;
        let sum = |rows: &mut dyn Iterator<Item = &StageSpent>| {
            rows.fold(Amount::default(), |sum, row| {
                sum.plus(Amount { tokens: row.tokens, nano_usd: row.cost_nano_usd })
            })
        };
        Ok(Self {
            stage: sum(&mut rows.iter().filter(|row| row.stage == *stage)),
            run: sum(&mut rows.iter()),
        })
    }

    fn of(&self, scope: &BudgetScope, unit: BudgetUnit) -> u64 {
        match scope {
            BudgetScope::Stage => self.stage.of(unit),
            BudgetScope::Run => self.run.of(unit),
            BudgetScope::Day | BudgetScope::ProviderDay { .. } => 0,
        }
    }
}
