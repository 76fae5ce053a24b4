//! The decision `grant`.
use axum::Json;
use axum::extract::State;
use domain::ApprovalId;
use domain::run::Verdict;
use engine::Engine;

use super::decide::decide;
use crate::Problem;
use crate::acting::Acting;
use crate::body::JsonBody;
use crate::dto::{DecidedDto, DecisionRequest};
use crate::path::InPath;

/// Grants: the run goes on by itself, with the edits in place of the stage's texts, and may use as much again where a
/// budget was asked about. Where it takes several grants, the gate waits for the others. The first decision holds; the
/// same again changes nothing and is no error.
#[utoipa::path(
    post, path = "/api/v2/approvals/{approval_id}/grant", operation_id = "grant_approval", tag = "approvals",
    params(("approval_id" = String, Path, description = "`appr_...`")),
    request_body = DecisionRequest, responses((status = 200, body = DecidedDto))
)]
pub(crate) async fn grant_approval(
    State(engine): State<Engine>,
    InPath(approval): InPath<ApprovalId>,
    acting: Acting,
    JsonBody(decision): JsonBody<DecisionRequest>,
) -> Result<Json<DecidedDto>, Problem> {
    decide(&engine, approval, Verdict::Granted, acting, decision).await.map(Json)
}
