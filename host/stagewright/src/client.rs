//! The HTTP API, as the commands use it: one typed method per request.
//!
//! The same requests go to the server that owns the data folder or to an engine in this process (see
//! [`transport`]), so that a command knows nothing of the difference. Nothing is shown here.
mod events;
mod housekeeping;
mod models;
mod plugins;
mod transport;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use control_api::dto::{
    ApprovalDetailDto, ApprovalDto, ArtifactDto, CallDto, CommandRequest, CommandedDto, DecidedDto,
    DecisionRequest, EventDto, HttpRequestDto, ListDto, PreviewDto, PreviewRequest, ProfileDto,
    ProfileSummaryDto, PromptDto, ReadyDto, RetryRequest, RunDto, RunSummaryDto, StartRunRequest,
    StartedRunDto,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::events::{Events, Moment};
pub(crate) use self::housekeeping::Download;
pub(crate) use self::plugins::{AddedPlugin, ComponentFile};
pub(crate) use self::transport::{Remote, Transport};
use crate::error::Error;

/// Items that one request for a whole list asks for: the most that the API gives.
const PAGE_ITEM_COUNT: u32 = 200;
/// What may stand in a path segment as it is (RFC 3986, unreserved).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const RUNS: &str = "/api/v2/workflow-runs";
const PROFILES: &str = "/api/v2/workflow-profiles";
const APPROVALS: &str = "/api/v2/approvals";

/// What is done to a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RunCommand {
    Pause,
    Resume,
    Cancel,
}

impl RunCommand {
    fn as_str(self) -> &'static str {
        match self {
            RunCommand::Pause => "pause",
            RunCommand::Resume => "resume",
            RunCommand::Cancel => "cancel",
        }
    }
}

/// A decision at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Grant,
    Reject,
    Revise,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Grant => "grant",
            Verdict::Reject => "reject",
            Verdict::Revise => "revise",
        }
    }
}

/// Talks to the API.
pub(crate) struct Client {
    transport: Transport,
}

impl Client {
    pub(crate) fn new(transport: Transport) -> Client {
        Client { transport }
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) async fn start_run(
        &self,
        ask: &StartRunRequest,
        idempotency_key: Option<&str>,
    ) -> Result<StartedRunDto, Error> {
        let mut request = with_body(RUNS, ask)?;
        if let Some(key) = idempotency_key {
            let value = key.parse().map_err(|_| {
                Error::usage("the idempotency key has characters that a header cannot carry")
            })?;
            request.headers_mut().insert("idempotency-key", value);
        }
        self.answer(request).await
    }

    pub(crate) async fn runs(
        &self,
        query: &[(&str, String)],
    ) -> Result<ListDto<RunSummaryDto>, Error> {
        self.read(&with_query(RUNS, query)).await
    }

    pub(crate) async fn run(&self, run: &str) -> Result<RunDto, Error> {
        self.read(&of_run(run, &[])).await
    }

    pub(crate) async fn command(
        &self,
        run: &str,
        command: RunCommand,
        body: &CommandRequest,
    ) -> Result<CommandedDto, Error> {
        self.write(&of_run(run, &[command.as_str()]), body).await
    }

    pub(crate) async fn retry(
        &self,
        run: &str,
        body: &RetryRequest,
    ) -> Result<CommandedDto, Error> {
        self.write(&of_run(run, &["retry"]), body).await
    }

    /// The whole log.
    pub(crate) async fn timeline(&self, run: &str) -> Result<Vec<EventDto>, Error> {
        self.whole(&of_run(run, &["timeline"])).await
    }

    /// The log from after `version` on, and what is added to it.
    pub(crate) async fn watch(&self, run: &str, version: u64) -> Result<Events, Error> {
        let path = with_query(&of_run(run, &["events"]), &[("after", version.to_string())]);
        let mut request = without_body(&path)?;
        let accept = header::HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(header::ACCEPT, accept);
        let response = self.transport.send(request).await?;
        if !response.status().is_success() {
            return Err(self.transport.problem_of(response).await);
        }
        Ok(Events::new(response.into_body()))
    }

    pub(crate) async fn artifacts(&self, run: &str) -> Result<Vec<ArtifactDto>, Error> {
        let list: ListDto<ArtifactDto> = self.read(&of_run(run, &["artifacts"])).await?;
        Ok(list.items)
    }

