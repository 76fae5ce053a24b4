//! A host whose stages are plain Rust, and its log as lines.
mod stages;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use domain::model::{Message, ModelOptions, Role};
use domain::plan::Plan;
use domain::run::{BudgetBound, BudgetUnit, Created, Event, Status, Verdict};
use domain::stage::Belonging;
use domain::{RunId, Timestamp};
use model_server::ModelServer;
use profile::FallbackPolicy;
use store::{Append, ApprovalRow, ApprovalStatus, CallFilter, CallRow, Page, Store};
use tempfile::TempDir;

use crate::{
    ChatAsk, Clock, DayBudgets, Decided, DriveOnStart, Engine, Error, GateDecision, Live, Parts,
    Settings, StartRun,
};
pub(super) use stages::{Behavior, Stages, Step};

/// Longest time that a test waits for something that happens at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Longest time until a provider is left whose answer nobody wants.
pub(super) const STOP_TIME_MAX: Duration = Duration::from_secs(1);
/// One dollar per million tokens, in the gateway's unit: a token costs a millionth of a dollar.
pub(super) const PRICE: u64 = 1_000_000;

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

/// One stage.
pub(super) const SINGLE: &str = r#"
profile: single
title: Single
description: One stage.
version: "1"
stages:
  - { key: first, title: First, plugin: first, gate: none }
"#;

/// What a host is made with.
#[derive(Clone)]
pub(super) struct Setup {
    /// The first is the default.
    pub(super) providers: Vec<gateway::Provider>,
    pub(super) budgets: DayBudgets,
    pub(super) groups: BTreeMap<String, Vec<String>>,
    pub(super) webhooks: BTreeMap<String, gateway::Webhook>,
    pub(super) shutdown_grace: Duration,
    pub(super) drive_on_start: DriveOnStart,
    pub(super) texts: store::Texts,
}

impl Setup {
    pub(super) fn scripted() -> Self {
        Self {
            providers: vec![gateway::Provider::scripted()],
            budgets: DayBudgets::default(),
            groups: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            shutdown_grace: Duration::ZERO,
            drive_on_start: DriveOnStart::UnfinishedRuns,
            texts: store::Texts::Whole,
        }
    }

    /// A server that is asked once for each call, and whose model has a price.
    pub(super) fn asking(server: &ModelServer) -> Self {
        Self { providers: vec![provider("server", server)], ..Self::scripted() }
    }
}

pub(super) fn provider(name: &str, server: &ModelServer) -> gateway::Provider {
    let connection =
        gateway::OpenAi { base_url: server.base_url(), key: None, headers: Vec::new() };
    let mut provider = gateway::Provider::openai(name, connection, model_server::MODEL);
    provider.tries_max = 1;
    provider.models = vec![gateway::Model {
        name: model_server::MODEL.to_owned(),
        price: Some(gateway::Price {
            input: PRICE,
            cached_input: None,
            cache_write: None,
            output: PRICE,
            reasoning: None,
        }),
        ..gateway::Model::default()
    }];
    provider
}

/// A chat of one message.
pub(super) fn chat(message: &str) -> ChatAsk {
    let message = Message { role: Role::User, content: message.to_owned() };
    ChatAsk {
        messages: vec![message],
        provider: None,
        model: None,
        session_id: None,
        client_id: None,
        conversation_id: None,
        label: None,
        options: ModelOptions::default(),
        caching: gateway::Caching::Off,
    }
}

/// An engine over a data folder of its own.
pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) stages: Arc<Stages>,
    pub(super) folder: TempDir,
    pub(super) clock: Clock,
    pub(super) setup: Setup,
}

impl Host {
    pub(super) async fn start(profiles: &[&str]) -> Host {
        Self::start_with(Setup::scripted(), profiles).await
    }

