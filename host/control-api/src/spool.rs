//! Takes a body that is too large for memory into a file: bounded, and given up when nothing more comes.
use std::fs::File;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use crate::dto::ProblemItemDto;
use crate::{Code, Problem};

/// Longest wait for the next piece of a body: a sender that stops halfway must not hold a connection and a file for ever.
const CHUNK_TIME_MAX: Duration = Duration::from_secs(30);

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
    loop {
        let Ok(chunk) = tokio::time::timeout(CHUNK_TIME_MAX, chunks.next()).await else {
            let detail = format!("nothing more has come for {} s", CHUNK_TIME_MAX.as_secs());
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
