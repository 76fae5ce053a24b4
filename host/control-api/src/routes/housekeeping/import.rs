//! Takes a run in from an archive.
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use engine::Engine;
use store::ARCHIVE_BYTES_MAX;

use crate::dto::ImportedRunDto;
use crate::spool::spooled;
use crate::{Code, Problem};

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
    let file = spooled(request.into_body(), file, ARCHIVE_BYTES_MAX, too_large).await?;
    let imported = engine.import_run(file).await?;
    Ok((StatusCode::CREATED, Json(ImportedRunDto::from(&imported))))
}

fn too_large() -> Problem {
    let detail = format!("the archive has more than {} MiB", ARCHIVE_BYTES_MAX >> 20);
    Problem::new(Code::BodyTooLarge, detail)
        .with_hint("take only archives of single runs; a backup is put back by `restore`")
}
