//! Shows the prompt that a stage would send.
use axum::Json;
use axum::extract::State;
use engine::Engine;

use crate::Problem;
use crate::dto::PromptDto;
use crate::path::{InPath, StageOfRun};

/// Shows the first prompt that a stage would send at this moment, its length and about what it would cost. Asks nobody.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/stages/{stage}/prompt", operation_id = "show_prompt", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("stage" = String, Path, description = "Key of the stage"),
    ),
    responses((status = 200, body = PromptDto))
)]
pub(crate) async fn show_prompt(
    State(engine): State<Engine>,
    InPath(StageOfRun { run, stage }): InPath<StageOfRun>,
) -> Result<Json<PromptDto>, Problem> {
    let preview = engine.prompt(&run, &stage).await?;
    Ok(Json(PromptDto::new(&run, &stage, &preview)))
}
