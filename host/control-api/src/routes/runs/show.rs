//! Shows a run.
use axum::Json;
use axum::extract::State;
use domain::{Plan, RunId};
use engine::Engine;
use store::RunRow;

use super::{created_of, run_row};
use crate::Problem;
use crate::convert::RunParts;
use crate::dto::{ApprovalDto, RunDto};
use crate::path::InPath;
use crate::routes::approvals::approval_dto;

/// Shows a run: its plan, how far each stage is, what it used, and what it waits for.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}", operation_id = "show_run", tag = "runs",
    params(("run_id" = String, Path, description = "`run_...`")),
    responses((status = 200, body = RunDto))
)]
pub(crate) async fn show_run(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
) -> Result<Json<RunDto>, Problem> {
    let row = run_row(&engine, &run).await?;
    let created = created_of(&engine, &run).await?;
    let stages = engine.store().stages(&run).await?;
    let usage = engine.store().usage(&run).await?;
    let parts = RunParts {
        row: &row,
        plan: &created.plan,
        stages: &stages,
        open_approval: open_approval(&engine, &row, &created.plan).await?,
        usage: &usage,
    };
    Ok(Json(RunDto::from(parts)))
}

async fn open_approval(
    engine: &Engine,
    row: &RunRow,
    plan: &Plan,
) -> Result<Option<ApprovalDto>, Problem> {
    let Some(approval) = &row.open_approval else { return Ok(None) };
    match engine.store().approval(approval).await? {
        Some(approval) => approval_dto(engine, &approval, plan).await.map(Some),
        None => Ok(None),
    }
}
