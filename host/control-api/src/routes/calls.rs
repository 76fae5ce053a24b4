//! Records of model calls.
use axum::Json;
use axum::extract::State;
use domain::CallId;
use engine::Engine;

use crate::dto::CallDetailDto;
use crate::path::InPath;
use crate::{Code, Problem};

/// Shows a model call with the whole request and the whole answer.
#[utoipa::path(
    get, path = "/api/v2/llm-calls/{call_id}", operation_id = "show_call", tag = "calls",
    params(("call_id" = String, Path, description = "`call_...`")),
    responses((status = 200, body = CallDetailDto))
)]
pub(crate) async fn show_call(
    State(engine): State<Engine>,
    InPath(call): InPath<CallId>,
) -> Result<Json<CallDetailDto>, Problem> {
    let detail = engine.store().call(&call).await?;
    let detail =
        detail.ok_or_else(|| Problem::new(Code::CallUnknown, format!("no model call `{call}`")))?;
    Ok(Json(CallDetailDto::from(&detail)))
}
