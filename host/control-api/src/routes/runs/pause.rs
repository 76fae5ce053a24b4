//! The command `pause`.
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

/// Starts nothing new in a run. A running attempt is finished first.
#[utoipa::path(
    post, path = "/api/v2/workflow-runs/{run_id}/pause", operation_id = "pause_run", tag = "runs",
    params(("run_id" = String, Path, description = "`run_...`")),
    request_body = Option<CommandRequest>, responses((status = 200, body = CommandedDto))
)]
pub(crate) async fn pause_run(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
    acting: Acting,
    JsonBody(request): JsonBody<CommandRequest>,
) -> Result<Json<CommandedDto>, Problem> {
    let actor = acting.actor_of_command(request.actor)?;
    let status = engine.pause(&run, &actor).await?;
    Ok(Json(commanded(&run, status)))
}
