//! A host whose stages are plain Rust, and its log as lines.
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::model::{Message, ModelOptions, ModelRequest, Role};
use domain::plan::PluginRef;
use domain::port::{
    AskError, Attempt, BoxFuture, Consumed, KnownPlugin, ModelPort, PluginCatalog, PluginError,
    PluginSource, StageJob, StageRunner,
};
use domain::run::{Event, Status, Verdict};
use domain::stage::{ArtifactSpec, StageInfo, StageLog, StageOutput};
use domain::{Artifact, Digest, Fault, FaultKind, Json, RunId, Timestamp};
use profile::FallbackPolicy;
use store::Store;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::{
    Clock, Decided, DriveOnStart, Engine, Error, GateDecision, Live, Parts, Settings, StartRun,
};

/// What a stage of the test host does.
#[derive(Debug, Clone)]
pub(super) enum Behavior {
    /// Asks these questions, then gives the answers back as its artifact.
    Ask(Vec<String>),
    /// Asks, waits for [`Stages::gate`], and asks again.
    AskWaitAsk(String, String),
    /// Fails.
    Fail(FaultKind),
    /// Brings the host's own code down.
    Panic,
}

/// Runs stages that are plain Rust.
pub(super) struct Stages {
    behaviors: Mutex<HashMap<String, Behavior>>,
    /// What [`Behavior::AskWaitAsk`] waits for; closed by nobody.
    pub(super) gate: Semaphore,
    /// Gets a permit each time that a stage arrives at the gate.
    pub(super) arrived: Semaphore,
}

impl Stages {
    pub(super) fn set(&self, stage: &str, behavior: Behavior) {
        self.behaviors.lock().unwrap().insert(stage.to_owned(), behavior);
    }

    fn behavior(&self, stage: &str) -> Behavior {
        let usual = || Behavior::Ask(vec![format!("the question of {stage}")]);
        self.behaviors.lock().unwrap().get(stage).cloned().unwrap_or_else(usual)
    }

    async fn outcome(&self, job: &StageJob, models: &dyn ModelPort) -> Result<StageOutput, Fault> {
        let questions = match self.behavior(job.context.stage_key.as_str()) {
            Behavior::Ask(questions) => questions,
            Behavior::AskWaitAsk(first, second) => {
                let answer = ask(models, &first).await?;
                self.arrived.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
                return Ok(output(job, answer + &ask(models, &second).await?));
            }
            Behavior::Fail(kind) => return Err(Fault { kind, message: "as told".to_owned() }),
            Behavior::Panic => panic!("as told"),
        };
        let mut text = String::new();
        for question in questions {
            text.push_str(&ask(models, &question).await?);
        }
        Ok(output(job, text))
    }
}

async fn ask(models: &dyn ModelPort, question: &str) -> Result<String, Fault> {
    match models.ask(request(question)).await {
        Ok(completion) => Ok(completion.content),
        Err(AskError::Model(error)) => {
            Err(Fault { kind: FaultKind::Model(error.kind), message: error.message })
        }
        Err(AskError::Stop(fault)) => Err(fault),
    }
}

fn request(question: &str) -> ModelRequest {
    let message = Message { role: Role::User, content: question.to_owned() };
    ModelRequest { messages: vec![message], options: ModelOptions::default(), label: None }
}

fn output(job: &StageJob, body: String) -> StageOutput {
    StageOutput {
        artifacts: vec![Artifact {
            name: job.makes[0].name.parse().unwrap(),
            media_type: "text/markdown".to_owned(),
            body,
        }],
        data: Json::null(),
        summary: "done".to_owned(),
        variables: Vec::new(),
    }
}

