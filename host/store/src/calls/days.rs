//! Usage by day, provider, model, stage and mode: the table `usage_days`, and what had been used before a call was asked
//! again.
//!
//! Everything that is counted is read back from the rows that it is counted for, by the same columns that make the table
//! again. So the table says what the journal says, however often the outcome of a call is kept. Sums stay at the largest
//! number that a column holds rather than to lose an answer.
use domain::{StageKey, Timestamp};
use rusqlite::{Connection, named_params, params};

use super::sums::{PricedSum, sum_columns};
use crate::{Error, UsageSum};

/// By what usage is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageKey {
    /// The day (UTC) on which the call ended.
    Day,
    /// Who answered, or was asked last.
    Provider,
    /// The model that was asked, for the last time.
    Model,
    /// The stage; calls outside of runs have none.
    Stage,
    /// The effective mode of the run; calls outside of runs have none.
    Mode,
}

impl UsageKey {
    /// All of them.
    pub const ALL: [UsageKey; 5] =
        [UsageKey::Day, UsageKey::Provider, UsageKey::Model, UsageKey::Stage, UsageKey::Mode];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            UsageKey::Day => "day",
            UsageKey::Provider => "provider",
            UsageKey::Model => "model",
            UsageKey::Stage => "stage",
            UsageKey::Mode => "mode",
        }
    }

    /// The key with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == word)
    }

    fn column(self) -> &'static str {
        match self {
            UsageKey::Stage => "stage_key",
            UsageKey::Day | UsageKey::Provider | UsageKey::Model | UsageKey::Mode => self.as_str(),
        }
    }
}

/// Which usage is wanted; `None` wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageFilter {
    /// The first day, `YYYY-MM-DD`.
    pub since_day: Option<String>,
    /// The last day, `YYYY-MM-DD`.
    pub until_day: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub stage: Option<StageKey>,
    pub mode: Option<String>,
}

/// What the calls of one group used up together.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageRow {
    /// What the group has in common, in the order of the keys that were asked for; `None`: the calls have no such thing.
    pub keys: Vec<(UsageKey, Option<String>)>,
    pub sum: UsageSum,
}

/// What was used up in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DaySpent {
    /// Input and output.
    pub tokens: u64,
    /// As far as prices are known.
    pub cost_nano_usd: u64,
}

/// The day (UTC) of a time in milliseconds. A time that no calendar reaches has the day that sorts first.
macro_rules! day {
    ($time:literal) => {
        concat!("COALESCE(date(", $time, " / 1000, 'unixepoch'), '')")
    };
}
/// What a row `c` adds to the table, in the order of its columns.
macro_rules! counted {
    ($calls:literal, $cache_hits:literal, $failed_calls:literal) => {
        concat!(
            day!("c.ended_at"),
            " AS day, c.provider AS provider, c.model AS model,
            COALESCE(c.stage_key, '') AS stage_key,
            COALESCE((SELECT r.effective_mode FROM runs r WHERE r.run_id = c.run_id),
                (SELECT p.mode FROM pruned_runs p WHERE p.run_id = c.run_id), '') AS mode, ",
            $calls,
            " AS calls, ",
            $cache_hits,
            " AS cache_hits, ",
            $failed_calls,
            " AS failed_calls,
            c.usage_source IS NOT NULL AND c.cost_nano_usd IS NULL AS unpriced_calls,
            COALESCE(c.input_tokens, 0) AS input_tokens,
            COALESCE(c.output_tokens, 0) AS output_tokens,
            COALESCE(c.cached_tokens, 0) AS cached_tokens,
            COALESCE(c.cache_write_tokens, 0) AS cache_write_tokens,
            COALESCE(c.reasoning_tokens, 0) AS reasoning_tokens,
            COALESCE(c.cost_nano_usd, 0) AS cost_nano_usd,
            COALESCE(c.total_ms, 0) AS total_ms "
        )
    };
}
macro_rules! counted_of_calls {
    () => {
        concat!(
            "SELECT ",
            counted!(
                "1",
                "c.source <> 'provider' AND c.status = 'answered'",
                "c.status <> 'answered'"
            ),
            " FROM llm_calls c WHERE c.ended_at IS NOT NULL "
        )
    };
}
macro_rules! counted_before {
    () => {
        concat!("SELECT ", counted!("0", "0", "0"), " FROM llm_calls_before c WHERE TRUE ")
    };
}
/// A sum that stays at the largest number of a column: in floating point it would be none that the column takes.
macro_rules! up_to_most {
    ($column:literal) => {
        concat!(
            $column,
            " = MIN(",
            $column,
            ", 9223372036854775807 - excluded.",
            $column,
            ") + excluded.",
            $column
        )
    };
}
macro_rules! add {
    ($rows:expr) => {
        add!("usage_days", $rows)
    };
    ($table:literal, $rows:expr) => {
        concat!(
            "INSERT INTO ",
            $table,
            " ",
            $rows,
            " ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
            cache_hits = cache_hits + excluded.cache_hits,
            failed_calls = failed_calls + excluded.failed_calls,
            unpriced_calls = unpriced_calls + excluded.unpriced_calls, ",
            up_to_most!("input_tokens"),
            ", ",
            up_to_most!("output_tokens"),
            ", ",
            up_to_most!("cached_tokens"),
            ", ",
            up_to_most!("cache_write_tokens"),
            ", ",
            up_to_most!("reasoning_tokens"),
            ", ",
            up_to_most!("cost_nano_usd"),
            ", ",
            up_to_most!("total_ms")
        )
    };
}

