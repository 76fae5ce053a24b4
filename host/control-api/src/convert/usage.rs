//! Sums of what calls used, and the state of the cache.
use gateway::CacheStatus;
use store::{UsageKey, UsageRow, UsageSum};

use super::cost;
use crate::dto::{CacheDto, TokenSumDto, UsageItemDto, UsageReportDto, UsageSumDto};

impl UsageReportDto {
    /// Groups by these keys, and all of them together.
    pub(crate) fn new(keys: &[UsageKey], rows: &[UsageRow]) -> Self {
        let total = rows.iter().fold(UsageSum::default(), |total, row| plus(&total, &row.sum));
        Self {
            by: keys.iter().map(|key| key.as_str().to_owned()).collect(),
            items: rows.iter().map(UsageItemDto::from).collect(),
            total: UsageSumDto::from(&total),
        }
    }
}

impl From<&UsageRow> for UsageItemDto {
    fn from(row: &UsageRow) -> Self {
        let key = |wanted| {
            row.keys.iter().find(|(key, _)| *key == wanted).and_then(|(_, value)| value.clone())
        };
        Self {
            day: key(UsageKey::Day),
            provider: key(UsageKey::Provider),
            model: key(UsageKey::Model),
            stage: key(UsageKey::Stage),
            mode: key(UsageKey::Mode),
            sum: UsageSumDto::from(&row.sum),
        }
    }
}

impl From<&UsageSum> for UsageSumDto {
    fn from(sum: &UsageSum) -> Self {
        Self {
            calls: sum.calls,
            cache_hits: sum.cache_hits,
            failed_calls: sum.failed_calls,
            usage: TokenSumDto::from(sum),
            cost: sum.cost_nano_usd.map(cost),
            model_wait_ms: sum.model_wait_ms,
        }
    }
}

impl From<&UsageSum> for TokenSumDto {
    fn from(sum: &UsageSum) -> Self {
        Self {
            input_tokens: sum.input_tokens,
            output_tokens: sum.output_tokens,
            cached_tokens: sum.cached_tokens,
            cache_write_tokens: sum.cache_write_tokens,
            reasoning_tokens: sum.reasoning_tokens,
        }
    }
}

/// Both together. A cost that is not known, or that no number can hold, makes the whole unknown rather than wrong.
fn plus(one: &UsageSum, other: &UsageSum) -> UsageSum {
    UsageSum {
        calls: one.calls.saturating_add(other.calls),
        cache_hits: one.cache_hits.saturating_add(other.cache_hits),
        failed_calls: one.failed_calls.saturating_add(other.failed_calls),
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        cached_tokens: one.cached_tokens.saturating_add(other.cached_tokens),
        cache_write_tokens: one.cache_write_tokens.saturating_add(other.cache_write_tokens),
        reasoning_tokens: one.reasoning_tokens.saturating_add(other.reasoning_tokens),
        cost_nano_usd: one
            .cost_nano_usd
            .zip(other.cost_nano_usd)
            .and_then(|(one, other)| one.checked_add(other)),
        model_wait_ms: one.model_wait_ms.saturating_add(other.model_wait_ms),
    }
}

impl From<&CacheStatus> for CacheDto {
    fn from(status: &CacheStatus) -> Self {
        Self {
            enabled: status.bytes_max > 0,
            entries: status.entry_count,
            size_bytes: status.size_bytes,
            bytes_max: status.bytes_max,
            ttl_s: status.time_max.as_secs(),
            hits: status.hit_count,
            misses: status.miss_count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: &str, input_tokens: u64, cost_nano_usd: Option<u64>) -> UsageRow {
        UsageRow {
            keys: vec![(UsageKey::Day, Some(day.to_owned())), (UsageKey::Stage, None)],
            sum: UsageSum { calls: 2, input_tokens, cost_nano_usd, ..UsageSum::default() },
        }
    }

    #[test]
    fn the_total_adds_up_and_an_unknown_cost_is_not_zero() {
        let keys = [UsageKey::Day, UsageKey::Stage];
        let known = [row("2026-01-01", 3, Some(5)), row("2026-01-02", 4, Some(0))];
        let report = UsageReportDto::new(&keys, &known);
        assert_eq!(report.by, ["day", "stage"]);
        assert_eq!((report.total.calls, report.total.usage.input_tokens), (4, 7));
        assert_eq!(report.total.cost, Some(cost(5)));
        assert_eq!(
            (report.items[1].day.as_deref(), &report.items[1].stage),
            (Some("2026-01-02"), &None)
        );
        let unknown = [row("2026-01-01", 3, Some(5)), row("2026-01-02", 4, None)];
        assert_eq!(UsageReportDto::new(&keys, &unknown).total.cost, None);
        assert_eq!(UsageReportDto::new(&keys, &[]).total.cost, Some(cost(0)));
    }
}
