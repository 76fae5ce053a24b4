//! The events of a run, page by page.
use axum::Json;
use axum::extract::State;
use domain::RunId;
use engine::Engine;

use super::created_of;
use crate::Problem;
use crate::convert::event_dto;
use crate::dto::{EventDto, ListDto};
use crate::path::InPath;
use crate::query::{InQuery, QueryReader, QueryWords};

/// Which events. The cursor of this list is the version of the last event of the page before.
pub(crate) struct TimelineQuery {
    after: u64,
    limit: u32,
}

impl QueryWords for TimelineQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let after = reader
            .parsed("cursor", |text| text.parse().map_err(|_| "it is not the version of an event"));
        Self { after: after.unwrap_or(0), limit: reader.limit() }
    }
}

/// Lists the events of a run, oldest first.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/timeline", operation_id = "list_events", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 if left out"),
    ),
    responses((status = 200, body = ListDto<EventDto>))
)]
pub(crate) async fn list_events(
    State(engine): State<Engine>,
    InPath(run): InPath<RunId>,
    InQuery(query): InQuery<TimelineQuery>,
) -> Result<Json<ListDto<EventDto>>, Problem> {
    let created = created_of(&engine, &run).await?;
    let limit = query.limit as usize;
    // One more than asked for, to know whether there is a page after this one.
    let mut recorded = engine.store().events_after(&run, query.after, limit + 1).await?;
    let has_more = recorded.len() > limit;
    recorded.truncate(limit);
    let next_cursor = recorded.last().filter(|_| has_more).map(|last| last.version.to_string());
    let items = recorded.iter().map(|recorded| event_dto(recorded, &created.plan)).collect();
    Ok(Json(ListDto { items, next_cursor }))
}
