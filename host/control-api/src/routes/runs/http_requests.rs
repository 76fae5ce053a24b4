//! Lists the HTTP requests of a run.
use axum::Json;
use axum::extract::State;
use domain::{RunId, StageKey};
use engine::Engine;
use store::Page;

use super::run_row;
use crate::Problem;
use crate::dto::{HttpRequestDto, ListDto};
use crate::path::InPath;
use crate::query::{InQuery, QueryReader, QueryWords};

/// Which requests.
pub(crate) struct HttpRequestQuery {
    stage: Option<StageKey>,
    page: Page,
}

impl QueryWords for HttpRequestQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { stage: reader.parsed("stage", str::parse), page: reader.page() }
    }
}

/// Lists the HTTP requests that the stages of a run sent, or wanted to, oldest first, without their bodies.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/http-requests", operation_id = "list_http_requests", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("stage" = Option<String>, Query, description = "Those of one stage"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 if left out"),
    ),
    responses((status = 200, body = ListDto<HttpRequestDto>))
)]
pub(crate) async fn list_http_requests(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
    InQuery(query): InQuery<HttpRequestQuery>,
) -> Result<Json<ListDto<HttpRequestDto>>, Problem> {
    let row = run_row(&engine, &run).await?;
    let listed = engine.store().http_requests(&row.id, query.stage, query.page).await?;
    Ok(Json(ListDto::page(listed)))
}
