//! Lists runs.
use axum::Json;
use axum::extract::State;
use domain::run::Status;
use engine::Engine;
use store::{Page, RunFilter};

use crate::Problem;
use crate::dto::{ListDto, RunSummaryDto};
use crate::query::{InQuery, QueryReader, QueryWords};

/// Which runs.
pub(crate) struct RunQuery {
    filter: RunFilter,
    page: Page,
}

impl QueryWords for RunQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let words = Status::ALL.map(|status| (status.as_str(), status));
        let filter = RunFilter {
            status: reader.word("status", &words),
            thread_id: reader.text("thread_id"),
            mode: reader.text("mode"),
            waiting: reader.word("waiting", &[("true", true), ("false", false)]),
            since: reader.moment("since"),
        };
        Self { filter, page: reader.page() }
    }
}

/// Lists runs, newest first.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs", operation_id = "list_runs", tag = "runs",
    params(
        ("status" = Option<String>, Query, description = "`queued`, `running`, `waiting_approval`, `paused`, `completed`, `failed` or `canceled`"),
        ("thread_id" = Option<String>, Query, description = "Those of one conversation"),
        ("mode" = Option<String>, Query, description = "Those with this requested or effective mode"),
        ("waiting" = Option<bool>, Query, description = "Whether a question waits for a person"),
        ("since" = Option<String>, Query, description = "Those started at or after this time (RFC 3339)"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 if left out"),
    ),
    responses((status = 200, body = ListDto<RunSummaryDto>))
)]
pub(crate) async fn list_runs(
    State(engine): State<Engine>,
    InQuery(query): InQuery<RunQuery>,
) -> Result<Json<ListDto<RunSummaryDto>>, Problem> {
    let listed = engine.store().runs(query.filter, query.page).await?;
    Ok(Json(ListDto::page(listed)))
}
