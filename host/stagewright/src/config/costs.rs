//! What answers cost and how much of it is allowed: price lists, the cache of answers, budgets of a day, and how much of
//! the texts is kept. Amounts of money are exact: they never pass through a floating-point number.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use engine::{DayBudget, DayBudgets};
use gateway::{PRICE_LIST_BYTES_MAX, PriceList};

use super::layers::{self, Layers};
use super::said::{SaidBudgets, SaidCache, SaidDayBudget, SaidRecords};
use crate::error::Error;

/// Largest cache of answers, in MiB: beyond it lies a machine that is there for nothing else.
pub(super) const CACHE_MIB_MAX: u64 = 65_536;
/// Longest time that an answer is kept, in seconds: 30 days. The cache lies in memory and seldom lives as long.
pub(super) const CACHE_SECONDS_MAX: u64 = 30 * 86_400;
/// Largest budget of a day in tokens: a million times a large context.
pub(super) const DAY_TOKENS_MAX: u64 = 1_000_000_000_000;
/// Percent of a budget at which a warning still comes before the stop.
pub(super) const WARN_PERCENT_MAX: u64 = 99;
/// Most bytes of a text that are kept where texts are trimmed: more is as good as whole.
pub(super) const TRIM_BYTES_MAX: u64 = 1 << 20;
/// What is kept of each text where texts are trimmed and nobody said how much, in bytes: enough to know it again.
const TRIM_BYTES_DEFAULT: u64 = 200;
/// Digits after the point of an amount of dollars: the ninth is the unit of every account here.
const USD_DIGITS: u32 = 9;
/// Largest budget of a day in US dollars.
const DAY_USD_MAX: u64 = 1_000_000;

/// A decimal number times 10 to the power of `digits`; `None` if it is no number, or not exact with that many digits.
pub(super) fn exact(text: &str, digits: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = digits.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let fraction = fraction.checked_mul(10_u64.checked_pow(missing)?)?;
    whole.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(digits)?)?.checked_add(fraction)
}

pub(super) fn cache(layers: &Layers, said: &SaidCache) -> Result<gateway::Cache, Error> {
    let mut cache = gateway::Cache::default();
    if let Some(mib) = said.mib {
        cache.bytes_max = layers.bounded("cache.mib", mib, 0..=CACHE_MIB_MAX)? << 20;
    }
    if let Some(seconds) = said.ttl_s {
        let seconds = layers.bounded("cache.ttl_s", seconds, 1..=CACHE_SECONDS_MAX)?;
        cache.time_max = Duration::from_secs(seconds);
    }
    Ok(cache)
}

pub(super) fn budgets(
    layers: &Layers,
    said: &SaidBudgets,
    known: &[String],
) -> Result<DayBudgets, Error> {
    let all = SaidDayBudget { day_tokens: said.day_tokens, day_usd: said.day_usd.clone() };
    let mut by_provider = BTreeMap::new();
    for (name, said) in said.providers.iter().flatten() {
        let place = format!("budgets.providers.{name}");
        if !known.contains(name) {
            return Err(Error::Config {
                message: format!("`{place}` names a provider that is not known"),
                hint: Some(format!("there are: {}", known.join(", "))),
            });
        }
        by_provider.insert(name.clone(), day_budget(layers, &place, said)?);
    }
    let warn_percent = said
        .warn_percent
        .map(|percent| layers.bounded("budgets.warn_percent", percent, 1..=WARN_PERCENT_MAX))
        .transpose()?;
    Ok(DayBudgets {
        all: day_budget(layers, "budgets", &all)?,
        by_provider,
        warn_percent: warn_percent.and_then(|percent| u8::try_from(percent).ok()),
    })
}

fn day_budget(layers: &Layers, place: &str, said: &SaidDayBudget) -> Result<DayBudget, Error> {
    let tokens = said
        .day_tokens
        .map(|tokens| layers.bounded(&format!("{place}.day_tokens"), tokens, 1..=DAY_TOKENS_MAX))
        .transpose()?;
    let nano_usd = said
        .day_usd
        .as_deref()
        .and_then(layers::said)
        .map(|text| day_usd(layers, &format!("{place}.day_usd"), text))
        .transpose()?;
    Ok(DayBudget { tokens, nano_usd })
}

fn day_usd(layers: &Layers, key: &str, text: &str) -> Result<u64, Error> {
    let max = DAY_USD_MAX * 10_u64.pow(USD_DIGITS);
    exact(text, USD_DIGITS).filter(|nano_usd| (1..=max).contains(nano_usd)).ok_or_else(|| {
        Error::Config {
            message: format!("`{key}` is no amount: `{text}` ({})", layers.origin_of(key)),
            hint: Some(format!(
                "write US dollars, more than 0 and at most {DAY_USD_MAX}, with at most {USD_DIGITS} digits after the \
                 point, e.g. `5.00`"
            )),
        }
    })
}

pub(super) fn texts(layers: &Layers, said: &SaidRecords) -> Result<store::Texts, Error> {
    let bytes = said.trim_bytes.unwrap_or(TRIM_BYTES_DEFAULT);
    let bytes = layers.bounded("records.trim_bytes", bytes, 1..=TRIM_BYTES_MAX)?;
    let bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    match said.texts.as_deref().and_then(layers::said).unwrap_or("whole") {
        "whole" => Ok(store::Texts::Whole),
        "trimmed" => Ok(store::Texts::Trimmed { bytes_max }),
        "off" => Ok(store::Texts::Off),
        other => Err(layers.one_of("records.texts", other, "`whole`, `trimmed` or `off`")),
    }
}

/// The shipped prices with those of a file laid over them.
pub(super) fn prices(path: Option<&Path>, working_folder: &Path) -> Result<PriceList, Error> {
    let Some(path) = path else { return Ok(PriceList::shipped()) };
    let shown = path.display();
    let unreadable = |detail: String| Error::Config {
        message: format!("the price list `{shown}` cannot be read: {detail}"),
        hint: Some("correct `prices`, or remove it to use the shipped list alone".to_owned()),
    };
    let file = working_folder.join(path);
    let size = std::fs::metadata(&file).map_err(|error| unreadable(error.to_string()))?.len();
    if size > PRICE_LIST_BYTES_MAX as u64 {
        return Err(unreadable(format!("it is larger than {PRICE_LIST_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| unreadable(error.to_string()))?;
    let said = PriceList::parse(&text)
        .map_err(|error| Error::PriceList { file: shown.to_string(), error })?;
    Ok(PriceList::shipped().overlaid_by(said))
}

#[cfg(test)]
mod tests {
    use super::exact;

    #[test]
    fn an_amount_is_exact_or_refused() {
        assert_eq!(exact("0.60", 6), Some(600_000));
        assert_eq!(exact("2.5", 6), Some(2_500_000));
        assert_eq!(exact("15", 6), Some(15_000_000));
        assert_eq!(exact("0.0750", 6), Some(75_000));
        assert_eq!(exact("0.000001", 6), Some(1));
        assert_eq!(exact("0.0000001", 6), None);
        assert_eq!(exact("0.0000010", 6), Some(1));
        assert_eq!(exact("5.000000001", 9), Some(5_000_000_001));
        for text in ["", "-1", "1e3", ".", ".5", "1.", "1_000", "99999999999999999999"] {
            assert_eq!(exact(text, 6), if text == "1." { Some(1_000_000) } else { None }, "{text}");
        }
    }
}
