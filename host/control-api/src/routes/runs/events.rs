//! The events of a run as they happen.
use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response, Sse};
use domain::RunId;
use futures_util::StreamExt;

use super::run_row;
use crate::dto::ProblemItemDto;
use crate::feed::Feed;
use crate::path::InPath;
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::sse::heartbeat;
use crate::{ApiState, Problem};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where to begin.
pub(crate) struct EventsQuery {
    after: Option<u64>,
}

impl QueryWords for EventsQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { after: reader.parsed("after", version) }
    }
}

fn version(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "it is not the version of an event")
}

/// Sends the events of a run as server-sent events: first what has happened, then what happens. The id of an event is
/// its version, so that a client goes on where it was, without gap and without repetition. What a model writes comes in
/// between, as `model_call_started`, `model_retrying`, `model_falling_back`, `model_text` and `model_reasoning` without
/// ids. After the event that ends the run comes `end`, and the stream closes.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/events", operation_id = "watch_run", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("Last-Event-ID" = Option<String>, Header, description = "Version of the last event that is known"),
        ("after" = Option<u64>, Query, description = "The same, for clients that cannot set the header"),
    ),
    responses((status = 200, description = "Events; the data of each is an `EventDto`", content_type = "text/event-stream", body = String))
)]
pub(crate) async fn watch_run(
    State(state): State<ApiState>,
    InPath(run): InPath<RunId>,
    InQuery(query): InQuery<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = last_event_id(&headers)?.or(query.after).unwrap_or(0);
    // First the subscription, then the log: what happens in between is in the log, and nothing is in neither.
    let subscription = state.engine.subscribe(&run);
    let row = run_row(&state.engine, &run).await?;
    let feed = Feed::open(&state, subscription, &row, after).await?;
    let events = feed.into_stream().map(Ok::<_, Infallible>);
    Ok(Sse::new(events).keep_alive(heartbeat()).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(given) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let text = given.to_str().unwrap_or("?");
    version(text).map(Some).map_err(|reason| {
        let item = ProblemItemDto::at("header `Last-Event-ID`", format!("`{text}`: {reason}"));
        Problem::invalid(vec![item])
    })
}
