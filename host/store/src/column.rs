//! Columns as the domain's types, and back. A text that is none of them is damage, told with the column's name.
use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use domain::{Digest, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Result, Row};

/// A text that parses.
pub(crate) fn parsed<T>(row: &Row<'_>, column: &str) -> Result<T>
where
    T: FromStr,
    T::Err: StdError + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| unreadable(row, column, &error))
}

/// A text that parses, or NULL.
pub(crate) fn parsed_or_none<T>(row: &Row<'_>, column: &str) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: StdError + Send + Sync + 'static,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|error: T::Err| unreadable(row, column, &error)))
        .transpose()
}

/// A word of a closed set.
pub(crate) fn word<T>(row: &Row<'_>, column: &str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| unreadable(row, column, &format_args!("unknown word `{text}`")))
}

pub(crate) fn time(row: &Row<'_>, column: &str) -> Result<Timestamp> {
    row.get(column).map(Timestamp::from_unix_ms)
}

pub(crate) fn time_or_none(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix_ms))
}

/// A count as SQLite can hold it. What others report, such as a provider's tokens, may be any number; one that is too
/// large must not keep an answer from being stored.
pub(crate) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The digest of some bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    let text = format!("{}{}", Digest::PREFIX, hex::encode(sha2::Sha256::digest(bytes)));
    text.parse().expect("a SHA-256 in hexadecimal is a digest")
}

/// Damage in a column.
pub(crate) fn unreadable(row: &Row<'_>, column: &str, error: &dyn fmt::Display) -> rusqlite::Error {
    let idx = row.as_ref().column_index(column).unwrap_or(0);
    let error = format!("column `{column}`: {error}").into();
    rusqlite::Error::FromSqlConversionFailure(idx, Type::Text, error)
}
