//! The HTTP API as a client program sees it.
use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for anything. Far over what it takes; it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a run whose events a test does not follow.
const LOOK: Duration = Duration::from_millis(10);

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Api {
    url: String,
    http: reqwest::Client,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// What a successful answer says.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }
}

impl Api {
    pub(crate) fn new(url: &str) -> Api {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().ok();
        });
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        Api { url: url.to_owned(), http: http.expect("a client") }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().expect("a method"), self.url(path))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        Answer { status, text: response.text().await.expect("a whole answer") }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).json(body)).await
    }

    /// Starts a run and gives its identifier.
    pub(crate) async fn start(&self, mode: &str) -> String {
        let body = json!({ "mode": mode, "request_text": "Honey from city bees, by subscription" });
        let started = self.post("/api/v2/workflow-runs", &body).await.ok();
        started["run_id"].as_str().expect("a run").to_owned()
    }

    pub(crate) async fn run(&self, run: &str) -> Value {
        self.get(&format!("/api/v2/workflow-runs/{run}")).await.ok()
    }

    /// Waits until a run has one of these states.
    pub(crate) async fn reaches(&self, run: &str, wanted: &[&str]) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.run(run).await;
            let status = found["status"].as_str().unwrap_or_default();
            if wanted.contains(&status) {
                return found;
            }
            assert!(Instant::now() < until, "waited for {wanted:?}: {found:#}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The approval that a run waits for.
    pub(crate) async fn gate(&self, run: &str) -> String {
        let found = self.reaches(run, &["waiting_approval"]).await;
        found["pending_approval"]["approval_id"].as_str().expect("an approval").to_owned()
    }

    pub(crate) async fn grant(&self, approval: &str) -> Answer {
        self.post(&format!("/api/v2/approvals/{approval}/grant"), &json!({ "actor": "tester" }))
            .await
    }

    /// Grants every gate until the run has ended.
    pub(crate) async fn finish(&self, run: &str) -> Value {
        loop {
            let found =
                self.reaches(run, &["waiting_approval", "completed", "failed", "canceled"]).await;
            if found["status"] != "waiting_approval" {
                return found;
            }
            let approval = found["pending_approval"]["approval_id"].as_str().expect("an approval");
            let decided = self.grant(approval).await;
            assert_eq!(decided.status, 200, "{decided:?}");
        }
    }

    /// The log of a run, a line for each event.
    pub(crate) async fn journal(&self, run: &str) -> String {
        let path = format!("/api/v2/workflow-runs/{run}/timeline?limit=200");
        let page = self.get(&path).await.ok();
        assert_eq!(page["next_cursor"], Value::Null, "the test reads one page");
        let line = |event: &Value| {
            let data = &event["data"];
            let mut line =
                format!("{} {}", event["version"], event["kind"].as_str().unwrap_or("?"));
            for name in ["stage", "attempt", "ordinal", "error_code", "actor"] {
                match &data[name] {
                    Value::Null => {}
                    Value::String(text) => line.push_str(&format!(" {name}={text}")),
                    value => line.push_str(&format!(" {name}={value}")),
                }
            }
            line + "\n"
        };
        page["items"].as_array().expect("events").iter().map(line).collect()
    }
}
