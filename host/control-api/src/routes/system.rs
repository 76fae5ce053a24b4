//! Whether the server is up, and whether it can work.
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::dto::{CheckDto, HealthDto, ReadyDto};
use crate::{ApiState, Code, Problem};

/// The text form of Prometheus.
const METRICS_MEDIA_TYPE: &str = "text/plain; version=0.0.4";

/// Says that the process answers. Needs no token.
#[utoipa::path(
    get, path = "/api/v1/health", operation_id = "show_health", tag = "system",
    responses((status = 200, body = HealthDto)), security(())
)]
pub(crate) async fn show_health() -> Json<HealthDto> {
    Json(HealthDto { status: "ok".to_owned() })
}

/// Says whether the server can work, and what it works with.
#[utoipa::path(
    get, path = "/api/v1/ready", operation_id = "show_ready", tag = "system",
    responses((status = 200, body = ReadyDto), (status = 503, description = "A check is not ok", body = ReadyDto))
)]
pub(crate) async fn show_ready(
    State(state): State<ApiState>,
) -> Result<(StatusCode, Json<ReadyDto>), Problem> {
    let store = check_store(&state).await;
    let plugins = check_plugins(&state).await?;
    let providers = check_providers(&state);
    let ok = store.ok && plugins.ok && providers.ok;
    let (status, word) = match ok {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok((status, Json(ReadyDto { status: word.to_owned(), version, store, plugins, providers })))
}

/// Shows the server's metrics in the text form of Prometheus. Asks for the token like every other route.
#[utoipa::path(
    get, path = "/metrics", operation_id = "show_metrics", tag = "system",
    responses((status = 200, content_type = "text/plain", body = String))
)]
pub(crate) async fn show_metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let Some(render) = state.metrics.clone() else {
        return Err(Problem::new(Code::RouteUnknown, "the server keeps no metrics")
            .with_hint("ask a server that was started with `stagewright serve`"));
    };
    // With many labels the text takes milliseconds.
    let text = state.off_the_loop(move |_| render()).await?;
    Ok(([(header::CONTENT_TYPE, METRICS_MEDIA_TYPE)], text).into_response())
}

async fn check_store(state: &ApiState) -> CheckDto {
    // The log has where and what.
    if state.engine.store().damage().is_some() {
        let detail = "the database is damaged, and nothing is written any more: restore a backup";
        return CheckDto { ok: false, detail: detail.to_owned() };
    }
    match state.engine.store().active_runs().await {
        Ok(active) => {
            CheckDto { ok: true, detail: format!("{} runs are queued or running", active.len()) }
        }
        // The cause has paths of this machine: it goes to the log, and the caller gets the title.
        Err(error) => CheckDto { ok: false, detail: Problem::from(error).into_dto().title },
    }
}

async fn check_plugins(state: &ApiState) -> Result<CheckDto, Problem> {
    let (usable, unusable) = state.off_the_loop(|engine| engine.catalog().list()).await?;
    let detail = format!("{} plugins can be used, {} cannot", usable.len(), unusable.len());
    Ok(CheckDto { ok: !usable.is_empty(), detail })
}

fn check_providers(state: &ApiState) -> CheckDto {
    let providers = state.engine.gateway().providers();
    let default_name = &state.engine.settings().default_provider;
    match providers.iter().find(|provider| provider.name == *default_name) {
        Some(provider) if provider.live => CheckDto {
            ok: true,
            detail: format!("`{default_name}` with model `{}`", provider.model),
        },
        Some(_) => CheckDto {
            ok: true,
            detail: format!("`{default_name}`, the built-in writer: no model is configured"),
        },
        None => CheckDto { ok: false, detail: format!("`{default_name}` is not configured") },
    }
}
