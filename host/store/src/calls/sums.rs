//! What the calls of a run used up.
//!
//! Sums are whole numbers: SQLite adds the upper and the lower halves of a column apart, so that no sum overflows, and
//! none is rounded as a floating point number would be.
use domain::{RunId, StageKey};
use rusqlite::{Connection, Row, params};

use crate::Error;
use crate::column::parsed;

/// What a stage used up over all its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSpent {
    pub stage: StageKey,
    /// Input and output.
    pub tokens: u64,
    pub cost_nano_usd: u64,
}

/// What some calls used up together, calls without an answer and those that were asked again included. What is not
/// known counts 0, the cost excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageSum {
    pub calls: u64,
    /// Those among them that the host answered itself, from its cache or from another call.
    pub cache_hits: u64,
    /// Those among them that ended without an answer.
    pub failed_calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    /// `None` if the price of anything that was used is not known.
    pub cost_nano_usd: Option<u64>,
    pub model_wait_ms: u64,
}

/// What a call had used when it was asked before and ended without an answer. Its row tells of the last time alone, so
/// that rows and this together are what was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedBefore {
    /// How often. Times that a host did not live to see the end of are among them.
    pub times: u64,
    /// What it used, as far as is known. It counts no calls: the row of the call does.
    pub sum: UsageSum,
}

impl Default for UsageSum {
    fn default() -> Self {
        Self {
            calls: 0,
            cache_hits: 0,
            failed_calls: 0,
            input_tokens: 0,
            output_tokens: 0,
            cached_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
            cost_nano_usd: Some(0),
            model_wait_ms: 0,
        }
    }
}

/// The sum of a column in two halves of 32 bits: over as many rows as a table can have, neither overflows.
macro_rules! whole_sum {
    ($column:literal) => {
        concat!(
            "SUM(",
            $column,
            " >> 32) AS ",
            $column,
            "_high, SUM(",
            $column,
            " & 4294967295) AS ",
            $column,
            "_low"
        )
    };
}
pub(super) use whole_sum;

/// The sums of rows that count calls.
macro_rules! sum_columns {
    () => {
        concat!(
            "COALESCE(SUM(calls), 0) AS calls, COALESCE(SUM(cache_hits), 0) AS cache_hits,
            COALESCE(SUM(failed_calls), 0) AS failed_calls,
            COALESCE(SUM(unpriced_calls), 0) AS unpriced_calls, ",
            $crate::calls::sums::whole_sum!("input_tokens"),
            ", ",
            $crate::calls::sums::whole_sum!("output_tokens"),
            ", ",
            $crate::calls::sums::whole_sum!("cached_tokens"),
            ", ",
            $crate::calls::sums::whole_sum!("cache_write_tokens"),
            ", ",
            $crate::calls::sums::whole_sum!("reasoning_tokens"),
            ", ",
            $crate::calls::sums::whole_sum!("cost_nano_usd"),
            ", ",
            $crate::calls::sums::whole_sum!("total_ms")
        )
    };
}
pub(super) use sum_columns;

/// The calls of a run, and what they had used before they were asked again.
macro_rules! of_run {
    () => {
        "(SELECT stage_key, 1 AS calls,
            source <> 'provider' AND status = 'answered' AS cache_hits,
            status IN ('failed', 'canceled') AS failed_calls,
            usage_source IS NOT NULL AND cost_nano_usd IS NULL AS unpriced_calls,
            input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
            cost_nano_usd, total_ms
            FROM llm_calls WHERE run_id = ?1
        UNION ALL SELECT stage_key, 0, 0, 0,
            usage_source IS NOT NULL AND cost_nano_usd IS NULL,
            input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
            cost_nano_usd, total_ms
            FROM llm_calls_before WHERE run_id = ?1)"
    };
}
/// By the run, too: only calls of runs are asked again, and there is an index by it.
const BEFORE: &str = concat!(
    "SELECT COUNT(*) AS times, ",
    sum_columns!(),
    " FROM (SELECT 0 AS calls, 0 AS cache_hits, 0 AS failed_calls,
        usage_source IS NOT NULL AND cost_nano_usd IS NULL AS unpriced_calls,
        input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
        cost_nano_usd, total_ms
        FROM llm_calls_before WHERE run_id = ?1 AND call_seq = ?2)"
);
const USAGE: &str = concat!("SELECT ", sum_columns!(), " FROM ", of_run!());
const USAGE_BY_STAGE: &str =
    concat!("SELECT stage_key, ", sum_columns!(), " FROM ", of_run!(), " GROUP BY stage_key");

