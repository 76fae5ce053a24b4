//! Takes in a plugin.
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use domain::upload::{Added, Namesake, PLUGIN_BYTES_MAX};

use crate::acting::Acting;
use crate::dto::PluginDto;
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::spool::spooled;
use crate::{ApiState, Code, Problem};

/// Media type of components.
const COMPONENT_MEDIA_TYPE: &str = "application/wasm";

/// How it is taken in.
pub(crate) struct AddQuery {
    actor: Option<String>,
    namesake: Namesake,
}

impl QueryWords for AddQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let words = [("true", Namesake::StepsBack), ("false", Namesake::Stays)];
        let namesake = reader.word("replace", &words).unwrap_or(Namesake::Stays);
        Self { actor: reader.text("actor"), namesake }
    }
}

/// Checks a component against the contract and keeps it; new runs can use it from then on. A plugin with the name and the
/// version of another one is refused, unless it is to take its place.
#[utoipa::path(
    post, path = "/api/v2/plugins", operation_id = "add_plugin", tag = "plugins",
    params(
        ("actor" = Option<String>, Query, description = "Who sends it"),
        ("replace" = Option<bool>, Query, description = "Name and version mean this one from now on, also if they meant another; that stays under its digest"),
    ),
    request_body(content = String, content_type = "application/wasm", description = "A component"),
    responses(
        (status = 201, description = "It is kept", body = PluginDto),
        (status = 200, description = "The same bytes were here", body = PluginDto),
    )
)]
pub(crate) async fn add_plugin(
    State(state): State<ApiState>,
    InQuery(query): InQuery<AddQuery>,
    acting: Acting,
    request: Request,
) -> Result<(StatusCode, Json<PluginDto>), Problem> {
    expect_component(request.headers())?;
    let actor = acting.actor(query.actor)?;
    let _permit = state.upload_permit()?;
    let file = state.engine.spool_file().await?;
    let file = spooled(request.into_body(), file, PLUGIN_BYTES_MAX, too_large).await?;
    let added = state.engine.add_plugin(file, actor, query.namesake).await?;
    let status = match &added {
        Added::New(_) => StatusCode::CREATED,
        Added::Known(_) | Added::Latest(_) => StatusCode::OK,
    };
    let digest = added.plugin().digest.clone();
    let look = move |engine: &engine::Engine| engine.profiles_by_plugin().remove(&digest);
    let profiles = state.off_the_loop(look).await?.unwrap_or_default();
    Ok((status, Json(PluginDto { profiles, ..PluginDto::from(added.plugin()) })))
}

/// What is announced as something else is not read.
fn expect_component(headers: &HeaderMap) -> Result<(), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > PLUGIN_BYTES_MAX) {
        return Err(too_large());
    }
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(COMPONENT_MEDIA_TYPE) {
        return Ok(());
    }
    let detail = match given {
        Some(given) => format!("the content type of the body is `{given}`"),
        None => "the body has no content type".to_owned(),
    };
    Err(Problem::new(Code::MediaTypeUnsupported, detail).with_hint(format!(
        "send `Content-Type: {COMPONENT_MEDIA_TYPE}` and the component as it is"
    )))
}

fn too_large() -> Problem {
    let detail = format!("the component has more than {} MiB", PLUGIN_BYTES_MAX >> 20);
    Problem::new(Code::BodyTooLarge, detail)
        .with_hint("strip it, or leave out what it does not need; no plugin is as large")
}
