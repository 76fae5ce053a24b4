//! The command `resume`.
use axum::Json;
use axum::extract::State;
use domain::RunId;
use engine::Engine;

use super::commanded;
use crate::Problem;
use crate::acting::Acting;
use crate::body::JsonBody;
use crate::dto::{CommandRequest, CommandedDto};
use crate::path::InPath;

/// Goes on with a paused run. Safe to repeat; on a run that has ended it changes nothing.
#[utoipa::path(
    post, path = "/api/v2/workflow-runs/{run_id}/resume", operation_id = "resume_run", tag = "runs",
    params(("run_id" = String, Path, description = "`run_...`")),
    request_body = Option<CommandRequest>, responses((status = 200, body = CommandedDto))
)]
pub(crate) async fn resume_run(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
    acting: Acting,
    JsonBody(request): JsonBody<CommandRequest>,
) -> Result<Json<CommandedDto>, Problem> {
    let actor = acting.actor_of_command(request.actor)?;
    let status = engine.resume(&run, &actor).await?;
    Ok(Json(commanded(&run, status)))
}
