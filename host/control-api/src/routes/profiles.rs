//! Profiles: what can be started, and what it would mean.
use axum::Json;
use axum::extract::State;
use domain::Mode;

use crate::body::JsonBody;
use crate::dto::{ListDto, PreviewDto, PreviewRequest, ProfileDto, ProfileSummaryDto};
use crate::path::InPath;
use crate::{ApiState, Code, Problem};

/// Lists the profiles, those with problems too.
#[utoipa::path(
    get, path = "/api/v2/workflow-profiles", operation_id = "list_profiles", tag = "profiles",
    responses((status = 200, body = ListDto<ProfileSummaryDto>))
)]
pub(crate) async fn list_profiles(
    State(state): State<ApiState>,
) -> Result<Json<ListDto<ProfileSummaryDto>>, Problem> {
    let profiles = state.off_the_loop(|engine| engine.profiles().list()).await?;
    Ok(Json(ListDto::whole(profiles.iter().map(ProfileSummaryDto::from).collect())))
}

/// Shows a profile with its text and what a run of it would do.
#[utoipa::path(
    get, path = "/api/v2/workflow-profiles/{mode}", operation_id = "show_profile", tag = "profiles",
    params(("mode" = String, Path, description = "Name of a profile")),
    responses((status = 200, body = ProfileDto))
)]
pub(crate) async fn show_profile(
    State(state): State<ApiState>,
    InPath(mode): InPath<Mode>,
) -> Result<Json<ProfileDto>, Problem> {
    let wanted = mode.clone();
    let find = move |engine: &engine::Engine| engine.profiles().find(&wanted).cloned();
    let found = state.off_the_loop(find).await?;
    let profile =
        found.ok_or_else(|| Problem::new(Code::ProfileUnknown, format!("no profile `{mode}`")))?;
    let resolved = match state.engine.preview(mode.as_str(), None, None).await {
        Ok(resolved) => Some(resolved),
        // The problems of the file are part of its summary.
        Err(engine::Error::Invalid(_)) => None,
        Err(other) => return Err(other.into()),
    };
    Ok(Json(ProfileDto::new(&profile, resolved.as_ref())))
}

/// Says what a mode with these overrides would mean at this moment. Starts nothing.
#[utoipa::path(
    post, path = "/api/v2/workflow-profiles/preview", operation_id = "preview_profile", tag = "profiles",
    request_body = PreviewRequest, responses((status = 200, body = PreviewDto))
)]
pub(crate) async fn preview_profile(
    State(state): State<ApiState>,
    JsonBody(ask): JsonBody<PreviewRequest>,
) -> Result<Json<PreviewDto>, Problem> {
    let PreviewRequest { mode, skill_overrides, stage_overrides } = ask;
    let resolved = state.engine.preview(&mode, skill_overrides, stage_overrides).await?;
    Ok(Json(PreviewDto::from(&resolved)))
}
