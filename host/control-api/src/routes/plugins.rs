//! Plugins that stages can be done with.
use axum::Json;
use axum::extract::State;
use domain::plan::PluginRef;

use crate::dto::{PluginDto, PluginListDto, UnusablePluginDto};
use crate::path::{AnyName, InPath};
use crate::{ApiState, Code, Problem};

/// Lists the plugins, and what lies in the plugin folder and cannot be used.
#[utoipa::path(
    get, path = "/api/v2/plugins", operation_id = "list_plugins", tag = "plugins",
    responses((status = 200, body = PluginListDto))
)]
pub(crate) async fn list_plugins(
    State(state): State<ApiState>,
) -> Result<Json<PluginListDto>, Problem> {
    let (usable, unusable) = state.off_the_loop(|engine| engine.catalog().list()).await?;
    let items = usable.iter().map(PluginDto::from).collect();
    let unusable = unusable.iter().map(UnusablePluginDto::from).collect();
    Ok(Json(PluginListDto { items, unusable, next_cursor: None }))
}

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
    let find = move |engine: &engine::Engine| engine.catalog().find(&reference, None);
    let found = state.off_the_loop(find).await?;
    let plugin = found.map_err(|error| Problem::from(&error))?;
    Ok(Json(PluginDto::from(&plugin)))
}

/// A path would let every caller have the server read any file of its machine.
fn known_kind(name: &str) -> Result<PluginRef, Problem> {
    match name.parse() {
        Ok(PluginRef::Path(_)) => Err(Problem::new(
            Code::IdInvalid,
            format!("`{name}` is a path, and plugins are shown by name"),
        )),
        Ok(reference) => Ok(reference),
        Err(reason) => Err(Problem::new(Code::IdInvalid, format!("`{name}` is {reason}"))),
    }
}