    pub(super) async fn start_with(setup: Setup, profiles: &[&str]) -> Host {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("profiles")).unwrap();
        for (idx, text) in profiles.iter().enumerate() {
            std::fs::write(folder.path().join(format!("profiles/{idx}.yaml")), text).unwrap();
        }
        let stages = Stages::new();
        let clock = Clock::manual(Timestamp::from_unix_ms(1_750_000_000_000));
        let engine = open(&folder, &stages, &clock, &setup).await;
        Host { engine, stages, folder, clock, setup }
    }

    /// Stops in the middle of everything and starts again over the same folder.
    pub(super) async fn restart(self) -> Host {
        let Host { engine, stages, folder, clock, setup } = self;
        engine.shutdown().await;
        engine.store().close();
        drop(engine);
        let engine = open(&folder, &stages, &clock, &setup).await;
        Host { engine, stages, folder, clock, setup }
    }

    pub(super) async fn submit(&self, mode: &str) -> RunId {
        let ask = StartRun {
            request_text: "a hive for the balcony".to_owned(),
            mode: mode.to_owned(),
            ..StartRun::default()
        };
        self.engine.start_run(ask).await.unwrap().run_id
    }

    /// Begins a run whose plan differs from its profile.
    pub(super) async fn submit_changed(&self, mode: &str, change: impl FnOnce(&mut Plan)) -> RunId {
        self.submit_created(mode, |created| change(&mut created.plan)).await
    }

    /// Begins a run that differs from what its profile says.
    pub(super) async fn submit_created(
        &self,
        mode: &str,
        change: impl FnOnce(&mut Created),
    ) -> RunId {
        let mut created = Created {
            started_by: None,
            request_text: "a hive for the balcony".to_owned(),
            belonging: Belonging::default(),
            plan: self.engine.preview(mode, None, None).await.unwrap().plan,
            variables: Vec::new(),
        };
        change(&mut created);
        let run = self.clock.new_run_id();
        let append = Append {
            run: run.clone(),
            expected_version: 0,
            at: self.clock.now(),
            events: vec![Event::RunCreated(Arc::new(created))],
            beside: Vec::new(),
        };
        self.engine.store().append(append).await.unwrap();
        self.engine.0.begin_driving(&self.engine.0.registry.cell(&run)).await;
        run
    }

    /// Waits until the log of the run has this many lines that begin so.
    pub(super) async fn logs(&self, run: &RunId, count: usize, beginning: &str) {
        let mut watching = self.engine.subscribe(run);
        let has = |journal: String| {
            let words = |line: &str| line.split_once(' ').map(|(_, words)| words.to_owned());
            let lines = journal.lines().filter_map(words);
            lines.filter(|words| words.starts_with(beginning)).count() >= count
        };
        let arrived = async {
            while !has(self.journal(run).await) {
                while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
            }
        };
        if tokio::time::timeout(PATIENCE, arrived).await.is_err() {
            panic!("no {count} times `{beginning}`:\n{}", self.journal(run).await);
        }
    }

    /// Waits until the run has this status.
    pub(super) async fn reaches(&self, run: &RunId, status: Status) {
        let mut watching = self.engine.subscribe(run);
        let arrived = async {
            while self.engine.store().run(run).await.unwrap().unwrap().status != status {
                while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
            }
        };
        if tokio::time::timeout(PATIENCE, arrived).await.is_err() {
            panic!("the run did not become {}:\n{}", status.as_str(), self.journal(run).await);
        }
    }

    pub(super) async fn decide(&self, run: &RunId, verdict: Verdict) -> Result<Decided, Error> {
        let row = self.gate(run).await;
        let mut decision = decision(&row, verdict, "tester");
        if row.status != ApprovalStatus::Pending {
            decision.content_hash = None;
        }
        self.engine.decide_gate(decision).await
    }

    /// The gate that is open, else the last one.
    pub(super) async fn gate(&self, run: &RunId) -> ApprovalRow {
        let filter = store::ApprovalFilter { status: None, run: Some(run.clone()) };
        let page = Page { cursor: None, limit: 50 };
        let rows = self.engine.store().approvals(filter, page).await.unwrap().items;
        let pending = rows.iter().find(|row| row.status == ApprovalStatus::Pending);
        pending.or(rows.first()).expect("the run has a gate").clone()
    }

    /// The records of calls, oldest first.
    pub(super) async fn calls(&self) -> Vec<CallRow> {
        let page = Page { cursor: None, limit: 200 };
        let mut rows = self.engine.store().calls(CallFilter::default(), page).await.unwrap().items;
        rows.reverse();
        rows
    }

    /// The code and the words of the fault that failed a run.
    pub(super) async fn fault(&self, run: &RunId) -> (String, String) {
        let fault = self.engine.store().run(run).await.unwrap().unwrap().fault.unwrap();
        (fault.code, fault.message)
    }

    /// The text that a stage made.
    pub(super) async fn text(&self, run: &RunId, stage: &str) -> String {
        let rows = self.engine.store().artifacts(run).await.unwrap();
        let row = rows.iter().find(|row| row.stage.as_str() == stage).expect("the stage is done");
        let bodies = self.engine.store().bodies(vec![row.digest.clone()]).await.unwrap();
        bodies.into_iter().next().unwrap()
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

/// A decision of somebody who has looked at this.
pub(super) fn decision(row: &ApprovalRow, verdict: Verdict, actor: &str) -> GateDecision {
    GateDecision {
        approval: row.id.clone(),
        verdict,
        actor: actor.to_owned(),
        comment: Some("seen".to_owned()),
        content_hash: Some(row.content_hash.clone()),
        edits: Vec::new(),
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
        Event::StageFinished { stage, .. }
        | Event::GateOpened { stage, .. }
        | Event::GateEscalated { stage, .. }
        | Event::RetryDue { stage } => format!("{kind} {}", stage.0),
        Event::GateReminded { stage, number, failure, .. } => {
            let failure = failure.as_ref().map_or(String::new(), |words| format!(": {words}"));
            format!("{kind} {} #{number}{failure}", stage.0)
        }
        Event::ArtifactsEdited { stage, actor, .. } => format!("{kind} {} by={actor}", stage.0),
        Event::StageFailed { stage, fault, .. }
        | Event::RetryScheduled { stage, fault, .. }
        | Event::RetriesSpent { stage, fault }
        | Event::RunFailed { stage, fault } => {
            format!("{kind} {} {}", stage.0, fault.kind.code())
        }
        Event::BudgetWarned { stage, bound, .. } | Event::BudgetGateOpened { stage, bound, .. } => {
            format!("{kind} {} {}", stage.0, budget(bound))
        }
        Event::GateGranted { stage, decision, .. }
        | Event::GateGrantAdded { stage, decision, .. }
        | Event::GateRevised { stage, decision, .. }
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

fn budget(bound: &BudgetBound) -> String {
    let BudgetBound { scope, unit, max, used } = bound;
    match unit {
        BudgetUnit::Tokens => format!("{} {used} of {max} tokens", scope.as_str()),
        BudgetUnit::NanoUsd => format!("{} {used} of {max} nano_usd", scope.as_str()),
    }
}

async fn open(folder: &TempDir, stages: &Arc<Stages>, clock: &Clock, setup: &Setup) -> Engine {
    let config = gateway::Config { providers: setup.providers.clone(), ..Default::default() };
    let parts = Parts {
        store: Store::open_with(folder.path(), store::Options { texts: setup.texts }).unwrap(),
        gateway: gateway::Gateway::open(config).unwrap(),
        runner: stages.clone(),
        catalog: stages.clone(),
        profile_folders: vec![folder.path().join("profiles")],
        clock: clock.clone(),
    };
    let settings = Settings {
        groups: setup.groups.clone(),
        webhooks: setup.webhooks.clone(),
        http: Default::default(),
        attempt_count_max: 8,
        shutdown_grace: setup.shutdown_grace,
        model_call_time_max: Duration::from_secs(60),
        fallback: FallbackPolicy::Off,
        default_provider: setup.providers[0].name.clone(),
        drive_on_start: setup.drive_on_start,
        budgets: setup.budgets.clone(),
    };
    Engine::start(parts, settings).await.unwrap()
}
