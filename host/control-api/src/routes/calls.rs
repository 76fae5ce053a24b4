//! Records of model calls.
use axum::Json;
use axum::extract::State;
use domain::{CallId, RunId};
use engine::Engine;
use store::{CallFilter, CallStatus, Page};

use crate::dto::{CallDetailDto, CallDto, ListDto};
use crate::path::InPath;
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::{Code, Problem};

/// Which calls.
pub(crate) struct CallsQuery {
    filter: CallFilter,
    page: Page,
}

impl QueryWords for CallsQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let filter = CallFilter {
            run: reader.parsed("run_id", str::parse::<RunId>),
            stage: reader.parsed("stage", str::parse),
            status: reader.word("status", &CallStatus::ALL.map(|status| (status.as_str(), status))),
            provider: reader.text("provider"),
            model: reader.text("model"),
            conversation_id: reader.text("conversation_id"),
            session_id: reader.text("session_id"),
            client_id: reader.text("client_id"),
            label: reader.text("label"),
            since: reader.moment("since"),
            until: reader.moment("until"),
        };
        if let (Some(since), Some(until)) = (filter.since, filter.until)
            && until <= since
        {
            reader.refuse("until", "it is not after `since`");
        }
        Self { filter, page: reader.page() }
    }
}

/// Lists model calls, newest first, without their texts. Those of one run come oldest first, as its story goes.
/// A page may have fewer calls than it has room for, or none, and still name the next one in `next_cursor`: with several
/// filters, it ends where very many calls were looked at.
#[utoipa::path(
    get, path = "/api/v2/llm-calls", operation_id = "list_all_calls", tag = "calls",
    params(
        ("run_id" = Option<String>, Query, description = "Those of one run"),
        ("stage" = Option<String>, Query, description = "Those of stages with this key"),
        ("status" = Option<String>, Query, description = "`open`, `answered`, `failed` or `canceled`"),
        ("provider" = Option<String>, Query, description = "Those that this provider answered, or was asked last"),
        ("model" = Option<String>, Query, description = "Those that this model was asked"),
        ("conversation_id" = Option<String>, Query, description = "Those of one conversation"),
        ("session_id" = Option<String>, Query, description = "Those of one session"),
        ("client_id" = Option<String>, Query, description = "Those of one program"),
        ("label" = Option<String>, Query, description = "Those with this name"),
        ("since" = Option<String>, Query, description = "Those asked for the first time at or after this time (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Those asked for the first time before this time (RFC 3339)"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 if left out"),
    ),
    responses((status = 200, body = ListDto<CallDto>))
)]
pub(crate) async fn list_all_calls(
    State(engine): State<Engine>,
    InQuery(query): InQuery<CallsQuery>,
) -> Result<Json<ListDto<CallDto>>, Problem> {
    let listed = engine.store().calls(query.filter, query.page).await?;
    Ok(Json(ListDto::page(listed)))
}

/// Shows a model call with the whole request and the whole answer, as far as the records keep them.
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
