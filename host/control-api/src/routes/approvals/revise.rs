//! The decision `revise`.
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

/// Sends back: the stage is done again, and is told the comment and what it made before. Both versions are kept. The
/// first decision holds; the same again changes nothing and is no error.
#[utoipa::path(
    post, path = "/api/v2/approvals/{approval_id}/revise", operation_id = "revise_approval", tag = "approvals",
    params(("approval_id" = String, Path, description = "`appr_...`")),
    request_body = DecisionRequest, responses((status = 200, body = DecidedDto))
)]
pub(crate) async fn revise_approval(
    State(engine): State<Engine>,
    InPath(approval): InPath<ApprovalId>,
    acting: Acting,
    JsonBody(decision): JsonBody<DecisionRequest>,
) -> Result<Json<DecidedDto>, Problem> {
    decide(&engine, approval, Verdict::Revised, acting, decision).await.map(Json)
}
