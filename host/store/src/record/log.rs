//! The log of an attempt as it is stored.
use domain::stage::{LogLevel, LogLine, StageLog};
use serde::{Deserialize, Serialize};

use super::Unreadable;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LogRecord {
    lines: Vec<LineRecord>,
    #[serde(default)]
    dropped_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct LineRecord {
    level: String,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<(String, String)>,
}

impl From<&StageLog> for LogRecord {
    fn from(log: &StageLog) -> Self {
        let line = |line: &LogLine| LineRecord {
            level: line.level.as_str().to_owned(),
            message: line.message.clone(),
            fields: line.fields.clone(),
        };
        Self { lines: log.lines.iter().map(line).collect(), dropped_bytes: log.dropped_bytes }
    }
}

impl TryFrom<LogRecord> for StageLog {
    type Error = Unreadable;

    fn try_from(record: LogRecord) -> Result<Self, Unreadable> {
        let line = |line: LineRecord| {
            let level = level_of(&line.level)?;
            Ok(LogLine { level, message: line.message, fields: line.fields })
        };
        let lines = record.lines.into_iter().map(line).collect::<Result<_, Unreadable>>()?;
        Ok(Self { lines, dropped_bytes: record.dropped_bytes })
    }
}

fn level_of(word: &str) -> Result<LogLevel, Unreadable> {
    let all = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
    all.into_iter()
        .find(|level| level.as_str() == word)
        .ok_or_else(|| Unreadable(format!("unknown log level `{word}`")))
}