const ADD: &str = add!(concat!(counted_of_calls!(), "AND c.seq = ?1"));
const ADD_BEFORE: &str = add!(concat!(counted_before!(), "AND c.before_seq = ?1"));
const ADD_ALL: &str = add!(counted_of_calls!());
const ADD_ALL_BEFORE: &str = add!(counted_before!());
const ADD_PRUNED: &str = "INSERT INTO usage_days SELECT * FROM usage_pruned";
const KEEP_SUM: &str = add!("usage_pruned", concat!(counted_of_calls!(), "AND c.seq = ?1"));
/// What had been used before the calls of a run that was asked again; there is an index by the run.
macro_rules! before_of_call {
    () => {
        "AND c.run_id = (SELECT run_id FROM llm_calls WHERE seq = ?1) AND c.call_seq = ?1"
    };
}
const KEEP_SUM_BEFORE: &str = add!("usage_pruned", concat!(counted_before!(), before_of_call!()));
const ADD_BEFORE_OF_CALL: &str = add!(concat!(counted_before!(), before_of_call!()));
/// The other way round: takes rows out of what a table has of their group.
macro_rules! take {
    ($table:literal, $rows:expr) => {
        concat!(
            "UPDATE ",
            $table,
            " AS d SET calls = d.calls - n.calls, cache_hits = d.cache_hits - n.cache_hits,
            failed_calls = d.failed_calls - n.failed_calls,
            unpriced_calls = d.unpriced_calls - n.unpriced_calls,
            input_tokens = d.input_tokens - n.input_tokens,
            output_tokens = d.output_tokens - n.output_tokens,
            cached_tokens = d.cached_tokens - n.cached_tokens,
            cache_write_tokens = d.cache_write_tokens - n.cache_write_tokens,
            reasoning_tokens = d.reasoning_tokens - n.reasoning_tokens,
            cost_nano_usd = d.cost_nano_usd - n.cost_nano_usd, total_ms = d.total_ms - n.total_ms
            FROM (",
            $rows,
            ") AS n
            WHERE d.day = n.day AND d.provider = n.provider AND d.model = n.model
            AND d.stage_key = n.stage_key AND d.mode = n.mode "
        )
    };
}
/// Only what is among the sums of removed calls. What a run has used elsewhere, after it was removed here, is not.
macro_rules! take_pruned {
    ($rows:expr) => {
        concat!(
            take!("usage_pruned", $rows),
            "AND d.calls >= n.calls AND d.cache_hits >= n.cache_hits
            AND d.failed_calls >= n.failed_calls AND d.unpriced_calls >= n.unpriced_calls
            AND d.input_tokens >= n.input_tokens AND d.output_tokens >= n.output_tokens
            AND d.cached_tokens >= n.cached_tokens
            AND d.cache_write_tokens >= n.cache_write_tokens
            AND d.reasoning_tokens >= n.reasoning_tokens
            AND d.cost_nano_usd >= n.cost_nano_usd AND d.total_ms >= n.total_ms"
        )
    };
}
const TAKE_PRUNED: &str = take_pruned!(concat!(counted_of_calls!(), "AND c.seq = ?1"));
const PRUNED_BEFORE_OF_CALL: &str =
    concat!("SELECT before_seq FROM llm_calls_before c WHERE TRUE ", before_of_call!());
const TAKE_PRUNED_BEFORE: &str = take_pruned!(concat!(counted_before!(), "AND c.before_seq = ?1"));
const TAKE: &str = take!("usage_days", concat!(counted_of_calls!(), "AND c.seq = ?1"));
macro_rules! clear_empty {
    ($where:expr) => {
        concat!(
            "DELETE FROM usage_days WHERE calls = 0 AND unpriced_calls = 0 AND input_tokens = 0
            AND output_tokens = 0 AND cost_nano_usd = 0 AND total_ms = 0 AND ",
            $where
        )
    };
}
/// Groups in which nothing is left to count, of the day of a call.
const CLEAR_EMPTY: &str =
    clear_empty!(concat!("day = ", day!("(SELECT ended_at FROM llm_calls WHERE seq = ?1)")));
const CLEAR_ALL_EMPTY: &str = clear_empty!("TRUE");
/// A call that is open ended with its host, nobody knows when.
const KEEP_BEFORE: &str = "INSERT INTO llm_calls_before (call_seq, run_id, stage_key, provider,
    model, ended_at, total_ms, input_tokens, output_tokens, cached_tokens, cache_write_tokens,
    reasoning_tokens, usage_source, cost_nano_usd)
    SELECT seq, run_id, stage_key, provider, model, COALESCE(ended_at, started_at), total_ms, input_tokens,
    output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source,
    cost_nano_usd FROM llm_calls WHERE seq = ?1";

