//! Lists what waits, and what was decided.
use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::{Plan, RunId};
use engine::Engine;
use store::{ApprovalFilter, ApprovalStatus, Page};

use super::approval_dto;
use crate::Problem;
use crate::dto::{ApprovalDto, ListDto};
use crate::query::{InQuery, QueryReader, QueryWords};

/// Which approvals.
pub(crate) struct ApprovalQuery {
    filter: ApprovalFilter,
    page: Page,
}

impl QueryWords for ApprovalQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let words = ApprovalStatus::ALL.map(|status| (status.as_str(), status));
        let status = reader.word("status", &words);
        let run = reader.parsed("run_id", str::parse::<RunId>);
        Self { filter: ApprovalFilter { status, run }, page: reader.page() }
    }
}

/// Lists approvals, newest first.
#[utoipa::path(
    get, path = "/api/v2/approvals", operation_id = "list_approvals", tag = "approvals",
    params(
        ("status" = Option<String>, Query, description = "`pending`, `granted`, `rejected`, `revised` or `closed`"),
        ("run_id" = Option<String>, Query, description = "Those of one run"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 if left out"),
    ),
    responses((status = 200, body = ListDto<ApprovalDto>))
)]
pub(crate) async fn list_approvals(
    State(engine): State<Engine>,
    InQuery(query): InQuery<ApprovalQuery>,
) -> Result<Json<ListDto<ApprovalDto>>, Problem> {
    let listed = engine.store().approvals(query.filter, query.page).await?;
    let mut plans: HashMap<RunId, Arc<Plan>> = HashMap::new();
    let mut items = Vec::with_capacity(listed.items.len());
    for row in &listed.items {
        let plan = match plans.get(&row.run) {
            Some(plan) => Arc::clone(plan),
            None => match engine.store().plan(&row.run).await? {
                Some(plan) => plan,
                // The run was removed since the page was read.
                None => continue,
            },
        };
        items.push(approval_dto(&engine, row, &plan).await?);
        plans.insert(row.run.clone(), plan);
    }
    Ok(Json(ListDto { items, next_cursor: listed.next_cursor }))
}
