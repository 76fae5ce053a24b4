//! Begins a run.
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{Engine, StartRun};

use crate::Problem;
use crate::acting::Acting;
use crate::body::JsonBody;
use crate::dto::{ProblemItemDto, StartRunRequest, StartedRunDto};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Begins a run and answers at once; the run goes on by itself. With an `Idempotency-Key`, the same request again gives
/// the same run.
#[utoipa::path(
    post, path = "/api/v2/workflow-runs", operation_id = "start_run", tag = "runs",
    params(("Idempotency-Key" = Option<String>, Header, description = "At most 255 bytes")),
    request_body = StartRunRequest,
    responses((status = 202, body = StartedRunDto))
)]
pub(crate) async fn start_run(
    State(engine): State<Engine>,
    headers: HeaderMap,
    acting: Acting,
    JsonBody(mut request): JsonBody<StartRunRequest>,
) -> Result<Response, Problem> {
    let idempotency_key = idempotency_key(&headers)?;
    request.actor = acting.actor(request.actor)?;
    let started = engine.start_run(parse(request, idempotency_key)).await?;
    let place = format!("/api/v2/workflow-runs/{}", started.run_id);
    let answer = Json(StartedRunDto::from(&started));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], answer).into_response())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (first, second) = (given.next(), given.next());
    let problem = |message: &str| {
        Problem::invalid(vec![ProblemItemDto::at("header `Idempotency-Key`", message)])
    };
    if second.is_some() {
        return Err(problem("it is given more than once"));
    }
    let key = first.map(|value| value.to_str().map(str::to_owned)).transpose();
    key.map_err(|_| problem("it has characters other than visible ASCII"))
}

fn parse(request: StartRunRequest, idempotency_key: Option<String>) -> StartRun {
    StartRun {
        request_text: request.request_text,
        mode: request.mode,
        thread_id: request.thread_id,
        brand_id: request.brand_id,
        project_id: request.project_id,
        skill_overrides: request.skill_overrides,
        stage_overrides: request.stage_overrides,
        variables: request.variables,
        actor: request.actor,
        idempotency_key,
    }
}
