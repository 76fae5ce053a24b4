//! `runs requests`: the HTTP requests of a run's stages.
use control_api::dto::{CallStatusDto, HttpRequestDto, ListDto};

use crate::error::{Error, Exit};
use crate::render;
use crate::session::Session;

pub(super) async fn of_run(session: &Session<'_>, run_id: &str) -> Result<Exit, Error> {
    let requests = session.client.http_requests(run_id).await?;
    if session.output.is_json() {
        session.output.document(&ListDto { items: requests, next_cursor: None });
        return Ok(Exit::Done);
    }
    if requests.is_empty() {
        session.output.note("no HTTP requests");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = requests.iter().map(row).collect();
    let head = ["STAGE", "TRY", "N", "METHOD", "URL", "STATUS", "BYTES", "SENT"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    for reason in requests.iter().filter_map(reason) {
        session.output.note(&reason);
    }
    Ok(Exit::Done)
}

/// Why a request has no answer, in words: a stage may have kept them to itself.
fn reason(request: &HttpRequestDto) -> Option<String> {
    let message = request.error_message.as_ref()?;
    Some(format!("{} {}.{}: {message}", request.stage, request.attempt, request.ordinal))
}

fn row(request: &HttpRequestDto) -> Vec<String> {
    vec![
        request.stage.clone(),
        request.attempt.to_string(),
        request.ordinal.to_string(),
        request.method.clone(),
        request.url.clone(),
        status(request),
        request.answer_bytes.map(render::count).unwrap_or_default(),
        render::time(&request.started_at),
    ]
}

/// The status of the answer, or why there is none.
fn status(request: &HttpRequestDto) -> String {
    match (request.status, request.answer_status, &request.error_code) {
        (CallStatusDto::Answered, Some(status), _) => status.to_string(),
        (CallStatusDto::Failed, _, Some(code)) => format!("failed ({code})"),
        (CallStatusDto::Answered, None, _) => "answered".to_owned(),
        (CallStatusDto::Failed, _, None) => "failed".to_owned(),
        (CallStatusDto::Open, ..) => "open".to_owned(),
        (CallStatusDto::Canceled, ..) => "canceled".to_owned(),
    }
}
