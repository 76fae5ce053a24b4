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
    params(("name" = String, Path, description = "`name`, `name@version` or `sha256:...`, of which the first eight digits are enough if no other begins so, also without `sha256:` if no plugin has that name")),
    responses((status = 200, body = PluginDto))
)]
pub(crate) async fn show_plugin(
    State(state): State<ApiState>,
    InPath(AnyName(name)): InPath<AnyName>,
) -> Result<Json<PluginDto>, Problem> {
    let asked = known_kind(&name)?;
    let look = move |engine: &engine::Engine| {
        let catalog = engine.catalog();
        let reference = asked.meant(catalog).map_err(|error| Problem::from(&error))?;
        let plugin = catalog.find(&reference, None).map_err(|error| Problem::from(&error))?;
        let profiles = engine.profiles_by_plugin().remove(&plugin.digest).unwrap_or_default();
        Ok(Json(PluginDto { profiles, ..PluginDto::from(&plugin) }))
    };
    state.off_the_loop(look).await?
}