/// What must be found by a key, however many calls there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 3] = [BEFORE, USAGE, USAGE_BY_STAGE];

pub(crate) fn spent(db: &Connection, run: &RunId) -> Result<Vec<StageSpent>, Error> {
    let spent = |(stage, sum): (StageKey, UsageSum)| StageSpent {
        stage,
        tokens: sum.input_tokens.saturating_add(sum.output_tokens),
        cost_nano_usd: sum.cost_nano_usd.unwrap_or(0),
    };
    // A price that is not known must not hide those that are.
    let sums = sums_by_stage(db, run)?;
    Ok(sums.into_iter().map(|(stage, sum)| spent((stage, sum.at_least()))).collect())
}

/// `None` for a call that was asked once.
pub(super) fn used_before(
    db: &Connection,
    run: &RunId,
    call_seq: i64,
) -> Result<Option<UsedBefore>, Error> {
    let mut statement = db.prepare_cached(BEFORE)?;
    let (times, sum) = statement.query_row(params![run.as_str(), call_seq], |row| {
        Ok((row.get("times")?, PricedSum::read(row)?.exact()))
    })?;
    Ok((times > 0).then_some(UsedBefore { times, sum }))
}

pub(crate) fn usage(db: &Connection, run: &RunId) -> Result<UsageSum, Error> {
    let mut statement = db.prepare_cached(USAGE)?;
    Ok(statement.query_row([run.as_str()], PricedSum::read)?.exact())
}

pub(crate) fn usage_by_stage(
    db: &Connection,
    run: &RunId,
) -> Result<Vec<(StageKey, UsageSum)>, Error> {
    let sums = sums_by_stage(db, run)?;
    Ok(sums.into_iter().map(|(stage, sum)| (stage, sum.exact())).collect())
}

fn sums_by_stage(db: &Connection, run: &RunId) -> Result<Vec<(StageKey, PricedSum)>, Error> {
    let mut statement = db.prepare_cached(USAGE_BY_STAGE)?;
    let rows = statement
        .query_map([run.as_str()], |row| Ok((parsed(row, "stage_key")?, PricedSum::read(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A sum, and how many calls used something that has no price.
pub(super) struct PricedSum {
    sum: UsageSum,
    unpriced: u64,
}

impl PricedSum {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let sum = UsageSum {
            calls: row.get("calls")?,
            cache_hits: row.get("cache_hits")?,
            failed_calls: row.get("failed_calls")?,
            input_tokens: whole(row, "input_tokens")?,
            output_tokens: whole(row, "output_tokens")?,
            cached_tokens: whole(row, "cached_tokens")?,
            cache_write_tokens: whole(row, "cache_write_tokens")?,
            reasoning_tokens: whole(row, "reasoning_tokens")?,
            cost_nano_usd: Some(whole(row, "cost_nano_usd")?),
            model_wait_ms: whole(row, "total_ms")?,
        };
        Ok(Self { sum, unpriced: row.get("unpriced_calls")? })
    }

    pub(super) fn exact(self) -> UsageSum {
        let cost_nano_usd = self.sum.cost_nano_usd.filter(|_| self.unpriced == 0);
        UsageSum { cost_nano_usd, ..self.sum }
    }

    pub(super) fn at_least(self) -> UsageSum {
        self.sum
    }
}

/// Puts a sum together from its halves; NULL, where there was nothing to add, is 0.
fn whole(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let half = |half: &str| row.get::<_, Option<u64>>(format!("{column}_{half}").as_str());
    let (high, low) = (half("high")?.unwrap_or(0), half("low")?.unwrap_or(0));
    let sum = (u128::from(high) << 32) + u128::from(low);
    Ok(u64::try_from(sum).unwrap_or(u64::MAX))
}
