//! Lists the model calls of a run.
use axum::Json;
use axum::extract::State;
use domain::{RunId, StageKey};
use engine::Engine;
use store::{CallFilter, CallStatus, Page};

use super::run_row;
use crate::Problem;
use crate::dto::{CallDto, ListDto};
use crate::path::InPath;
use crate::query::{InQuery, QueryReader, QueryWords};

/// Which calls.
pub(crate) struct CallQuery {
    stage: Option<StageKey>,
    status: Option<CallStatus>,
    page: Page,
}

impl QueryWords for CallQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let words = CallStatus::ALL.map(|status| (status.as_str(), status));
        let stage = reader.parsed("stage", str::parse);
        Self { stage, status: reader.word("status", &words), page: reader.page() }
    }
}

/// Lists the model calls of a run, oldest first, without their texts.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/llm-calls", operation_id = "list_calls", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("stage" = Option<String>, Query, description = "Those of one stage"),
        ("status" = Option<String>, Query, description = "`open`, `answered`, `failed` or `canceled`"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 if left out"),
    ),
    responses((status = 200, body = ListDto<CallDto>))
)]
pub(crate) async fn list_calls(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
    InQuery(query): InQuery<CallQuery>,
) -> Result<Json<ListDto<CallDto>>, Problem> {
    let row = run_row(&engine, &run).await?;
    let filter = CallFilter {
        run: Some(row.id),
        stage: query.stage,
        status: query.status,
        ..CallFilter::default()
    };
    let listed = engine.store().calls(filter, query.page).await?;
    Ok(Json(ListDto::page(listed)))
}
