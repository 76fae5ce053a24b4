//! The routes by which a test in another process drives the server.
//!
//! `POST /control/behavior` queues one or, with `?count=N`, several; `POST /control/otherwise` sets what is done when
//! nothing is queued; `POST /control/hold`, `/release`, `/reset`; `POST /control/key` with `{"key": "..."}`;
//! `GET /control/requests` gives all requests and, with `?at_least=N`, waits for that many; `GET /control/count`;
//! `GET /control/closed?index=N` waits until that call, the first being 0, is over, and says how and after what time.
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::behavior::Behavior;
use crate::shared::{Recorded, Shared};

#[derive(Deserialize)]
struct Times {
    #[serde(default = "once")]
    count: usize,
}

fn once() -> usize {
    1
}

#[derive(Deserialize)]
struct Awaited {
    #[serde(default)]
    at_least: usize,
}

#[derive(Deserialize)]
struct Numbered {
    #[serde(default)]
    index: usize,
}

#[derive(Deserialize)]
struct Key {
    key: Option<String>,
}

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/control/behavior", post(push))
        .route("/control/otherwise", post(otherwise))
        .route("/control/hold", post(hold))
        .route("/control/release", post(release))
        .route("/control/reset", post(reset))
        .route("/control/key", post(require_key))
        .route("/control/requests", get(requests))
        .route("/control/count", get(count))
        .route("/control/closed", get(closed))
}

async fn push(
    State(shared): State<Shared>,
    Query(times): Query<Times>,
    Json(behavior): Json<Behavior>,
) -> StatusCode {
    (0..times.count).for_each(|_| shared.push(behavior.clone()));
    StatusCode::NO_CONTENT
}

async fn otherwise(State(shared): State<Shared>, Json(behavior): Json<Behavior>) -> StatusCode {
    shared.otherwise(behavior);
    StatusCode::NO_CONTENT
}

async fn hold(State(shared): State<Shared>) -> StatusCode {
    shared.hold(true);
    StatusCode::NO_CONTENT
}

async fn release(State(shared): State<Shared>) -> StatusCode {
    shared.hold(false);
    StatusCode::NO_CONTENT
}

async fn reset(State(shared): State<Shared>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}

async fn require_key(State(shared): State<Shared>, Json(body): Json<Key>) -> StatusCode {
    shared.require_key(body.key);
    StatusCode::NO_CONTENT
}

async fn requests(
    State(shared): State<Shared>,
    Query(awaited): Query<Awaited>,
) -> Json<Vec<Recorded>> {
    shared.wait_for_requests(awaited.at_least).await;
    Json(shared.requests())
}

async fn count(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({ "count": shared.request_count() }))
}

async fn closed(State(shared): State<Shared>, Query(numbered): Query<Numbered>) -> Json<Recorded> {
    Json(shared.wait_for_closed(numbered.index).await)
}
