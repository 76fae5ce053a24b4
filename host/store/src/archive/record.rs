//! The lines of an archive: rows as they are, with the names of their columns. A column that is added to a table is
//! added here as optional, so that older archives can be read.
use rusqlite::{Connection, Row, ToSql};
use serde::{Deserialize, Serialize};

/// A record with the columns of a table, `run_id` and the row's own number excepted.
macro_rules! columns {
    (@list $mark:literal, $first:ident $($field:ident)*) => {
        concat!($mark, stringify!($first), $(", ", $mark, stringify!($field),)*)
    };
    ($(#[$about:meta])* $name:ident, $table:literal under ($($key:ident: $key_type:ty),*):
        $($field:ident: $type:ty,)*) => {
        $(#[$about])*
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) struct $name { $(pub(super) $field: $type,)* }

        impl $name {
            const INSERT: &str = concat!(
                "INSERT INTO ", $table, " (", $(stringify!($key), ", ",)*
                columns!(@list "", $($field)*), ") VALUES (", $(":", stringify!($key), ", ",)*
                columns!(@list ":", $($field)*), ")"
            );

            pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
                Ok(Self { $($field: row.get(stringify!($field))?,)* })
            }

            /// Writes the row under what it belongs to; gives its number.
            pub(super) fn insert(
                &self,
                db: &Connection,
                $($key: $key_type,)*
            ) -> rusqlite::Result<i64> {
                let values: &[(&str, &dyn ToSql)] = &[
                    $((concat!(":", stringify!($key)), &$key),)*
                    $((concat!(":", stringify!($field)), &self.$field),)*
                ];
                db.prepare_cached(Self::INSERT)?.execute(values)?;
                Ok(db.last_insert_rowid())
            }
        }
    };
}

columns! {
    /// A model call.
    CallColumns, "llm_calls" under (run_id: &str):
    call_id: String,
    stage_key: String,
    attempt: u32,
    ordinal: u32,
    conversation_id: String,
    conversation_ordinal: u32,
    status: String,
    label: Option<String>,
    provider: String,
    model: String,
    source: String,
    fallback_reason: Option<String>,
    request_digest: String,
    asked_at: i64,
    started_at: i64,
    ended_at: Option<i64>,
    queue_ms: Option<i64>,
    first_token_ms: Option<i64>,
    total_ms: Option<i64>,
    tries: Option<i64>,
    answered_model: Option<String>,
    finish_reason: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cached_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    usage_source: Option<String>,
    cost_nano_usd: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    retry_after_ms: Option<i64>,
    texts: String,
}

columns! {
    /// What a call had used when it was asked before.
    BeforeColumns, "llm_calls_before" under (run_id: &str, call_seq: i64):
    stage_key: String,
    provider: String,
    model: String,
    ended_at: i64,
    total_ms: Option<i64>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cached_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    usage_source: Option<String>,
    cost_nano_usd: Option<i64>,
}

columns! {
    /// An HTTP request of a stage.
    HttpColumns, "http_requests" under (run_id: &str):
    stage_key: String,
    attempt: u32,
    ordinal: u32,
    status: String,
    method: String,
    url: String,
    request_digest: String,
    request_bytes: i64,
    tries: i64,
    asked_at: i64,
    started_at: i64,
    ended_at: Option<i64>,
    answer_status: Option<i64>,
    answer_bytes: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    texts: String,
}

columns! {
    /// What an attempt logged and used up.
    AttemptColumns, "attempts" under (run_id: &str):
    stage_key: String,
    attempt: u32,
    log: String,
    cpu_time_us: i64,
    memory_bytes: i64,
    queue_ms: i64,
    started_at: i64,
    ended_at: i64,
}

/// An event. Its JSON is kept as a text, because JSON of plugins in it may have line breaks.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EventLine {
    pub(super) version: u64,
    pub(super) at: i64,
    pub(super) event: String,
}

/// An HTTP request with its texts, which are JSON as well.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct HttpLine {
    pub(super) sent: HttpColumns,
    pub(super) request: Option<String>,
    pub(super) answer: Option<String>,
}

/// A call with its texts, which are JSON as well.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CallLine {
    pub(super) call: CallColumns,
    pub(super) request: Option<String>,
    pub(super) answer: Option<String>,
    pub(super) before: Vec<BeforeColumns>,
}
