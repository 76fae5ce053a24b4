//! The host's cache of answers.
use axum::Json;
use axum::extract::State;
use gateway::CacheFilter;

use crate::dto::{CacheDto, ForgottenDto, ProblemItemDto};
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::{ApiState, Problem};

/// Shows what the cache holds, and what it did since the start.
#[utoipa::path(
    get, path = "/api/v2/llm-cache", operation_id = "show_cache", tag = "cache",
    responses((status = 200, body = CacheDto))
)]
pub(crate) async fn show_cache(State(state): State<ApiState>) -> Json<CacheDto> {
    Json(CacheDto::from(&state.engine.gateway().cache_status()))
}

/// Which answers.
pub(crate) struct ForgetQuery {
    filter: CacheFilter,
}

impl QueryWords for ForgetQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let filter = CacheFilter { provider: reader.text("provider"), model: reader.text("model") };
        Self { filter }
    }
}

/// Has the cache forget answers: all, or those of a provider, of a model, or of both.
#[utoipa::path(
    delete, path = "/api/v2/llm-cache", operation_id = "forget_cached", tag = "cache",
    params(
        ("provider" = Option<String>, Query, description = "Those of one provider"),
        ("model" = Option<String>, Query, description = "Those of one model"),
    ),
    responses((status = 200, body = ForgottenDto))
)]
pub(crate) async fn forget_cached(
    State(state): State<ApiState>,
    InQuery(query): InQuery<ForgetQuery>,
) -> Result<Json<ForgottenDto>, Problem> {
    let gateway = state.engine.gateway();
    // A misspelled name would forget nothing and look like success.
    if let Some(provider) = &query.filter.provider
        && let Err(unknown) = gateway.route(provider, None)
    {
        let item = ProblemItemDto::at("query parameter `provider`", unknown.to_string());
        return Err(Problem::invalid(vec![item]));
    }
    Ok(Json(ForgottenDto { forgotten: gateway.forget_cached(&query.filter) }))
}
