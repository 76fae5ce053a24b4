//! Removes runs that have ended.
use axum::Json;
use axum::extract::State;
use engine::{Prune, PruneDoing, Retention};
use store::KeepRule;

use crate::body::JsonBody;
use crate::convert::PrunedParts;
use crate::dto::{ProblemItemDto, PruneRequest, PrunedDto};
use crate::{ApiState, Problem};

/// Milliseconds of a second.
const SECOND_MS: u64 = 1_000;

/// Removes runs that have ended with everything that is theirs, or names those that would go. Sums of usage stay. With a
/// run goes its idempotency key.
#[utoipa::path(
    post, path = "/api/v2/workflow-runs/prune", operation_id = "prune_runs", tag = "housekeeping",
    request_body = Option<PruneRequest>, responses((status = 200, body = PrunedDto))
)]
pub(crate) async fn prune_runs(
    State(state): State<ApiState>,
    JsonBody(request): JsonBody<PruneRequest>,
) -> Result<Json<PrunedDto>, Problem> {
    let dry_run = request.dry_run.unwrap_or(true);
    let doing = if dry_run { PruneDoing::Plan } else { PruneDoing::Remove };
    let retention = retention(&request, &state.retention)?;
    let only_modes = request.modes;
    let pruned = state.engine.prune(Prune { retention, only_modes, doing }).await?;
    Ok(Json(PrunedDto::from(PrunedParts { dry_run, pruned: &pruned })))
}

/// What the request says; if it says nothing, what is configured. Nothing at all is no wish for everything.
fn retention(request: &PruneRequest, configured: &Retention) -> Result<Retention, Problem> {
    let usual = KeepRule {
        within_ms: request.older_than_s.map(|seconds| seconds.saturating_mul(SECOND_MS)),
        newest_count: request.keep,
    };
    if usual.is_bound() {
        return Ok(Retention { usual, ..Retention::default() });
    }
    if configured.is_bound() {
        return Ok(configured.clone());
    }
    let message = "it does not say which runs may go, and neither does the configuration";
    let item = ProblemItemDto::at_pointer("", message)
        .with_hint("say `older_than_s`, `keep` or both, or configure `retention`");
    Err(Problem::invalid(vec![item]))
}