impl StageRunner for Stages {
    fn run(&self, job: StageJob, models: Arc<dyn ModelPort>) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let outcome = self.outcome(&job, &*models).await;
            Attempt { outcome, log: StageLog::default(), consumed: Consumed::default() }
        })
    }

    fn build_prompt(&self, job: StageJob) -> BoxFuture<'_, Result<ModelRequest, Fault>> {
        let question = format!("the question of {}", job.context.stage_key);
        Box::pin(async move { Ok(request(&question)) })
    }
}

impl PluginCatalog for Stages {
    fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        (vec![known("plain")], Vec::new())
    }

    fn find(&self, reference: &PluginRef, _: Option<&str>) -> Result<KnownPlugin, PluginError> {
        match reference {
            PluginRef::Name(name) => Ok(known(name)),
            PluginRef::Version { .. } | PluginRef::Digest(_) | PluginRef::Path(_) => {
                Err(PluginError::Unknown { asked: reference.to_string(), known: Vec::new() })
            }
        }
    }

    fn pin(&self, _: &Digest) -> Result<(), PluginError> {
        Ok(())
    }
}

fn known(name: &str) -> KnownPlugin {
    KnownPlugin {
        info: StageInfo {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Plain Rust.".to_owned(),
            needs: if name == "second" { vec!["first.md".to_owned()] } else { Vec::new() },
            uses: Vec::new(),
            makes: vec![ArtifactSpec {
                name: format!("{name}.md"),
                media_type: "text/markdown".to_owned(),
                summary: "What it made.".to_owned(),
            }],
            settings_schema: Json::from_parsed(r#"{"type":"object"}"#),
        },
        digest: store::digest_of(name.as_bytes()),
        size_bytes: 1,
        source: PluginSource::Bundled,
        imports: Vec::new(),
        contract_version: "1.0.0".to_owned(),
    }
}

/// Two stages, with a gate after the first.
pub(super) const GATED: &str = r#"
profile: gated
title: Gated
description: Two stages with a gate between them.
version: "1"
stages:
  - { key: first, title: First, plugin: first, gate: required }
  - { key: second, title: Second, plugin: second, gate: none }
"#;

/// Two stages without a gate.
pub(super) const STRAIGHT: &str = r#"
profile: straight
title: Straight
description: Two stages.
version: "1"
stages:
  - { key: first, title: First, plugin: first, gate: none }
  - { key: second, title: Second, plugin: second, gate: none }
"#;

/// An engine over a data folder of its own.
pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) stages: Arc<Stages>,
    pub(super) folder: TempDir,
    pub(super) clock: Clock,
}

