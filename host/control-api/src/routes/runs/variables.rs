//! Lists the context variables of a run.
use axum::Json;
use axum::extract::State;
use domain::RunId;
use engine::Engine;

use super::run_row;
use crate::Problem;
use crate::dto::{ListDto, VariableDto};
use crate::path::InPath;

/// Lists the context variables of a run, with what they are at this moment.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/variables", operation_id = "list_variables", tag = "runs",
    params(("run_id" = String, Path, description = "`run_...`")),
    responses((status = 200, body = ListDto<VariableDto>))
)]
pub(crate) async fn list_variables(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
) -> Result<Json<ListDto<VariableDto>>, Problem> {
    let row = run_row(&engine, &run).await?;
    let variables = engine.store().variables(&row.id).await?;
    Ok(Json(ListDto::whole(variables.iter().map(VariableDto::from).collect())))
}
