//! Removes a plugin.
use axum::Json;
use axum::extract::State;
use engine::InUse;

use super::known_kind;
use crate::acting::Acting;
use crate::dto::RemovedPluginDto;
use crate::path::{AnyName, InPath};
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::{ApiState, Problem};

/// How it is removed.
pub(crate) struct RemoveQuery {
    actor: Option<String>,
    in_use: InUse,
}

impl QueryWords for RemoveQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let words = [("true", InUse::IsIgnored), ("false", InUse::Counts)];
        let in_use = reader.word("force", &words).unwrap_or(InUse::Counts);
        Self { actor: reader.text("actor"), in_use }
    }
}

/// Removes a plugin that was uploaded. Refused while a run that has not ended is bound to it or a profile means it, unless
/// it is forced: runs that are bound to it have a copy and go on.
#[utoipa::path(
    delete, path = "/api/v2/plugins/{name}", operation_id = "remove_plugin", tag = "plugins",
    params(
        ("name" = String, Path, description = "`name`, `name@version` or `sha256:...`; of a digest the first eight digits are enough, also without `sha256:` if no plugin has that name; it has to mean one upload"),
        ("actor" = Option<String>, Query, description = "Who removes it"),
        ("force" = Option<bool>, Query, description = "Also while somebody needs it"),
    ),
    responses((status = 200, body = RemovedPluginDto))
)]
pub(crate) async fn remove_plugin(
    State(state): State<ApiState>,
    InPath(AnyName(name)): InPath<AnyName>,
    InQuery(query): InQuery<RemoveQuery>,
    acting: Acting,
) -> Result<Json<RemovedPluginDto>, Problem> {
    let actor = acting.actor(query.actor)?;
    let asked = known_kind(&name)?;
    let meant = state.off_the_loop(move |engine| asked.meant(engine.catalog())).await?;
    let reference = meant.map_err(|error| Problem::from(&error))?;
    let removed = state.engine.remove_plugin(reference, actor, query.in_use).await?;
    Ok(Json(RemovedPluginDto::from(&removed)))
}