impl Host {
    pub(super) async fn start(profiles: &[&str]) -> Host {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("profiles")).unwrap();
        for (idx, text) in profiles.iter().enumerate() {
            std::fs::write(folder.path().join(format!("profiles/{idx}.yaml")), text).unwrap();
        }
        let stages = Arc::new(Stages {
            behaviors: Mutex::new(HashMap::new()),
            gate: Semaphore::new(0),
            arrived: Semaphore::new(0),
        });
        let clock = Clock::manual(Timestamp::from_unix_ms(1_750_000_000_000));
        let engine = open(&folder, &stages, &clock).await;
        Host { engine, stages, folder, clock }
    }

    /// Stops in the middle of everything and starts again over the same folder.
    pub(super) async fn restart(self) -> Host {
        let Host { engine, stages, folder, clock } = self;
        engine.shutdown().await;
        engine.store().close();
        drop(engine);
        let engine = open(&folder, &stages, &clock).await;
        Host { engine, stages, folder, clock }
    }

    pub(super) async fn submit(&self, mode: &str) -> RunId {
        let ask = StartRun {
            request_text: "a hive for the balcony".to_owned(),
            mode: mode.to_owned(),
            ..StartRun::default()
        };
        self.engine.start_run(ask).await.unwrap().run_id
    }

    /// Waits until the run has this status.
    pub(super) async fn reaches(&self, run: &RunId, status: Status) {
        let mut watching = self.engine.subscribe(run);
        let arrived = async {
            while self.engine.store().run(run).await.unwrap().unwrap().status != status {
                while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), arrived).await.is_err() {
            panic!("the run did not become {}:\n{}", status.as_str(), self.journal(run).await);
        }
    }

    pub(super) async fn decide(&self, run: &RunId, verdict: Verdict) -> Result<Decided, Error> {
        let filter = store::ApprovalFilter { status: None, run: Some(run.clone()) };
        let page = store::Page { cursor: None, limit: 50 };
        let rows = self.engine.store().approvals(filter, page).await.unwrap().items;
        let pending = rows.iter().find(|row| row.status == store::ApprovalStatus::Pending);
        let row = pending.or(rows.first()).expect("the run has a gate");
        let decision = GateDecision {
            approval: row.id.clone(),
            verdict,
            actor: "tester".to_owned(),
            comment: Some("seen".to_owned()),
            content_hash: None,
        };
        self.engine.decide_gate(decision).await
    }

    /// The log of a run, a line for each event.
    pub(super) async fn journal(&self, run: &RunId) -> String {
        let events = self.engine.store().events_after(run, 0, 1_000).await.unwrap();
        let mut lines = String::new();
        for recorded in events {
            let Event::RunCreated(_) = &recorded.event else {
                writeln!(lines, "{} {}", recorded.version, line(&recorded.event)).unwrap();
                continue;
            };
            writeln!(lines, "{} run_created", recorded.version).unwrap();
        }
        lines
    }

    /// Compares what the store's tables say with what the log says.
    pub(super) async fn check_projections(&self, run: &RunId) {
        self.engine.store().projections_equal_replay(run).await.unwrap().unwrap();
    }
}

fn line(event: &Event) -> String {
    let kind = event.kind();
    match event {
        Event::StageStarted { stage, attempt } => format!("{kind} {} attempt={attempt}", stage.0),
        Event::ModelAnswered { stage, ordinal, outcome, .. } => match outcome {
            domain::run::CallOutcome::Answered { .. } => format!("{kind} {} #{ordinal}", stage.0),
            domain::run::CallOutcome::Failed { code, .. } => {
                format!("{kind} {} #{ordinal} {code}", stage.0)
            }
        },
        Event::StageFinished { stage, .. } | Event::GateOpened { stage, .. } => {
            format!("{kind} {}", stage.0)
        }
        Event::StageFailed { stage, fault, .. } | Event::RunFailed { stage, fault } => {
            format!("{kind} {} {}", stage.0, fault.kind.code())
        }
        Event::GateGranted { stage, decision, .. }
        | Event::GateRejected { stage, decision, .. } => {
            format!("{kind} {} by={}", stage.0, decision.actor)
        }
        Event::PauseRequested { actor }
        | Event::RunResumed { actor }
        | Event::RunRetried { actor, .. }
        | Event::RunCanceled { actor, .. } => format!("{kind} by={actor}"),
        Event::RunCreated(_) | Event::RunPaused | Event::RunCompleted => kind.to_owned(),
    }
}

async fn open(folder: &TempDir, stages: &Arc<Stages>, clock: &Clock) -> Engine {
    let parts = Parts {
        store: Store::open(folder.path()).unwrap(),
        gateway: gateway::Gateway::open(gateway::Config { providers: vec![scripted()] }).unwrap(),
        runner: stages.clone(),
        catalog: stages.clone(),
        profile_folders: vec![folder.path().join("profiles")],
        clock: clock.clone(),
    };
    let settings = Settings {
        attempt_count_max: 8,
        shutdown_grace: Duration::ZERO,
        model_call_time_max: Duration::from_secs(10),
        fallback: FallbackPolicy::Off,
        default_provider: gateway::SCRIPTED.to_owned(),
        drive_on_start: DriveOnStart::UnfinishedRuns,
    };
    Engine::start(parts, settings).await.unwrap()
}

fn scripted() -> gateway::Provider {
    gateway::Provider::scripted()
}
