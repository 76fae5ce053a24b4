//! Providers of language models, without their secrets.
use axum::Json;
use axum::extract::State;
use gateway::{Gateway, Route};

use crate::dto::{ListDto, ListedModelDto, ListedModelsDto, ProviderCheckDto, ProviderDto};
use crate::path::{AnyName, InPath};
use crate::{ApiState, Code, Problem};

/// Most models of one answer. The largest markets list some hundred.
const MODEL_COUNT_MAX: usize = 5_000;

/// Lists the providers that are configured, with their limits and prices and with how their models do at this moment.
#[utoipa::path(
    get, path = "/api/v2/providers", operation_id = "list_providers", tag = "providers",
    responses((status = 200, body = ListDto<ProviderDto>))
)]
pub(crate) async fn list_providers(State(state): State<ApiState>) -> Json<ListDto<ProviderDto>> {
    let default_name = &state.engine.settings().default_provider;
    let gateway = state.engine.gateway();
    let providers = gateway.status();
    let items = providers.iter().map(|provider| ProviderDto::new(provider, default_name, gateway));
    Json(ListDto::whole(items.collect()))
}

/// Asks a provider which models it has; the first 5,000 of them.
#[utoipa::path(
    get, path = "/api/v2/providers/{name}/models", operation_id = "list_models", tag = "providers",
    params(("name" = String, Path, description = "Name of a configured provider")),
    responses((status = 200, body = ListedModelsDto))
)]
pub(crate) async fn list_models(
    State(state): State<ApiState>,
    InPath(AnyName(name)): InPath<AnyName>,
) -> Result<Json<ListedModelsDto>, Problem> {
    let gateway = state.engine.gateway();
    let default = route_of(gateway, &name)?;
    let told = gateway.models(&name).await.map_err(|error| Problem::from(&error))?;
    let listed = told.is_some();
    let mut names = told.unwrap_or_else(|| configured_models(gateway, &default));
    names.truncate(MODEL_COUNT_MAX);
    let items = names.into_iter().map(|name| ListedModelDto::new(gateway, &default, name));
    Ok(Json(ListedModelsDto { listed, list: ListDto::whole(items.collect()) }))
}

fn configured_models(gateway: &Gateway, default: &Route) -> Vec<String> {
    let mut names = vec![default.model.clone()];
    let providers = gateway.providers();
    let provider = providers.into_iter().find(|provider| provider.name == default.provider);
    let others = provider.into_iter().flat_map(|provider| provider.models);
    names.extend(others.map(|model| model.name).filter(|name| *name != default.model));
    names
}

/// A provider that has to exist, with its default model.
fn route_of(gateway: &Gateway, name: &str) -> Result<Route, Problem> {
    gateway
        .route(name, None)
        .map_err(|error| Problem::new(Code::ProviderUnknown, error.to_string()))
}

/// Asks a provider for real, which may cost a token or two and is recorded. A provider that does not work answers 200 with `ok: false`.
#[utoipa::path(
    post, path = "/api/v2/providers/{name}/check", operation_id = "check_provider", tag = "providers",
    params(("name" = String, Path, description = "Name of a configured provider")),
    responses((status = 200, body = ProviderCheckDto))
)]
pub(crate) async fn check_provider(
    State(state): State<ApiState>,
    InPath(AnyName(name)): InPath<AnyName>,
) -> Result<Json<ProviderCheckDto>, Problem> {
    let route = route_of(state.engine.gateway(), &name)?;
    let checked = match state.engine.check_provider(&route.provider).await {
        Ok(checked) => Ok(checked),
        Err(engine::Error::Model(error)) => Err(error),
        Err(error) => return Err(Problem::from(error)),
    };
    Ok(Json(ProviderCheckDto::new(route.provider, checked)))
}
