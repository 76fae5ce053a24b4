//! Lists the artifacts of a run.
use axum::Json;
use axum::extract::State;
use domain::RunId;
use engine::Engine;

use super::run_row;
use crate::Problem;
use crate::dto::{ArtifactDto, ListDto};
use crate::path::InPath;

/// Lists the artifacts of a run, every version of each.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/artifacts", operation_id = "list_artifacts", tag = "runs",
    params(("run_id" = String, Path, description = "`run_...`")),
    responses((status = 200, body = ListDto<ArtifactDto>))
)]
pub(crate) async fn list_artifacts(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
) -> Result<Json<ListDto<ArtifactDto>>, Problem> {
    let row = run_row(&engine, &run).await?;
    let artifacts = engine.store().artifacts(&row.id).await?;
    Ok(Json(ListDto::whole(artifacts.iter().map(ArtifactDto::from).collect())))
}
