//! Gives an attempt as one file that can be replayed anywhere.
use authoring::exchange::{Answer, Exchange, HttpExchange};
use authoring::recording::Recording;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use engine::{Engine, RecordedAttempt, RecordedCall};
use semver::Version;

use crate::Problem;
use crate::path::{AttemptOfRun, InPath};

/// Gives an attempt at a stage that has ended, whether it succeeded or not, as one file: what the stage was told, every
/// question with its answer, and what came of it. `latest` names the last attempt that has ended.
///
/// The file holds what the run holds, and nothing of the configuration. `stagewright plugin replay` does the attempt again.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/stages/{stage}/attempts/{attempt}/recording",
    operation_id = "show_recording", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("stage" = String, Path, description = "Key of the stage"),
        ("attempt" = String, Path, description = "Its number, from 1, or `latest`"),
    ),
    responses((
        status = 200, body = serde_json::Value,
        description = "The recording: JSON with `format`, `version`, `plugin`, `limits`, `makes`, `context`, `exchanges`, `outcome` and `log`"
    ))
)]
pub(crate) async fn show_recording(
    State(engine): State<Engine>,
    InPath(AttemptOfRun { run, stage, attempt }): InPath<AttemptOfRun>,
) -> Result<Response, Problem> {
    let recording = recording_of(engine.recorded(&run, &stage, attempt).await?);
    Ok(([(header::CONTENT_TYPE, "application/json")], recording.to_json()).into_response())
}

fn recording_of(recorded: RecordedAttempt) -> Recording {
    let RecordedAttempt { job, contract_version, calls, requests, outcome, log } = recorded;
    // A plugin's version of the contract was read by the sandbox, so that this does not fail.
    let contract_version = contract_version.and_then(|version| Version::parse(&version).ok());
    let exchanges = calls.into_iter().map(exchange).collect();
    let mut recording = Recording::of(job, contract_version, exchanges, outcome, log);
    recording.requests = requests
        .into_iter()
        .map(|kept| HttpExchange {
            method: kept.method,
            url: kept.url,
            request_digest: Some(kept.request_digest),
            answer: kept.outcome,
        })
        .collect();
    recording
}

fn exchange(call: RecordedCall) -> Exchange {
    let RecordedCall { request, request_digest, outcome, partial } = call;
    let answer = match outcome {
        Some(Ok(completion)) => Answer::Complete(completion),
        Some(Err(error)) => Answer::Failed { error, partial },
        None => Answer::Open { partial },
    };
    Exchange { request, request_digest: Some(request_digest), answer }
}
