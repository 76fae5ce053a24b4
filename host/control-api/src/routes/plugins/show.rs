//! One plugin.
use axum::Json;
use axum::extract::State;

use super::known_kind;
use crate::dto::PluginDto;
use crate::path::{AnyName, InPath};
use crate::{ApiState, Problem};

/// Shows a plugin by its name, `name@version` or digest.
#[utoipa::path(
    get, path = "/api/v2/plugins/{name}", operation_id = "show_plugin", tag = "plugins",
    params(("name" = String, Path, description = "`name`, `name@version` or `sha256:...`")),
    responses((status = 200, body = PluginDto))
)]
pub(crate) async fn show_plugin(
    State(state): State<ApiState>,
    InPath(AnyName(name)): InPath<AnyName>,
) -> Result<Json<PluginDto>, Problem> {
    let reference = known_kind(&name)?;
    let look = move |engine: &engine::Engine| {
        let plugin = engine.catalog().find(&reference, None)?;
        let profiles = engine.profiles_by_plugin().remove(&plugin.digest).unwrap_or_default();
        Ok(PluginDto { profiles, ..PluginDto::from(&plugin) })
    };
    let found = state.off_the_loop(look).await?;
    found.map(Json).map_err(|error: domain::port::PluginError| Problem::from(&error))
}
