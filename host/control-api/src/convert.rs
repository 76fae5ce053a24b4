//! How domain types and rows of the store become what goes over the wire. Total: nothing here can fail.
mod approval;
mod budget;
mod call;
mod chat;
mod event;
mod housekeeping;
mod http_request;
mod line;
mod live;
mod plan;
mod plugin;
mod policy;
mod profile;
mod provider;
mod run;
mod usage;

use domain::{Json, Timestamp};
use jiff::Timestamp as Moment;
use serde_json::Value;

use crate::dto::{CostDto, ListDto};

pub(crate) use approval::{ApprovalDetailParts, ApprovalParts, Reviewed};
pub(crate) use chat::chat_ask;
pub(crate) use event::event_dto;
pub(crate) use housekeeping::PrunedParts;
pub(crate) use run::RunParts;

/// Characters of a request that lists show.
const EXCERPT_CHARS_MAX: usize = 200;

/// A point in time as RFC 3339 in UTC, to the millisecond.
pub(crate) fn moment(at: Timestamp) -> String {
    let moment = Moment::from_millisecond(at.as_unix_ms()).unwrap_or(Moment::UNIX_EPOCH);
    format!("{moment:.3}")
}

/// Stored JSON as a value. The domain carries only text that was parsed before.
pub(crate) fn value(json: &Json) -> Value {
    serde_json::from_str(json.as_str()).unwrap_or_default()
}

pub(crate) fn cost(nano_usd: u64) -> CostDto {
    CostDto { usd: usd(nano_usd), nano_usd }
}

/// Billionths as a decimal number, without rounding and without zeros at the end.
fn usd(nano_usd: u64) -> String {
    let (whole, rest) = (nano_usd / 1_000_000_000, nano_usd % 1_000_000_000);
    decimal(whole, &format!("{rest:09}"))
}

/// A decimal number without zeros at its end.
pub(crate) fn decimal(whole: u64, digits: &str) -> String {
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") }
}

/// A text as one segment of a path: everything but unreserved characters (RFC 3986) is encoded.
pub(crate) fn segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                segment.push(char::from(byte));
            }
            other => segment.push_str(&format!("%{other:02X}")),
        }
    }
    segment
}

/// The beginning of a text, for lists: one line.
pub(crate) fn excerpt(text: &str) -> String {
    let words = text.split_whitespace();
    let mut short = String::new();
    for word in words {
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
        if short.len() > 4 * EXCERPT_CHARS_MAX {
            break;
        }
    }
    if short.chars().count() <= EXCERPT_CHARS_MAX {
        return short;
    }
    short.chars().take(EXCERPT_CHARS_MAX - 1).chain(['…']).collect()
}

impl<T> ListDto<T> {
    /// A list that has one page.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// A page of the store.
    pub(crate) fn page<R>(listed: store::Listed<R>) -> Self
    where
        for<'a> T: From<&'a R>,
    {
        let items = listed.items.iter().map(T::from).collect();
        Self { items, next_cursor: listed.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact() {
        assert_eq!(usd(0), "0");
        assert_eq!(usd(1_250_000), "0.00125");
        assert_eq!(usd(12_000_000_000), "12");
        assert_eq!(usd(1), "0.000000001");
    }

    #[test]
    fn a_moment_has_milliseconds_and_a_zone() {
        assert_eq!(moment(Timestamp::from_unix_ms(1_750_000_000_120)), "2025-06-15T15:06:40.120Z");
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("a\n\n b"), "a b");
        assert_eq!(excerpt(&"word ".repeat(400)).chars().count(), EXCERPT_CHARS_MAX);
        assert_eq!(excerpt(&"ü".repeat(5_000)).chars().count(), EXCERPT_CHARS_MAX);
    }
}
