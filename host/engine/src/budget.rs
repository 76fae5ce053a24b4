//! What a stage and its run may still use up: tokens and money, over all attempts.
use domain::model::{ModelError, ModelErrorKind, Usage, UsageSource};
use domain::run::Run;
use domain::{RunId, StageIdx, StageKey};
use gateway::{Gateway, Route};
use store::{StageSpent, Store};

use crate::Error;

/// Tokens by which the price of an answer is asked, so that a price below one billionth of a dollar is not lost.
const PRICE_PROBE_TOKENS: u64 = 1_000_000;

/// The bounds that hold for a stage; empty where a profile sets none.
pub(crate) struct Budget {
    bounds: Vec<Bound>,
}

/// One bound, and how much of it is used.
struct Bound {
    what: What,
    /// The profile's setting.
    setting: &'static str,
    max: u64,
    used: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Tokens,
    NanoUsd,
}

impl Budget {
    /// The bounds of a stage with what was used up to now.
    pub(crate) async fn open(store: &Store, run: &Run, stage: StageIdx) -> Result<Self, Error> {
        let plan = run.plan();
        let planned = plan.stage(stage).expect("a budget is opened for a stage of the plan");
        let limits = &planned.limits;
        let bounds = [
            (What::Tokens, "limits.stage_tokens", limits.stage_token_count_max, Scope::Stage),
            (What::NanoUsd, "limits.stage_usd", limits.stage_cost_nano_usd_max, Scope::Stage),
            (What::Tokens, "budget.run_tokens", plan.run_token_count_max, Scope::Run),
            (What::NanoUsd, "budget.run_usd", plan.run_cost_nano_usd_max, Scope::Run),
        ];
        if bounds.iter().all(|(_, _, max, _)| max.is_none()) {
            return Ok(Self { bounds: Vec::new() });
        }
        let spent = Spent::read(store, run.id(), &planned.key).await?;
        let bounds = bounds.into_iter().filter_map(|(what, setting, max, scope)| {
            max.map(|max| Bound { what, setting, max, used: spent.of(what, scope) })
        });
        Ok(Self { bounds: bounds.collect() })
    }

    /// Whether there is nothing to look at.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.bounds.is_empty()
    }

    /// The bound on the tokens of an answer, lowered to what is left after a prompt of `input` tokens.
    pub(crate) fn admit(
        &self,
        gateway: &Gateway,
        route: &Route,
        input: u64,
        asked: Option<u32>,
    ) -> Result<Option<u32>, ModelError> {
        let mut max_tokens = asked;
        for bound in &self.bounds {
            let left = bound.output_tokens_left(gateway, route, input)?;
            if let Ok(left) = u32::try_from(left) {
                max_tokens = Some(max_tokens.map_or(left, |max| max.min(left)));
            }
        }
        Ok(max_tokens)
    }

    /// Counts what a call used.
    pub(crate) fn count(&mut self, usage: &Usage, cost_nano_usd: Option<u64>) {
        for bound in &mut self.bounds {
            let used = match bound.what {
                What::Tokens => usage.total_tokens(),
                What::NanoUsd => cost_nano_usd.unwrap_or(0),
            };
            bound.used = bound.used.saturating_add(used);
        }
    }
}

impl Bound {
    /// How long the answer may be, in tokens.
    fn output_tokens_left(
        &self,
        gateway: &Gateway,
        route: &Route,
        input: u64,
    ) -> Result<u64, ModelError> {
        let left = self.max.saturating_sub(self.used);
        let (for_input, per_answer) = match self.what {
            What::Tokens => (input, None),
            What::NanoUsd => {
                let price = |usage: Usage| {
                    gateway.cost_of(route, &usage).ok_or_else(|| self.price_unknown(route))
                };
                (price(tokens(input, 0))?, Some(price(tokens(0, PRICE_PROBE_TOKENS))?))
            }
        };
        let for_output =
            left.checked_sub(for_input).filter(|rest| *rest > 0 || self.is_free(per_answer));
        let Some(for_output) = for_output else { return Err(self.exhausted(input)) };
        let output = match per_answer {
            None => for_output,
            Some(0) => u64::MAX,
            Some(price) => {
                let output =
                    u128::from(for_output) * u128::from(PRICE_PROBE_TOKENS) / u128::from(price);
                u64::try_from(output).unwrap_or(u64::MAX)
            }
        };
        if output == 0 { Err(self.exhausted(input)) } else { Ok(output) }
    }

    fn is_free(&self, per_answer: Option<u64>) -> bool {
        self.what == What::NanoUsd && per_answer == Some(0)
    }

    fn exhausted(&self, input: u64) -> ModelError {
        let (max, used, unit) = match self.what {
            What::Tokens => (self.max.to_string(), self.used.to_string(), "tokens"),
            What::NanoUsd => (usd(self.max), usd(self.used), "US dollars"),
        };
        let setting = self.setting;
        let message = format!(
            "`{setting}` allows {max} {unit}, and {used} are used: a prompt of about {input} tokens does not fit any more; raise `{setting}` in the profile and start a new run"
        );
        ModelError { kind: ModelErrorKind::BudgetExhausted, message }
    }

    fn price_unknown(&self, route: &Route) -> ModelError {
        let setting = self.setting;
        let (provider, model) = (&route.provider, &route.model);
        let message = format!(
            "`{setting}` bounds the cost, and the price of model `{model}` at `{provider}` is not known: nothing is asked; set its prices in `stagewright.yaml`, or take `{setting}` out of the profile and start a new run"
        );
        ModelError { kind: ModelErrorKind::BudgetExhausted, message }
    }
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        output_tokens: Some(output),
        cached_tokens: None,
        reasoning_tokens: None,
        source: UsageSource::Estimated,
    }
}

/// Billionths of a dollar as dollars.
fn usd(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[derive(Clone, Copy)]
enum Scope {
    Stage,
    Run,
}

struct Spent {
    stage: (u64, u64),
    run: (u64, u64),
}

impl Spent {
    async fn read(store: &Store, run: &RunId, stage: &StageKey) -> Result<Self, Error> {
        let rows = store.spent(run).await?;
        let sum = |rows: &mut dyn Iterator<Item = &StageSpent>| {
            rows.fold((0, 0), |(tokens, cost), row| (tokens + row.tokens, cost + row.cost_nano_usd))
        };
        Ok(Self {
            stage: sum(&mut rows.iter().filter(|row| row.stage == *stage)),
            run: sum(&mut rows.iter()),
        })
    }

    fn of(&self, what: What, scope: Scope) -> u64 {
        let (tokens, cost) = match scope {
            Scope::Stage => self.stage,
            Scope::Run => self.run,
        };
        match what {
            What::Tokens => tokens,
            What::NanoUsd => cost,
        }
    }
}
