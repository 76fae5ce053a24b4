//! Reading is lenient where servers differ: a field that is missing, null or of another type is a field that was not
//! sent.
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Highest count of tokens that is believed. No model has a millionth of it, and sums of counts below it fit.
const TOKEN_COUNT_MAX: u64 = 1 << 40;

/// A field of any type; `None` if it is not of the wanted one.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or(None))
}

/// The count, if a model can reach it.
pub(crate) fn believed(count: Option<u64>) -> Option<u64> {
    count.filter(|count| *count <= TOKEN_COUNT_MAX)
}
