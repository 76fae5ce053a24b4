//! What a call costs, in whole billionths of a US dollar. No floating point: sums over many calls stay exact.
mod file;
mod list;
mod tree;

#[cfg(test)]
mod list_tests;

use domain::model::Usage;

use crate::config::Price;
pub use file::{PRICE_LIST_BYTES_MAX, PriceListError, PriceListProblem};
pub use list::{LongPrompt, PriceList, PricedModel};

/// Trillionths, in which prices are, for one billionth, in which costs are.
const PICO_PER_NANO: u128 = 1_000;

/// `None` if a count is not known: an unknown cost is not 0. Rounded to the nearest billionth, halves up.
pub(crate) fn cost_nano_usd(price: &Price, usage: &Usage) -> Option<u64> {
    let input_tokens = usage.input_tokens?;
    let output_tokens = usage.output_tokens?;
    // Parts of a whole; a server that claims more of a part than of the whole is not believed.
    let cached = usage.cached_tokens.unwrap_or(0).min(input_tokens);
    let written = usage.cache_write_tokens.unwrap_or(0).min(input_tokens - cached);
    let reasoning = usage.reasoning_tokens.unwrap_or(0).min(output_tokens);
    let parts = [
        (input_tokens - cached - written, price.input),
        (cached, price.cached_input.unwrap_or(price.input)),
        (written, price.cache_write.unwrap_or(price.input)),
        (output_tokens - reasoning, price.output),
        (reasoning, price.reasoning.unwrap_or(price.output)),
    ];
    let cost = parts.into_iter().try_fold(0_u128, |sum, (tokens, price)| {
        sum.checked_add(u128::from(tokens) * u128::from(price))
    })?;
    u64::try_from(cost.checked_add(PICO_PER_NANO / 2)? / PICO_PER_NANO).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> Price {
        Price {
            input: 1_000_000,
            cached_input: Some(100_000),
            cache_write: Some(1_250_000),
            output: 4_000_000,
            reasoning: None,
        }
    }

    fn usage(input: Option<u64>, cached: Option<u64>, output: Option<u64>) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            cached_tokens: cached,
            ..Usage::default()
        }
    }

    #[test]
    fn cached_tokens_are_paid_once_and_at_their_own_price() {
        let used = usage(Some(10), Some(4), Some(2));
        assert_eq!(cost_nano_usd(&price(), &used), Some(6 * 1_000 + 4 * 100 + 2 * 4_000));
    }

    #[test]
    fn cached_tokens_without_a_price_of_their_own_cost_what_input_costs() {
        let price = Price { cached_input: None, ..price() };
        assert_eq!(cost_nano_usd(&price, &usage(Some(10), Some(4), Some(0))), Some(10_000));
    }

    #[test]
    fn reasoning_is_a_part_of_the_output_and_not_paid_twice() {
        let used = Usage { reasoning_tokens: Some(2), ..usage(Some(0), None, Some(3)) };
        assert_eq!(cost_nano_usd(&price(), &used), Some(12_000));
    }

    #[test]
    fn an_unknown_count_is_an_unknown_cost_and_zero_is_zero() {
        assert_eq!(cost_nano_usd(&price(), &usage(None, None, Some(1))), None);
        assert_eq!(cost_nano_usd(&price(), &usage(Some(0), None, Some(0))), Some(0));
    }

    #[test]
    fn more_cached_tokens_than_input_are_not_believed() {
        assert_eq!(cost_nano_usd(&price(), &usage(Some(3), Some(9), Some(0))), Some(300));
    }

    #[test]
    fn tokens_that_were_written_into_the_cache_and_reasoning_have_their_own_prices() {
        let price = Price { reasoning: Some(2_000_000), ..price() };
        let used = Usage {
            cache_write_tokens: Some(4),
            reasoning_tokens: Some(1),
            ..usage(Some(10), Some(4), Some(3))
        };
        let expected = 2 * 1_000 + 4 * 100 + 4 * 1_250 + 2 * 4_000 + 2_000;
        assert_eq!(cost_nano_usd(&price, &used), Some(expected));
    }

    #[test]
    fn a_price_below_a_billionth_counts_and_the_sum_is_rounded_once() {
        let price = Price { input: 12_500, cached_input: None, ..price() };
        let used = usage(Some(3), None, Some(0));
        assert_eq!(cost_nano_usd(&price, &used), Some(38));
    }

    #[test]
    fn a_cost_beyond_all_bounds_is_unknown_and_does_not_wrap() {
        assert_eq!(cost_nano_usd(&price(), &usage(Some(u64::MAX), None, Some(1))), None);
    }
}
