//! The command `retry`.
use axum::Json;
use axum::extract::State;
use domain::{RunId, StageKey};
use engine::Engine;

use super::commanded;
use crate::Problem;
use crate::acting::Acting;
use crate::body::JsonBody;
use crate::dto::{CommandedDto, ProblemItemDto, RetryRequest};
use crate::path::InPath;

/// Does stages of an ended run again, from the one named or the one at which it ended; earlier results are kept.
#[utoipa::path(
    post, path = "/api/v2/workflow-runs/{run_id}/retry", operation_id = "retry_run", tag = "runs",
    params(("run_id" = String, Path, description = "`run_...`")),
    request_body = Option<RetryRequest>, responses((status = 200, body = CommandedDto))
)]
pub(crate) async fn retry_run(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
    acting: Acting,
    JsonBody(request): JsonBody<RetryRequest>,
) -> Result<Json<CommandedDto>, Problem> {
    let from = request.stage.as_deref().map(stage_key).transpose()?;
    let actor = acting.actor_of_command(request.actor)?;
    let status = engine.retry(&run, from, &actor).await?;
    Ok(Json(commanded(&run, status)))
}

fn stage_key(text: &str) -> Result<StageKey, Problem> {
    text.parse().map_err(|reason| {
        let message = format!("`{text}` is no stage: {reason}");
        Problem::invalid(vec![ProblemItemDto::at_pointer("/stage", message)])
    })
}