/// Counts a call that has ended.
pub(super) fn add(db: &Connection, seq: i64) -> Result<(), Error> {
    db.prepare_cached(ADD)?.execute([seq])?;
    Ok(())
}

/// Takes back what was counted for a call, before its row changes.
pub(super) fn take(db: &Connection, seq: i64) -> Result<(), Error> {
    db.prepare_cached(TAKE)?.execute([seq])?;
    db.prepare_cached(CLEAR_EMPTY)?.execute([seq])?;
    Ok(())
}

/// Puts aside what a call had used that is about to be asked again: the call counts no more, what it used does.
pub(super) fn move_before(db: &Connection, seq: i64) -> Result<(), Error> {
    take(db, seq)?;
    db.prepare_cached(KEEP_BEFORE)?.execute([seq])?;
    db.prepare_cached(ADD_BEFORE)?.execute([db.last_insert_rowid()])?;
    db.prepare_cached(CLEAR_EMPTY)?.execute([seq])?;
    Ok(())
}

/// Notes that a call is about to be asked again whose host died: what it had used is not known and counts nothing, but
/// that it was asked is no secret.
pub(super) fn note_before(db: &Connection, seq: i64) -> Result<(), Error> {
    db.prepare_cached(KEEP_BEFORE)?.execute([seq])?;
    Ok(())
}

/// Keeps what a call of a run had used that is about to be removed, for [`rebuild`]. The table itself says it already.
pub(crate) fn keep_sums(db: &Connection, seq: i64) -> Result<(), Error> {
    db.prepare_cached(KEEP_SUM)?.execute([seq])?;
    db.prepare_cached(KEEP_SUM_BEFORE)?.execute([seq])?;
    Ok(())
}

/// Counts a call that came with its run from elsewhere.
pub(crate) fn add_brought(db: &Connection, seq: i64) -> Result<(), Error> {
    db.prepare_cached(ADD)?.execute([seq])?;
    db.prepare_cached(ADD_BEFORE_OF_CALL)?.execute([seq])?;
    Ok(())
}

/// Notes that a call is back whose run was removed here: it was never taken out of the table, and is kept twice now. If
/// it is not among the sums of removed calls, it was asked elsewhere, and is counted.
pub(crate) fn take_pruned(db: &Connection, seq: i64) -> Result<(), Error> {
    if db.prepare_cached(TAKE_PRUNED)?.execute([seq])? == 0 {
        db.prepare_cached(ADD)?.execute([seq])?;
    }
    let mut statement = db.prepare_cached(PRUNED_BEFORE_OF_CALL)?;
    let before = statement.query_map([seq], |row| row.get(0))?;
    for before_seq in before.collect::<Result<Vec<i64>, _>>()? {
        if db.prepare_cached(TAKE_PRUNED_BEFORE)?.execute([before_seq])? == 0 {
            db.prepare_cached(ADD_BEFORE)?.execute([before_seq])?;
        }
    }
    Ok(())
}

/// Makes the table again. After the runs, which know their modes.
pub(crate) fn rebuild(db: &Connection) -> Result<(), Error> {
    db.execute("DELETE FROM usage_days", [])?;
    db.execute(ADD_PRUNED, [])?;
    db.execute(ADD_ALL, [])?;
    db.execute(ADD_ALL_BEFORE, [])?;
    db.execute(CLEAR_ALL_EMPTY, [])?;
    Ok(())
}

/// The table in a place of its own, where [`rebuild`] writes instead: names without a schema mean it first.
const SHADOW: &str =
    "SELECT replace(sql, 'CREATE TABLE', 'CREATE TEMP TABLE') FROM main.sqlite_schema
    WHERE name = 'usage_days'";
const DIFFERENCES: &str = "SELECT
    (SELECT COUNT(*) FROM (SELECT * FROM main.usage_days EXCEPT SELECT * FROM temp.usage_days)),
    (SELECT COUNT(*) FROM (SELECT * FROM temp.usage_days EXCEPT SELECT * FROM main.usage_days))";

