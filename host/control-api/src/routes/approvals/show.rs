//! Shows what one decision is about.
use axum::Json;
use axum::extract::State;
use domain::ApprovalId;
use engine::Engine;

use super::next::next_stage;
use super::reviewed::reviewed;
use super::{approval_dto, approval_row};
use crate::Problem;
use crate::convert::ApprovalDetailParts;
use crate::dto::ApprovalDetailDto;
use crate::path::InPath;
use crate::routes::runs::created_of;

/// Shows an approval with what is to be looked at, what it was before, and what a grant leads to.
#[utoipa::path(
    get, path = "/api/v2/approvals/{approval_id}", operation_id = "show_approval", tag = "approvals",
    params(("approval_id" = String, Path, description = "`appr_...`")),
    responses((status = 200, body = ApprovalDetailDto))
)]
pub(crate) async fn show_approval(
    State(engine): State<Engine>,
    InPath(approval): InPath<ApprovalId>,
) -> Result<Json<ApprovalDetailDto>, Problem> {
    let row = approval_row(&engine, &approval).await?;
    let created = created_of(&engine, &row.run).await?;
    let parts = ApprovalDetailParts {
        approval: approval_dto(&engine, &row, &created.plan).await?,
        row: &row,
        reviewed: reviewed(&engine, &row, &created.plan).await?,
        artifacts: &engine.store().artifacts(&row.run).await?,
        next: next_stage(&engine, &row, &created.plan).await,
    };
    Ok(Json(ApprovalDetailDto::from(parts)))
}
