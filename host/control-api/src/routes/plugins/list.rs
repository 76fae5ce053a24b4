//! The plugins of this host.
use axum::Json;
use axum::extract::State;
use domain::Digest;

use crate::dto::{PluginDto, PluginListDto, UnusablePluginDto};
use crate::{ApiState, Problem};

/// Lists the plugins, and what lies in the plugin folder or was uploaded and cannot be used.
#[utoipa::path(
    get, path = "/api/v2/plugins", operation_id = "list_plugins", tag = "plugins",
    responses((status = 200, body = PluginListDto))
)]
pub(crate) async fn list_plugins(
    State(state): State<ApiState>,
) -> Result<Json<PluginListDto>, Problem> {
    let look = |engine: &engine::Engine| (engine.catalog().list(), engine.profiles_by_plugin());
    let ((usable, unusable), mut profiles) = state.off_the_loop(look).await?;
    let mut profiles_of = |digest: &Digest| profiles.remove(digest).unwrap_or_default();
    let items = usable.iter().map(|plugin| PluginDto {
        profiles: profiles_of(&plugin.digest),
        ..PluginDto::from(plugin)
    });
    let items = items.collect();
    let unusable = unusable.iter().map(UnusablePluginDto::from).collect();
    Ok(Json(PluginListDto { items, unusable, next_cursor: None }))
}
