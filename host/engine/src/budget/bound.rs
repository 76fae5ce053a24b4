//! One bound on tokens or money: whether a question fits, and the words for one that does not.
use domain::Digest;
use domain::model::{ModelError, ModelErrorKind};
use domain::run::{BudgetBound, BudgetScope, BudgetUnit};
use gateway::Route;

use super::quote::{NoRoom, Quote};

/// A bound, and how much of it is used.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) bound: BudgetBound,
    /// What the setting itself allows: a grant allows as much again.
    pub(super) base: u64,
    /// The setting that it comes from.
    pub(super) setting: String,
}

/// Why a question is not asked.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A bound is used up. A person may allow more.
    Exceeded {
        bound: BudgetBound,
        /// The same in words.
        error: ModelError,
    },
    /// Nobody knows whether it fits.
    Unpriced(ModelError),
}

impl From<Refused> for ModelError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exceeded { error, .. } | Refused::Unpriced(error) => error,
        }
    }
}

impl Bound {
    /// How long the answer may be, in tokens, if `held` is promised to others.
    pub(super) fn room(&self, quote: &Quote, held: u64) -> Result<u64, NoRoom> {
        let BudgetBound { unit, max, used, .. } = &self.bound;
        quote.output_room(*unit, max.saturating_sub(*used).saturating_sub(held))
    }

    /// The same for an answer that is not to be cut below what it needs, if anybody minds: where as much again would give
    /// it more, a person is asked instead. An answer that needs more than the whole budget gives is cut to what is left
    /// while that is half of the whole: a grant that is off by an estimate must not lead to the next question at once.
    pub(super) fn uncut_room(&self, quote: &Quote, needed: Option<u32>) -> Result<u64, NoRoom> {
        let room = self.room(quote, 0)?;
        let whole = quote.output_room(self.bound.unit, self.base).unwrap_or(0);
        match needed {
            Some(needed) if room < u64::from(needed).min(whole / 2) => Err(NoRoom::Exhausted),
            Some(_) | None => Ok(room),
        }
    }

    pub(super) fn refused(&self, why: NoRoom, quote: &Quote, route: &Route) -> Refused {
        match why {
            NoRoom::Exhausted => {
                let error = self.exhausted(quote.input_tokens);
                Refused::Exceeded { bound: self.bound.clone(), error }
            }
            NoRoom::Unpriced => Refused::Unpriced(self.price_unknown(route)),
        }
    }

    /// For a question that would fit if so much were not held for open calls.
    pub(super) fn refused_for_now(&self, held: u64) -> Refused {
        let BudgetBound { unit, max, used, .. } = &self.bound;
        let [max, used, held] = [*max, *used, held].map(|number| amount(*unit, number));
        let setting = &self.setting;
        let message = format!(
            "`{setting}` allows {max} a day (UTC), {used} are used, and {held} are held for calls that are still open: none of them ended in time; ask again when they have, or raise `{setting}` in `stagewright.yaml`"
        );
        let error = ModelError { kind: ModelErrorKind::BudgetExhausted, message };
        Refused::Exceeded { bound: self.bound.clone(), error }
    }

    /// Whether so many percent are used.
    pub(super) fn is_nearly_used(&self, percent: u8) -> bool {
        let BudgetBound { max, used, .. } = &self.bound;
        u128::from(*used) * 100 >= u128::from(*max) * u128::from(percent)
    }

    fn exhausted(&self, input: u64) -> ModelError {
        let BudgetBound { scope, unit, max, used } = &self.bound;
        let (max, used) = (amount(*unit, *max), amount(*unit, *used));
        let setting = &self.setting;
        let (period, cure) = match scope {
            BudgetScope::Stage | BudgetScope::Run => {
                ("", format!("raise `{setting}` in the profile and start a new run"))
            }
            BudgetScope::Day | BudgetScope::ProviderDay { .. } => (
                " a day (UTC)",
                format!("raise `{setting}` in `stagewright.yaml`, or ask again after midnight UTC"),
            ),
        };
        let message = format!(
            "`{setting}` allows {max}{period}, and {used} are used: a prompt of about {input} tokens does not fit any more; {cure}"
        );
        ModelError { kind: ModelErrorKind::BudgetExhausted, message }
    }

    fn price_unknown(&self, route: &Route) -> ModelError {
        let setting = &self.setting;
        let (provider, model) = (&route.provider, &route.model);
        let take_out = match &self.bound.scope {
            BudgetScope::Stage | BudgetScope::Run => {
                format!("take `{setting}` out of the profile and start a new run")
            }
            BudgetScope::Day | BudgetScope::ProviderDay { .. } => {
                format!("take `{setting}` out of it")
            }
        };
        let message = format!(
            "`{setting}` bounds the cost, and the price of model `{model}` at `{provider}` is not known: nothing is asked; set its prices in `stagewright.yaml`, or {take_out}"
        );
        ModelError { kind: ModelErrorKind::BudgetExhausted, message }
    }

    /// Says in the log that the budget is nearly used up.
    pub(super) fn say_nearly_used(&self) {
        let BudgetBound { unit, max, used, .. } = &self.bound;
        let (max, used) = (amount(*unit, *max), amount(*unit, *used));
        tracing::warn!("`{}` is nearly used up: {used} of {max}", self.setting);
    }
}

/// What a decision about a budget is bound to: the digest over its canonical text.
pub(crate) fn content_hash(bound: &BudgetBound) -> Digest {
    let BudgetBound { scope, unit, max, used } = bound;
    let provider = match scope {
        BudgetScope::ProviderDay { provider } => provider.as_str(),
        BudgetScope::Stage | BudgetScope::Run | BudgetScope::Day => "",
    };
    let text = format!(
        "budget\nscope {}\nprovider {provider}\nunit {}\nmax {max}\nused {used}\n",
        scope.as_str(),
        unit.as_str(),
    );
    store::digest_of(text.as_bytes())
}

fn amount(unit: BudgetUnit, amount: u64) -> String {
    match unit {
        BudgetUnit::Tokens => format!("{amount} tokens"),
        BudgetUnit::NanoUsd => format!("{} US dollars", usd(amount)),
    }
}

/// Billionths of a dollar as dollars.
fn usd(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
