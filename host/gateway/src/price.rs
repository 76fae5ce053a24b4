//! What a call costs, in whole billionths of a US dollar. No floating point: sums over many calls stay exact.
use domain::model::Usage;

use crate::config::Model;

/// `None` if a price or a count is not known: an unknown cost is not 0.
pub(crate) fn cost_nano_usd(model: &Model, usage: &Usage) -> Option<u64> {
    let input_price = model.input_nano_usd_per_token?;
    let output_price = model.output_nano_usd_per_token?;
    let cached_price = model.cached_nano_usd_per_token.unwrap_or(input_price);
    let input_tokens = usage.input_tokens?;
    let output_tokens = usage.output_tokens?;
    // Cached tokens are a part of the input; a server that claims more of them than of input is not believed.
    let cached_tokens = usage.cached_tokens.unwrap_or(0).min(input_tokens);
    let fresh = (input_tokens - cached_tokens).checked_mul(input_price)?;
    let cached = cached_tokens.checked_mul(cached_price)?;
    let output = output_tokens.checked_mul(output_price)?;
    fresh.checked_add(cached)?.checked_add(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model {
            name: "m".to_owned(),
            context_tokens: None,
            input_nano_usd_per_token: Some(1_000),
            cached_nano_usd_per_token: Some(100),
            output_nano_usd_per_token: Some(4_000),
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
        assert_eq!(cost_nano_usd(&model(), &used), Some(6 * 1_000 + 4 * 100 + 2 * 4_000));
    }

    #[test]
    fn cached_tokens_without_a_price_of_their_own_cost_what_input_costs() {
        let model = Model { cached_nano_usd_per_token: None, ..model() };
        assert_eq!(cost_nano_usd(&model, &usage(Some(10), Some(4), Some(0))), Some(10_000));
    }

    #[test]
    fn reasoning_is_a_part_of_the_output_and_not_paid_twice() {
        let used = Usage { reasoning_tokens: Some(2), ..usage(Some(0), None, Some(3)) };
        assert_eq!(cost_nano_usd(&model(), &used), Some(12_000));
    }

    #[test]
    fn an_unknown_price_or_count_is_an_unknown_cost_and_zero_is_zero() {
        let unpriced = Model { output_nano_usd_per_token: None, ..model() };
        assert_eq!(cost_nano_usd(&unpriced, &usage(Some(1), None, Some(1))), None);
        assert_eq!(cost_nano_usd(&model(), &usage(None, None, Some(1))), None);
        assert_eq!(cost_nano_usd(&model(), &usage(Some(0), None, Some(0))), Some(0));
    }

    #[test]
    fn more_cached_tokens_than_input_are_not_believed() {
        assert_eq!(cost_nano_usd(&model(), &usage(Some(3), Some(9), Some(0))), Some(300));
    }

    #[test]
    fn a_cost_beyond_all_bounds_is_unknown_and_does_not_wrap() {
        assert_eq!(cost_nano_usd(&model(), &usage(Some(u64::MAX), None, Some(1))), None);
    }
}
