//! Puts the handlers behind their paths, and the checks in front of them.
use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Request};
use axum::http::Method;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::refuse_strangers;
use crate::headers::harden;
use crate::linger::linger;
use crate::openapi::{self, Description, DescriptionText};
use crate::routes::{
    approvals, calls, chat, housekeeping, llm_cache, plugins, profiles, providers, runs, system,
    usage,
};
use crate::{ApiState, Code, Problem};

/// The whole API. It can be served on a socket, or be called inside the process with `tower::ServiceExt::oneshot`.
pub fn router(state: ApiState) -> Router {
    let (routes, description) = described();
    let text = description.to_json().expect("the description has only text keys");
    let access = state.access.clone();
    routes
        .fallback(route_unknown)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(access, refuse_strangers))
        // Outside of the checks, so that what they refuse, and what panics, is answered in the same form.
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(harden))
        .layer(middleware::from_fn(linger))
        .with_state(Described { state, text: DescriptionText(Arc::from(text)) })
}

/// The routes, and their description.
pub(crate) fn described() -> (Router<Described>, OpenApi) {
    let all = OpenApiRouter::with_openapi(Description::openapi())
        .merge(system_routes())
        .merge(model_routes())
        .merge(run_routes())
        .merge(approval_routes())
        .merge(configuration_routes())
        .merge(housekeeping_routes());
    let (routes, mut description) = all.split_for_parts();
    openapi::add_problems(&mut description);
    (routes, description)
}

fn system_routes() -> OpenApiRouter<Described> {
    OpenApiRouter::default()
        .routes(routes!(system::show_health))
        .routes(routes!(system::show_ready))
        .routes(routes!(openapi::show_openapi))
        .routes(routes!(system::show_metrics))
}

fn model_routes() -> OpenApiRouter<Described> {
    OpenApiRouter::default()
        .routes(routes!(chat::chat))
        .routes(routes!(calls::list_all_calls))
        .routes(routes!(calls::show_call))
        .routes(routes!(usage::show_usage))
        .routes(routes!(llm_cache::show_cache, llm_cache::forget_cached))
        .routes(routes!(providers::list_providers))
        .routes(routes!(providers::list_models))
        .routes(routes!(providers::check_provider))
}

fn run_routes() -> OpenApiRouter<Described> {
    OpenApiRouter::default()
        .routes(routes!(runs::list_runs, runs::start_run))
        .routes(routes!(runs::show_run))
        .routes(routes!(runs::list_events))
        .routes(routes!(runs::watch_run))
        .routes(routes!(runs::list_artifacts))
        .routes(routes!(runs::show_artifact))
        .routes(routes!(runs::show_artifact_diff))
        .routes(routes!(runs::list_calls))
        .routes(routes!(runs::list_http_requests))
        .routes(routes!(runs::list_variables))
        .routes(routes!(runs::show_prompt))
        .routes(routes!(runs::show_recording))
        .routes(routes!(runs::pause_run))
        .routes(routes!(runs::resume_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(runs::retry_run))
}

fn approval_routes() -> OpenApiRouter<Described> {
    OpenApiRouter::default()
        .routes(routes!(approvals::list_approvals))
        .routes(routes!(approvals::show_approval))
        .routes(routes!(approvals::grant_approval))
        .routes(routes!(approvals::reject_approval))
        .routes(routes!(approvals::revise_approval))
}

fn configuration_routes() -> OpenApiRouter<Described> {
    OpenApiRouter::default()
        .routes(routes!(profiles::list_profiles))
        .routes(routes!(profiles::show_profile))
        .routes(routes!(profiles::preview_profile))
        .routes(routes!(plugins::list_plugins, plugins::add_plugin))
        .routes(routes!(plugins::show_plugin, plugins::remove_plugin))
}

fn housekeeping_routes() -> OpenApiRouter<Described> {
    OpenApiRouter::default()
        .routes(routes!(housekeeping::prune_runs))
        .routes(routes!(housekeeping::import_run))
        .routes(routes!(housekeeping::export_run))
        .routes(routes!(housekeeping::show_backup))
}

/// The state of the handlers, and of the one that describes them.
#[derive(Clone)]
pub(crate) struct Described {
    state: ApiState,
    text: DescriptionText,
}

impl FromRef<Described> for ApiState {
    fn from_ref(described: &Described) -> Self {
        described.state.clone()
    }
}

impl FromRef<Described> for engine::Engine {
    fn from_ref(described: &Described) -> Self {
        described.state.engine.clone()
    }
}

impl FromRef<Described> for DescriptionText {
    fn from_ref(described: &Described) -> Self {
        described.text.clone()
    }
}

async fn route_unknown(request: Request) -> Problem {
    Problem::new(Code::RouteUnknown, format!("no route `{}`", request.uri().path()))
}

async fn method_not_allowed(method: Method, request: Request) -> Problem {
    let detail = format!("`{}` has no method {method}", request.uri().path());
    Problem::new(Code::MethodNotAllowed, detail)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "without a message".to_owned());
    Problem::hidden(Code::Internal, format!("a handler panicked: {text}")).into_response()
}
