//! The HTTP API as a client sees it whose server may vanish at any moment.
use std::time::Duration;

use serde_json::Value;

/// Longest wait for an answer. The server is never that slow; a stuck one is a finding.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events of one page.
const PAGE_EVENT_COUNT: u64 = 200;

/// The server has gone, and whatever it was told may be done or not.
#[derive(Debug)]
pub(crate) struct Lost;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where it is not JSON, its text.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A client of one life of the server.
#[derive(Clone)]
pub(crate) struct Client {
    api: crate::support::Api,
}

impl Client {
    pub(crate) fn new(api: crate::support::Api) -> Client {
        Client { api }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Lost> {
        self.send(self.api.request("GET", path)).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Answer, Lost> {
        let mut request = self.api.request("POST", path).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Lost> {
        let response = request.timeout(PATIENCE).send().await.map_err(|_| Lost)?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(|_| Lost)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body })
    }

    /// The events of a run behind a version, to the end.
    pub(crate) async fn events(&self, run: &str, after: u64) -> Result<Vec<Value>, Lost> {
        let mut events = Vec::new();
        let mut cursor = after;
        loop {
            let path = format!(
                "/api/v2/workflow-runs/{run}/timeline?limit={PAGE_EVENT_COUNT}&cursor={cursor}"
            );
            let page = self.get(&path).await?;
            let items = page.body["items"].as_array().cloned().unwrap_or_default();
            cursor = items.last().and_then(|last| last["version"].as_u64()).unwrap_or(cursor);
            events.extend(items);
            if page.body["next_cursor"].is_null() {
                return Ok(events);
            }
        }
    }

    /// The events of a run as they happen, piece by piece, until the stream ends or is lost.
    pub(crate) async fn watch(&self, run: &str, after: u64) -> Result<reqwest::Response, Lost> {
        let path = format!("/api/v2/workflow-runs/{run}/events?after={after}");
        let request = self.api.request("GET", &path).timeout(PATIENCE);
        request.send().await.map_err(|_| Lost)
    }
}
