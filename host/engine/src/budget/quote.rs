//! What an answer may cost at one route.
use domain::model::{Usage, UsageSource};
use domain::run::BudgetUnit;
use gateway::{Gateway, Route};

/// Tokens by which the price of an answer is asked, so that a price below one billionth of a dollar is not lost.
const PRICE_PROBE_TOKENS: u64 = 1_000_000;

/// The prices of one question at one route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quote {
    /// Tokens of the prompt, about.
    pub(crate) input_tokens: u64,
    /// Price of the prompt; `None`: not known.
    input_nano_usd: Option<u64>,
    /// Price of an answer of [`PRICE_PROBE_TOKENS`], reasoning or not, whichever is dearer; `None`: not known.
    probe_nano_usd: Option<u64>,
}

/// Why nothing may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// What is left is too little for the prompt.
    Exhausted,
    /// What the answer costs is not known.
    Unpriced,
}

impl Quote {
    pub(crate) fn of(gateway: &Gateway, route: &Route, input_tokens: u64) -> Self {
        let price = |usage: Usage| gateway.cost_of(route, &usage);
        let plain = price(tokens(0, PRICE_PROBE_TOKENS, 0));
        let reasoning = price(tokens(0, PRICE_PROBE_TOKENS, PRICE_PROBE_TOKENS));
        Self {
            input_tokens,
            input_nano_usd: price(tokens(input_tokens, 0, 0)),
            probe_nano_usd: plain.zip(reasoning).map(|(plain, reasoning)| plain.max(reasoning)),
        }
    }

    /// How long the answer may be, in tokens: at least 1.
    pub(super) fn output_room(&self, unit: BudgetUnit, left: u64) -> Result<u64, NoRoom> {
        let (for_input, per_answer) = match unit {
            BudgetUnit::Tokens => (self.input_tokens, None),
            BudgetUnit::NanoUsd => {
                let input = self.input_nano_usd.ok_or(NoRoom::Unpriced)?;
                (input, Some(self.probe_nano_usd.ok_or(NoRoom::Unpriced)?))
            }
        };
        let rest = left.checked_sub(for_input).ok_or(NoRoom::Exhausted)?;
        let output = match per_answer {
            None => rest,
            Some(0) => u64::MAX,
            Some(price) => {
                let output = u128::from(rest) * u128::from(PRICE_PROBE_TOKENS) / u128::from(price);
                u64::try_from(output).unwrap_or(u64::MAX)
            }
        };
        if output == 0 { Err(NoRoom::Exhausted) } else { Ok(output) }
    }

    /// What prompt and answer cost together, rounded up; 0 if it is not known.
    pub(super) fn nano_usd_of(&self, output_tokens: u64) -> u64 {
        let per_answer = u128::from(self.probe_nano_usd.unwrap_or(0));
        let answer =
            (per_answer * u128::from(output_tokens)).div_ceil(u128::from(PRICE_PROBE_TOKENS));
        let answer = u64::try_from(answer).unwrap_or(u64::MAX);
        self.input_nano_usd.unwrap_or(0).saturating_add(answer)
    }
}

fn tokens(input: u64, output: u64, reasoning: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        output_tokens: Some(output),
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: Some(reasoning),
        source: UsageSource::Estimated,
    }
}
