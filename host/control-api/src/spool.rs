//! Takes a body that is too large for memory into a file: bounded, and given up when nothing more comes.
use std::fs::File;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::dto::ProblemItemDto;
use crate::{Code, Problem};

/// Longest wait for the next piece of a body: a sender that stops halfway must not hold a connection and a file for ever.
const CHUNK_TIME_MAX: Duration = Duration::from_secs(30);

/// Fewest bytes that have to come in a second, on average after the first wait: one byte now and then would keep a
/// connection and a file for as long as somebody likes.
const BYTES_PER_SECOND_MIN: u64 = 4 << 10;

/// When so many bytes must have come at the latest, counted from the beginning.
fn time_max(size_bytes: u64) -> Duration {
    CHUNK_TIME_MAX + Duration::from_secs(size_bytes / BYTES_PER_SECOND_MIN)
}

/// Writes a body to a file. `too_large` is what a sender of more than `bytes_max` is told.
pub(crate) async fn spooled(
    body: Body,
    file: File,
    bytes_max: u64,
    too_large: impl Fn() -> Problem,
) -> Result<File, Problem> {
    let mut file = tokio::fs::File::from_std(file);
    let mut size_bytes = 0;
    let mut chunks = body.into_data_stream();
    let begun = Instant::now();
    loop {
        let until = (begun + time_max(size_bytes)).min(Instant::now() + CHUNK_TIME_MAX);
        let Ok(chunk) = tokio::time::timeout_at(until, chunks.next()).await else {
            let (seconds, kib) = (CHUNK_TIME_MAX.as_secs(), BYTES_PER_SECOND_MIN >> 10);
            let detail = format!(
                "nothing more has come for {seconds} s, or less than {kib} KiB in a second on average"
            );
            return Err(Problem::new(Code::RequestTimeout, detail));
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|cause| {
            let item = ProblemItemDto::at("body", format!("it ended early: {cause}"));
            Problem::invalid(vec![item])
        })?;
        size_bytes += chunk.len() as u64;
        if size_bytes > bytes_max {
            return Err(too_large());
        }
        file.write_all(&chunk).await.map_err(|error| unwritable(&error))?;
    }
    file.flush().await.map_err(|error| unwritable(&error))?;
    Ok(file.into_std().await)
}

fn unwritable(error: &std::io::Error) -> Problem {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::Internal,
    };
    Problem::hidden(code, format!("a body could not be written to a file: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_slow_and_may_not_drip() {
        assert_eq!(time_max(0), CHUNK_TIME_MAX);
        // A byte each 29 seconds is given up at the second one; 64 KiB each 10 seconds are not.
        assert!(time_max(1) < Duration::from_secs(2 * 29));
        assert!(
            (1..1_000).all(|count| time_max(count * (64 << 10)) > Duration::from_secs(count * 10))
        );
    }
}
