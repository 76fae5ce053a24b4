//! HTTP requests of stages.
use domain::http::HttpErrorKind;
use store::{HttpRequestRow, HttpRequestStatus};

use super::moment;
use crate::dto::{CallStatusDto, HttpRequestDto, TextsDto};

impl From<&HttpRequestRow> for HttpRequestDto {
    fn from(row: &HttpRequestRow) -> Self {
        let error = row.error.as_ref();
        Self {
            stage: row.key.stage.to_string(),
            attempt: row.key.attempt,
            ordinal: row.key.ordinal,
            status: CallStatusDto::from(row.status),
            method: row.method.clone(),
            url: row.url.clone(),
            tries: row.tries,
            request_bytes: row.request_bytes,
            answer_status: row.answer_status,
            answer_bytes: row.answer_bytes,
            error_code: error.map(|error| HttpErrorKind::code(error.kind).to_owned()),
            error_message: error.map(|error| error.message.clone()),
            started_at: moment(row.started_at),
            ended_at: row.ended_at.map(moment),
            texts: TextsDto::from(row.texts),
        }
    }
}

impl From<HttpRequestStatus> for CallStatusDto {
    fn from(status: HttpRequestStatus) -> Self {
        match status {
            HttpRequestStatus::Open => CallStatusDto::Open,
            HttpRequestStatus::Answered => CallStatusDto::Answered,
            HttpRequestStatus::Failed => CallStatusDto::Failed,
            HttpRequestStatus::Canceled => CallStatusDto::Canceled,
        }
    }
}