/// Whether the table is what the journal says; the inner error says how much differs. The connection may be one that
/// only reads.
pub(crate) fn as_journal(db: &Connection) -> Result<Result<(), String>, Error> {
    // One moment of the database, however many statements read it. Undone at the end, with the table.
    let db = db.unchecked_transaction()?;
    let shadow: String = db.query_row(SHADOW, [], |row| row.get(0))?;
    db.execute_batch(&shadow)?;
    rebuild(&db)?;
    let (kept, counted): (u64, u64) =
        db.query_row(DIFFERENCES, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match (kept, counted) {
        (0, 0) => Ok(()),
        _ => Err(format!("{kept} rows are not what the journal says, which says {counted} others")),
    })
}

/// Most groups of usage that are given whole: some MiB. Names of models come from callers, so that the number of groups
/// has no bound of its own.
pub const USAGE_GROUP_COUNT_MAX: usize = 10_000;

/// Groups by as many columns as are asked for; the others are one NULL.
const BY: &str = concat!(
    "SELECT CASE WHEN :by_day THEN day END AS day,
    CASE WHEN :by_provider THEN provider END AS provider,
    CASE WHEN :by_model THEN model END AS model,
    CASE WHEN :by_stage THEN stage_key END AS stage_key,
    CASE WHEN :by_mode THEN mode END AS mode, ",
    sum_columns!(),
    " FROM usage_days
    WHERE day >= :since AND (:until IS NULL OR day <= :until)
    AND (:provider IS NULL OR provider = :provider) AND (:model IS NULL OR model = :model)
    AND (:stage IS NULL OR stage_key = :stage) AND (:mode IS NULL OR mode = :mode)
    GROUP BY 1, 2, 3, 4, 5 LIMIT :limit"
);
const OF_DAY: &str = concat!(
    "SELECT ",
    sum_columns!(),
    " FROM usage_days WHERE day = ",
    day!("?1"),
    " AND (?2 IS NULL OR provider = ?2)"
);

/// What must be found by a key, however many calls there are.
#[cfg(test)]
pub(super) const LOOKUPS: [&str; 5] = [ADD, ADD_BEFORE, TAKE, CLEAR_EMPTY, OF_DAY];

/// What calls used up, in the order of the keys. Without keys: one row, the sum of all. More than
/// [`USAGE_GROUP_COUNT_MAX`] rows say that there are more groups than are given.
pub(crate) fn usage_by(
    db: &Connection,
    filter: &UsageFilter,
    keys: &[UsageKey],
) -> Result<Vec<UsageRow>, Error> {
    let mut statement = db.prepare_cached(BY)?;
    let mut rows = statement.query(named_params! {
        ":by_day": keys.contains(&UsageKey::Day),
        ":by_provider": keys.contains(&UsageKey::Provider),
        ":by_model": keys.contains(&UsageKey::Model),
        ":by_stage": keys.contains(&UsageKey::Stage),
        ":by_mode": keys.contains(&UsageKey::Mode),
        ":since": filter.since_day.as_deref().unwrap_or(""),
        ":until": filter.until_day,
        ":provider": filter.provider,
        ":model": filter.model,
        ":stage": filter.stage.as_ref().map(StageKey::as_str),
        ":mode": filter.mode,
        ":limit": USAGE_GROUP_COUNT_MAX + 1,
    })?;
    let mut usage = Vec::new();
    while let Some(row) = rows.next()? {
        let mut common = Vec::with_capacity(keys.len());
        for key in keys {
            let text: Option<String> = row.get(key.column())?;
            common.push((*key, text.filter(|text| !text.is_empty())));
        }
        usage.push(UsageRow { keys: common, sum: PricedSum::read(row)?.exact() });
    }
    if keys.is_empty() && usage.is_empty() {
        usage.push(UsageRow { keys: Vec::new(), sum: UsageSum::default() });
    }
    usage.sort_by(|one, other| values(one).cmp(values(other)));
    Ok(usage)
}

fn values(row: &UsageRow) -> impl Iterator<Item = Option<&str>> {
    row.keys.iter().map(|(_, value)| value.as_deref())
}

/// What was used up in the day of a time, by all providers or by one.
pub(crate) fn spent_in_day(
    db: &Connection,
    at: Timestamp,
    provider: Option<&str>,
) -> Result<DaySpent, Error> {
    let mut statement = db.prepare_cached(OF_DAY)?;
    let sum = statement.query_row(params![at.as_unix_ms(), provider], PricedSum::read)?.at_least();
    Ok(DaySpent {
        tokens: sum.input_tokens.saturating_add(sum.output_tokens),
        cost_nano_usd: sum.cost_nano_usd.unwrap_or(0),
    })
}
