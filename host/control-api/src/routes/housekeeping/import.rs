//! Takes a run in from an archive.
use std::fs::File;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use engine::Engine;
use futures_util::StreamExt;
use store::ARCHIVE_BYTES_MAX;
use tokio::io::AsyncWriteExt;

use crate::dto::{ImportedRunDto, ProblemItemDto};
use crate::{Code, Problem};

/// Longest wait for the next piece of an archive: a sender that stops halfway must not hold a connection and a file for
/// ever.
const CHUNK_TIME_MAX: Duration = Duration::from_secs(30);

/// Takes in the run of an archive. One that has not ended is paused here; cancel the original.
#[utoipa::path(
    post, path = "/api/v2/workflow-runs/import", operation_id = "import_run", tag = "housekeeping",
    request_body(content = String, content_type = "application/gzip", description = "An archive as `export` gives it"),
    responses((status = 201, body = ImportedRunDto))
)]
pub(crate) async fn import_run(
    State(engine): State<Engine>,
    request: Request,
) -> Result<(StatusCode, Json<ImportedRunDto>), Problem> {
    let file = engine.spool_file().await?;
    let file = received(request.into_body(), file).await?;
    let imported = engine.import_run(file).await?;
    Ok((StatusCode::CREATED, Json(ImportedRunDto::from(&imported))))
}

/// Writes a body to a file, up to the size of the largest archive.
async fn received(body: Body, file: File) -> Result<File, Problem> {
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
        if size_bytes > ARCHIVE_BYTES_MAX {
            let detail = format!("the archive has more than {} MiB", ARCHIVE_BYTES_MAX >> 20);
            return Err(Problem::new(Code::BodyTooLarge, detail).with_hint(
                "take only archives of single runs; a backup is put back by `restore`",
            ));
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
    Problem::hidden(code, format!("an archive could not be written: {error}"))
}
