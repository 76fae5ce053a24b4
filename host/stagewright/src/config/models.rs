//! What is said about one model of a provider: its context, its prices, and what it may be asked.
use gateway::{Limits, Model, Price};

use super::costs::exact;
use super::providers::Place;
use super::said::{SaidLimits, SaidModel};
use crate::error::Error;

/// Digits after the point that a price for a million tokens may have: the sixth is a trillionth of a dollar per token,
/// which is the unit of prices.
const PRICE_DIGITS: u32 = 6;
/// Highest price of a million tokens that may be configured, in the same unit: a hundred thousand US dollars. With it,
/// the account of the largest call still fits.
const PRICE_MAX: u64 = 100_000_000_000;
/// Most requests per minute that a limit may be: beyond it, nothing on this machine is held back.
const REQUESTS_PER_MINUTE_MAX: u64 = 1_000_000;
/// Most tokens per minute that a limit may be, for the same reason.
const TOKENS_PER_MINUTE_MAX: u64 = 1_000_000_000_000;
/// Most calls at the same time that a limit may be.
const CONCURRENT_CALLS_MAX: u64 = 10_000;

pub(super) fn model(place: &Place<'_>, said: &SaidModel) -> Result<Model, Error> {
    if said.name.trim().is_empty() {
        return Err(place.wrong("a model has no `name`", "write the name that the provider uses"));
    }
    Ok(Model {
        name: said.name.clone(),
        context_tokens: said.context_tokens,
        price: price(place, said)?,
        limits: limits(place, &format!("models.{}.", said.name), said.limits.as_ref())?,
    })
}

/// What a provider or a model may be asked; `before` is what stands before the key of the limits.
pub(super) fn limits(
    place: &Place<'_>,
    before: &str,
    said: Option<&SaidLimits>,
) -> Result<Limits, Error> {
    let Some(said) = said else { return Ok(Limits::default()) };
    let bounded = |key: &str, value: Option<u64>, max: u64| {
        let key = format!("{before}limits.{key}");
        value.map(|value| place.bounded(&key, value, 1, max)).transpose()
    };
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let requests =
        bounded("requests_per_minute", said.requests_per_minute, REQUESTS_PER_MINUTE_MAX)?;
    let concurrent = bounded("concurrent_calls", said.concurrent_calls, CONCURRENT_CALLS_MAX)?;
    Ok(Limits {
        requests_per_minute: requests.map(narrow),
        tokens_per_minute: bounded(
            "tokens_per_minute",
            said.tokens_per_minute,
            TOKENS_PER_MINUTE_MAX,
        )?,
        concurrent_calls_max: concurrent.map(narrow),
    })
}

fn price(place: &Place<'_>, said: &SaidModel) -> Result<Option<Price>, Error> {
    let amount = |key: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => {
            let found = exact(text.trim(), PRICE_DIGITS).filter(|price| *price <= PRICE_MAX);
            found.map(Some).ok_or_else(|| {
                place.wrong(
                    &format!("`{key}` of model `{}` is no price: `{text}`", said.name),
                    "write US dollars for a million tokens, with at most six digits after the point",
                )
            })
        }
    };
    let input = amount("input_usd_per_million", &said.input_usd_per_million)?;
    let output = amount("output_usd_per_million", &said.output_usd_per_million)?;
    let cached_input = amount("cached_input_usd_per_million", &said.cached_input_usd_per_million)?;
    let cache_write = amount("cache_write_usd_per_million", &said.cache_write_usd_per_million)?;
    let reasoning = amount("reasoning_usd_per_million", &said.reasoning_usd_per_million)?;
    let (Some(input), Some(output)) = (input, output) else {
        let has_any =
            [input, output, cached_input, cache_write, reasoning].iter().any(Option::is_some);
        return if has_any {
            Err(place.wrong(
                &format!("model `{}` has only a part of its prices", said.name),
                "set `input_usd_per_million` and `output_usd_per_million`, or no price at all",
            ))
        } else {
            Ok(None)
        };
    };
    Ok(Some(Price { input, cached_input, cache_write, output, reasoning }))
}
