//! A host in a temporary folder, its API, and answers that tests can look into.
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Response;
use domain::Timestamp;
use engine::{Clock, DayBudgets, DriveOnStart, Engine, Live, Parts, Settings};
use futures_util::StreamExt;
use gateway::{Gateway, Model, OpenAi, Price, Provider};
use http_body_util::BodyExt;
use model_server::ModelServer;
use profile::FallbackPolicy;
use serde_json::{Value, json};
use store::Store;
use tempfile::TempDir;
use tower::ServiceExt;

use super::stages::Stages;
use super::workflows::WORKFLOWS;
use crate::{Access, ApiState, router};

/// Longest time that a test waits for an event that has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) stages: Arc<Stages>,
    pub(super) router: Router,
    pub(super) clock: Clock,
    _folder: TempDir,
}

impl Host {
    pub(super) async fn start() -> Host {
        Self::with(Stages::unhindered(), Access::in_process()).await
    }

    pub(super) async fn with(stages: Stages, access: Access) -> Host {
        Self::set_up(Setup { stages, access, ..Setup::default() }).await
    }

    /// A host whose default provider is a model server.
    pub(super) async fn asking(server: &ModelServer) -> Host {
        Self::set_up(Setup::asking(served_by(server))).await
    }

    pub(super) async fn set_up(setup: Setup) -> Host {
        let Setup { stages, access, provider, budgets } = setup;
        let folder = TempDir::new().unwrap();
        let profiles = folder.path().join("profiles");
        std::fs::create_dir(&profiles).unwrap();
        for (name, text) in WORKFLOWS {
            std::fs::write(profiles.join(format!("{name}.yaml")), text).unwrap();
        }
        let stages = Arc::new(stages);
        let clock = Clock::manual(Timestamp::from_unix_ms(1_750_000_000_000));
        let default_provider = provider.name.clone();
        let config = gateway::Config { providers: vec![provider], ..gateway::Config::default() };
        let parts = Parts {
            store: Store::open(folder.path()).unwrap(),
            gateway: Gateway::open(config).unwrap(),
            runner: stages.clone(),
            catalog: stages.clone(),
            profile_folders: vec![profiles],
            clock: clock.clone(),
        };
        let settings = Settings {
            groups: [("editors".to_owned(), vec!["bob".to_owned(), "cleo".to_owned()])].into(),
            webhooks: Default::default(),
            http: Default::default(),
            attempt_count_max: 8,
            shutdown_grace: Duration::ZERO,
            model_call_time_max: Duration::from_secs(10),
            fallback: FallbackPolicy::Off,
            default_provider,
            drive_on_start: DriveOnStart::UnfinishedRuns,
            budgets,
        };
        let engine = Engine::start(parts, settings).await.unwrap();
        let metrics = || "stagewright_tests 1\n".to_owned();
        let state = ApiState::new(engine.clone(), access).with_metrics(Arc::new(metrics));
        let router = router(state);
        Host { engine, stages, router, clock, _folder: folder }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let answered = tokio::time::timeout(PATIENCE, self.router.clone().oneshot(request));
        Answer::of(answered.await.expect("the API answers").unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    /// Asks a model, and expects an answer.
    pub(super) async fn chat(&self, body: Value) -> Value {
        let answer = self.post("/api/chat", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// Waits until a list has this many items.
    pub(super) async fn lists(&self, path: &str, count: usize) -> Vec<Value> {
        let arrived = async {
            loop {
                let body = self.get(path).await.json();
                let items = body["items"].as_array().unwrap();
                if items.len() == count {
                    return items.clone();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.expect("the list gets so long")
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(post(path, &body)).await
    }

    /// Begins a run and gives its id.
    pub(super) async fn begin(&self, mode: &str) -> String {
        let body = json!({"request_text": "a hive for the balcony", "mode": mode});
        let answer = self.post("/api/v2/workflow-runs", body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        answer.json()["run_id"].as_str().unwrap().to_owned()
    }

    /// Waits until the run has this status.
    pub(super) async fn reaches(&self, run: &str, status: &str) -> Value {
        let id = run.parse().unwrap();
        let mut watching = self.engine.subscribe(&id);
        let arrived = async {
            loop {
                let shown = self.get(&format!("/api/v2/workflow-runs/{run}")).await.json();
                if shown["status"] == status {
                    return shown;
                }
                while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.expect("the run arrives")
    }

    /// Waits until the run asks a person or has ended.
    pub(super) async fn settles(&self, run: &str) -> Value {
        let id = run.parse().unwrap();
        let mut watching = self.engine.subscribe(&id);
        let arrived = async {
            loop {
                let shown = self.get(&format!("/api/v2/workflow-runs/{run}")).await.json();
                if ["waiting_approval", "completed", "failed"]
                    .map(Value::from)
                    .contains(&shown["status"])
                {
                    return shown;
                }
                while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.expect("the run settles")
    }

    /// Where in the body the problems are.
    pub(super) fn pointers<'a>(&self, problem: &'a Value) -> Vec<&'a str> {
        let problems = problem["problems"].as_array().unwrap().iter();
        problems.map(|problem| problem["pointer"].as_str().unwrap_or_default()).collect()
    }

    /// Waits until this approval's question is asked after that one's.
    pub(super) async fn next_approval(&self, run: &str, before: &Value) -> Value {
        let id = run.parse().unwrap();
        let mut watching = self.engine.subscribe(&id);
        let asked = async {
            loop {
                let shown = self.get(&format!("/api/v2/workflow-runs/{run}")).await.json();
                let open = &shown["pending_approval"];
                if !open.is_null() && open["approval_id"] != before["approval_id"] {
                    return open.clone();
                }
                while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("the next question is asked")
    }

    /// The question that waits for a person.
    pub(super) async fn open_approval(&self, run: &str) -> Value {
        self.reaches(run, "waiting_approval").await["pending_approval"].clone()
    }

    /// Opens a stream of events.
    pub(super) async fn watch(&self, request: Request<Body>) -> Watch {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Watch { body: response.into_body().into_data_stream(), buffer: String::new() }
    }
}

/// What a host is made of.
pub(super) struct Setup {
    pub(super) stages: Stages,
    pub(super) access: Access,
    pub(super) provider: Provider,
    pub(super) budgets: DayBudgets,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            stages: Stages::unhindered(),
            access: Access::in_process(),
            provider: Provider::scripted(),
            budgets: DayBudgets::default(),
        }
    }
}

impl Setup {
    pub(super) fn asking(provider: Provider) -> Self {
        Self { provider, ..Self::default() }
    }
}

/// A provider `local` with one model, at 1 and 2 US dollars for a million tokens of input and output.
pub(super) fn served_by(server: &ModelServer) -> Provider {
    let address = OpenAi { base_url: server.base_url(), key: None, headers: Vec::new() };
    let mut provider = Provider::openai("local", address, model_server::MODEL);
    let price = Price {
        input: 1_000_000,
        cached_input: None,
        cache_write: None,
        output: 2_000_000,
        reasoning: None,
    };
    provider.models = vec![Model {
        name: model_server::MODEL.to_owned(),
        price: Some(price),
        ..Model::default()
    }];
    provider.retry_wait = Duration::from_millis(1);
    provider
}

pub(super) fn post(path: &str, body: &Value) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    request.body(Body::from(body.to_string())).unwrap()
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    /// Status and code of a problem.
    #[track_caller]
    pub(super) fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status.as_u16(), &body["code"]), (status, &json!(code)), "{body:#}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(body["status"], status);
        assert!(!body["hint"].as_str().unwrap().is_empty());
        body
    }
}

/// An open stream of events.
pub(super) struct Watch {
    body: BodyDataStream,
    buffer: String,
}

/// One event of a stream.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) id: Option<u64>,
    pub(super) data: Value,
}

impl Watch {
    /// The next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let seen = Seen::parse(block);
                self.buffer = rest.to_owned();
                match seen {
                    Some(seen) => return Some(seen),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await;
            let chunk = chunk.expect("the stream goes on")?.unwrap();
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything to the end of the stream.
    pub(super) async fn rest(mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        while let Some(seen) = self.next().await {
            all.push(seen);
        }
        all
    }

    /// Everything up to an event with this name, and that one.
    pub(super) async fn until(&mut self, name: &str) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            let seen = self.next().await.expect("the event comes before the end");
            let found = seen.name == name;
            all.push(seen);
            if found {
                return all;
            }
        }
    }
}

impl Seen {
    /// `None` for a comment.
    fn parse(block: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut lines = block.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(field, _)| *field == name).map(|(_, value)| value)
        };
        let data = serde_json::from_str(field("data")?).unwrap();
        let id = field("id").map(|id| id.parse().unwrap());
        Some(Self { name: field("event")?.to_owned(), id, data })
    }
}