    /// The text of an artifact, and its media type.
    pub(crate) async fn artifact(
        &self,
        run: &str,
        stage: &str,
        name: &str,
        version: Option<u32>,
    ) -> Result<(String, String), Error> {
        let query: Vec<_> =
            version.iter().map(|version| ("version", version.to_string())).collect();
        let path = with_query(&of_run(run, &["artifacts", stage, name]), &query);
        let response = self.transport.send(without_body(&path)?).await?;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.to_owned();
        let bytes = self.transport.bytes_of(response).await?;
        Ok((media_type, String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// What changed from one version of an artifact to another; the two newest if nobody says which.
    pub(crate) async fn diff(
        &self,
        run: &str,
        stage: &str,
        name: &str,
        from: Option<u32>,
        to: Option<u32>,
    ) -> Result<String, Error> {
        let versions = [("from", from), ("to", to)];
        let query: Vec<_> = versions
            .into_iter()
            .filter_map(|(name, version)| Some((name, version?.to_string())))
            .collect();
        let path = with_query(&of_run(run, &["artifacts", stage, name, "diff"]), &query);
        let response = self.transport.send(without_body(&path)?).await?;
        let bytes = self.transport.bytes_of(response).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) async fn calls(&self, run: &str) -> Result<Vec<CallDto>, Error> {
        self.whole(&of_run(run, &["llm-calls"])).await
    }

    pub(crate) async fn http_requests(&self, run: &str) -> Result<Vec<HttpRequestDto>, Error> {
        self.whole(&of_run(run, &["http-requests"])).await
    }

    /// An attempt as one file; the last one that has ended if nobody says which.
    pub(crate) async fn recording(
        &self,
        run: &str,
        stage: &str,
        attempt: Option<u32>,
    ) -> Result<String, Error> {
        let attempt = attempt.map_or_else(|| "latest".to_owned(), |number| number.to_string());
        let path = of_run(run, &["stages", stage, "attempts", &attempt, "recording"]);
        let response = self.transport.send(without_body(&path)?).await?;
        let bytes = self.transport.bytes_of(response).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) async fn prompt(&self, run: &str, stage: &str) -> Result<PromptDto, Error> {
        self.read(&of_run(run, &["stages", stage, "prompt"])).await
    }

    pub(crate) async fn approvals(
        &self,
        query: &[(&str, String)],
    ) -> Result<ListDto<ApprovalDto>, Error> {
        self.read(&with_query(APPROVALS, query)).await
    }

    pub(crate) async fn approval(&self, approval: &str) -> Result<ApprovalDetailDto, Error> {
        self.read(&joined(APPROVALS, &[approval])).await
    }

    pub(crate) async fn decide(
        &self,
        approval: &str,
        verdict: Verdict,
        body: &DecisionRequest,
    ) -> Result<DecidedDto, Error> {
        self.write(&joined(APPROVALS, &[approval, verdict.as_str()]), body).await
    }

    pub(crate) async fn profiles(&self) -> Result<Vec<ProfileSummaryDto>, Error> {
        let list: ListDto<ProfileSummaryDto> = self.read(PROFILES).await?;
        Ok(list.items)
    }

    pub(crate) async fn profile(&self, mode: &str) -> Result<ProfileDto, Error> {
        self.read(&joined(PROFILES, &[mode])).await
    }

    pub(crate) async fn preview(&self, ask: &PreviewRequest) -> Result<PreviewDto, Error> {
        self.write(&joined(PROFILES, &["preview"]), ask).await
    }

    /// Whether the server can work; it says so with an error status if it cannot.
    pub(crate) async fn ready(&self) -> Result<ReadyDto, Error> {
        let response = self.transport.send(without_body("/api/v1/ready")?).await?;
        let bytes = match response.status() {
            StatusCode::SERVICE_UNAVAILABLE => self.transport.collected(response).await?,
            _ => self.transport.bytes_of(response).await?,
        };
        serde_json::from_slice(&bytes).map_err(|error| self.transport.not_understood(&error))
    }

    /// Every page of a list.
    async fn whole<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut query = vec![("limit", PAGE_ITEM_COUNT.to_string())];
        loop {
            let page: ListDto<T> = self.read(&with_query(path, &query)).await?;
            let is_stuck = page.items.is_empty();
            items.extend(page.items);
            match page.next_cursor {
                Some(cursor) if !is_stuck => {
                    query.truncate(1);
                    query.push(("cursor", cursor));
                }
                Some(_) | None => return Ok(items),
            }
        }
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.answer(without_body(path)?).await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.answer(with_body(path, body)?).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: Request<Body>) -> Result<T, Error> {
        let response = self.transport.send(request).await?;
        let bytes = self.transport.bytes_of(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.transport.not_understood(&error))
    }
}

fn of_run(run: &str, segments: &[&str]) -> String {
    joined(&joined(RUNS, &[run]), segments)
}

fn joined(base: &str, segments: &[&str]) -> String {
    segments.iter().fold(base.to_owned(), |mut path, segment| {
        path.push('/');
        path.extend(utf8_percent_encode(segment, KEPT));
        path
    })
}

fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let mut path = path.to_owned();
    for (idx, (name, value)) in query.iter().enumerate() {
        path.push(if idx == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.extend(utf8_percent_encode(value, KEPT));
    }
    path
}

fn without_body(path: &str) -> Result<Request<Body>, Error> {
    Request::builder().uri(path).body(Body::empty()).map_err(|error| unsendable(&error))
}

fn with_body(path: &str, body: &impl Serialize) -> Result<Request<Body>, Error> {
    let bytes = serde_json::to_vec(body).expect("requests are JSON");
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(bytes))
        .map_err(|error| unsendable(&error))
}

fn unsendable(error: &axum::http::Error) -> Error {
    Error::usage(format!("this cannot be asked for: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_inside_its_path_segment() {
        assert_eq!(
            of_run("run_1/../../x?y=1#", &["artifacts", "a b"]),
            "/api/v2/workflow-runs/run_1%2F..%2F..%2Fx%3Fy%3D1%23/artifacts/a%20b"
        );
        assert_eq!(
            with_query("/x", &[("a", "1&b=2".to_owned()), ("c", "ü".to_owned())]),
            "/x?a=1%26b%3D2&c=%C3%BC"
        );
    }
}
