//! A run as an archive.
use axum::extract::State;
use axum::response::Response;
use domain::RunId;
use engine::Engine;

use super::download;
use crate::Problem;
use crate::path::InPath;

/// Gives a run as one archive, which another host can take in. A run that goes on by itself has to be paused first.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/export", operation_id = "export_run", tag = "housekeeping",
    params(("run_id" = String, Path, description = "`run_...`")),
    responses((status = 200, description = "A compressed tar file", content_type = "application/gzip", body = String))
)]
pub(crate) async fn export_run(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
) -> Result<Response, Problem> {
    Ok(download(engine.export_run(&run).await?, &format!("{run}.tar.gz")))
}
