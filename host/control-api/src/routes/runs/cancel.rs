//! The command `cancel`.
use axum::Json;
use axum::extract::State;
use domain::RunId;
use engine::Engine;

use super::{commanded, reason_of};
use crate::Problem;
use crate::acting::Acting;
use crate::body::JsonBody;
use crate::dto::{CommandRequest, CommandedDto};
use crate::path::InPath;

/// Calls a run off, also in the middle of a stage.
#[utoipa::path(
    post, path = "/api/v2/workflow-runs/{run_id}/cancel", operation_id = "cancel_run", tag = "runs",
    params(("run_id" = String, Path, description = "`run_...`")),
    request_body = Option<CommandRequest>, responses((status = 200, body = CommandedDto))
)]
pub(crate) async fn cancel_run(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
    acting: Acting,
    JsonBody(request): JsonBody<CommandRequest>,
) -> Result<Json<CommandedDto>, Problem> {
    let actor = acting.actor_of_command(request.actor.clone())?;
    let status = engine.cancel(&run, &actor, reason_of(request)).await?;
    Ok(Json(commanded(&run, status)))
}
