//! Providers of language models, without their secrets.
use axum::Json;
use axum::extract::State;

use crate::dto::{ListDto, ProviderCheckDto, ProviderDto};
use crate::path::{AnyName, InPath};
use crate::{ApiState, Code, Problem};

/// Lists the providers that are configured.
#[utoipa::path(
    get, path = "/api/v2/providers", operation_id = "list_providers", tag = "providers",
    responses((status = 200, body = ListDto<ProviderDto>))
)]
pub(crate) async fn list_providers(State(state): State<ApiState>) -> Json<ListDto<ProviderDto>> {
    let default_name = &state.engine.settings().default_provider;
    let providers = state.engine.gateway().providers();
    let items = providers.iter().map(|provider| ProviderDto::new(provider, default_name));
    Json(ListDto::whole(items.collect()))
}

/// Asks a provider for real, which may cost a token or two. A provider that does not work answers 200 with `ok: false`.
#[utoipa::path(
    post, path = "/api/v2/providers/{name}/check", operation_id = "check_provider", tag = "providers",
    params(("name" = String, Path, description = "Name of a configured provider")),
    responses((status = 200, body = ProviderCheckDto))
)]
pub(crate) async fn check_provider(
    State(state): State<ApiState>,
    InPath(AnyName(name)): InPath<AnyName>,
) -> Result<Json<ProviderCheckDto>, Problem> {
    let gateway = state.engine.gateway();
    let route = gateway.route(&name, None);
    let route = route.map_err(|error| Problem::new(Code::ProviderUnknown, error.to_string()))?;
    let checked = gateway.check(&route.provider).await;
    Ok(Json(ProviderCheckDto::new(route.provider, checked)))
}
