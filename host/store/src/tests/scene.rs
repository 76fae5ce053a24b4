//! A store in a temporary folder, and runs that are moved by commands as the engine moves them.
use std::sync::Arc;

use domain::model::{
    Completion, FinishReason, Message, ModelError, ModelErrorKind, ModelOptions, ModelRequest,
    Role, Usage, UsageSource,
};
use domain::plan::{Caching, Gate, ModelAlternative, ModelChoice, OnBudgetExceeded, PinnedPlugin};
use domain::run::{
    BudgetBound, BudgetScope, BudgetUnit, Command, Created, Decision, Edit, Event, Run,
    StageResult, Status, Verdict,
};
use domain::stage::{ArtifactSpec, Belonging, Skill, Variable};
use domain::{
    ApprovalId, ArtifactRef, CallId, Digest, Fault, FaultKind, Json, Limits, Plan, PlannedStage,
    RunId, StageIdx, StageKey, Timestamp,
};

use crate::{
    AnswerSource, Append, Beside, CallAnswered, CallOrigin, CallStarted, CallTiming, Error,
    Options, Spent, Store, Texts, calls, digest_of,
};

/// From one command to the next.
pub(crate) const STEP_MS: i64 = 10;

pub(crate) fn run_id(number: u32) -> RunId {
    format!("run_{number:032x}").parse().unwrap()
}

pub(crate) fn approval_id(number: u32) -> ApprovalId {
    format!("appr_{number:032x}").parse().unwrap()
}

pub(crate) fn call_id(number: u32) -> CallId {
    format!("call_{number:032x}").parse().unwrap()
}

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

pub(crate) fn key(text: &str) -> StageKey {
    text.parse().unwrap()
}

pub(crate) fn variable(name: &str, value: &str) -> Variable {
    Variable { name: name.parse().unwrap(), value: Json::from_parsed(value) }
}

pub(crate) fn fault(message: &str) -> Fault {
    let kind = FaultKind::Model(ModelErrorKind::RateLimited { retry_after_ms: Some(1500) });
    Fault { kind, message: message.to_owned() }
}

pub(crate) fn planned(name: &str, gated: bool) -> PlannedStage {
    PlannedStage {
        retry: domain::plan::RetryPolicy::NONE,
        key: key(name),
        title: format!("The {name}"),
        plugin: PinnedPlugin {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            digest: digest_of(name.as_bytes()),
        },
        settings: Json::from_parsed(r#"{"depth": 2}"#),
        skills: vec![Skill { name: "tone".to_owned(), body: "Be kind.".to_owned() }],
        needs: Vec::new(),
        uses: vec!["brief.md".to_owned()],
        makes: vec![ArtifactSpec {
            name: format!("{name}.md"),
            media_type: "text/markdown".to_owned(),
            summary: "What was found.".to_owned(),
        }],
        gate: gated
            .then(|| Gate { question: Some(format!("Is the {name} right?")), ..Gate::default() }),
        limits: Limits::DEFAULT,
        grants: Default::default(),
        model: ModelChoice {
            provider: "scripted".to_owned(),
            model: "scripted-1".to_owned(),
            temperature: Some(0.7),
            max_tokens: None,
            call_time_ms_max: None,
            alternatives: vec![ModelAlternative {
                provider: "local".to_owned(),
                model: "small".to_owned(),
            }],
            caching: Caching::On,
        },
    }
}

/// Two stages with a gate after the first.
pub(crate) fn plan() -> Plan {
    Plan {
        requested_mode: "fancy".parse().unwrap(),
        effective_mode: "foundation_stack".parse().unwrap(),
        fallback: Some(domain::plan::Fallback::UnknownMode),
        profile_version: "3".to_owned(),
        title: "Foundation".to_owned(),
        stages: vec![planned("research", true), planned("voice", false)],
        skill_overrides: Json::empty_object(),
        stage_overrides: Json::empty_object(),
        run_token_count_max: Some(100_000),
        run_cost_nano_usd_max: None,
        on_budget_exceeded: OnBudgetExceeded::Ask,
        budget_warn_percent: Some(80),
    }
}

pub(crate) fn created(plan: Plan) -> Created {
    Created {
        started_by: None,
        request_text: "A lamp for bees".to_owned(),
        belonging: Belonging { thread_id: Some("thread-1".to_owned()), ..Belonging::default() },
        plan,
        variables: vec![variable("audience", r#""beekeepers""#)],
    }
}

pub(crate) fn request(text: &str) -> ModelRequest {
    let message = |role, content: &str| Message { role, content: content.to_owned() };
    ModelRequest {
        messages: vec![message(Role::System, "Answer."), message(Role::User, text)],
        options: ModelOptions::default(),
        label: Some("draft".to_owned()),
    }
}

pub(crate) fn completion(text: &str, cost: Option<u64>) -> Completion {
    Completion {
        content: text.to_owned(),
        finish_reason: FinishReason::Stop,
        model: "scripted-1.1".to_owned(),
        usage: Usage {
            input_tokens: Some(100),
            output_tokens: Some(20),
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: Some(5),
            source: UsageSource::Provider,
        },
        cost_nano_usd: cost,
    }
}

pub(crate) fn stage_call(number: u32, run: &RunId, attempt: u32, ordinal: u32) -> CallStarted {
    let origin = CallOrigin::Stage { run: run.clone(), stage: key("research"), attempt, ordinal };
    call(number, origin)
}

pub(crate) fn call(number: u32, origin: CallOrigin) -> CallStarted {
    CallStarted {
        call: call_id(number),
        origin,
        conversation_id: None,
        request: Arc::new(request("What do bees like?")),
        request_digest: digest_of(b"What do bees like?"),
        provider: "scripted".to_owned(),
        model: "scripted-1".to_owned(),
        at: at(i64::from(number)),
    }
}

pub(crate) fn answered(
    started: CallStarted,
    outcome: Result<Completion, ModelError>,
) -> CallAnswered {
    let timing = CallTiming { queue_ms: 2, first_token_ms: Some(3), total_ms: 7, tries: 1 };
    let at = at(started.at.as_unix_ms() + 7);
    let (provider, model) = (started.provider.clone(), started.model.clone());
    CallAnswered {
        started,
        outcome,
        spent: None,
        provider,
        model,
        source: AnswerSource::Provider,
        fallback_reason: None,
        timing,
        at,
    }
}

/// A call that was stopped after this many tokens of input, with what that cost.
pub(crate) fn canceled(started: CallStarted, input_tokens: u64, cost: Option<u64>) -> CallAnswered {
    let usage = Usage { input_tokens: Some(input_tokens), ..Usage::default() };
    let spent = Spent { content: "Lig".to_owned(), usage, cost_nano_usd: cost };
    let error = model_error(ModelErrorKind::Canceled);
    CallAnswered { spent: Some(spent), ..answered(started, Err(error)) }
}

pub(crate) fn chat(session: Option<&str>) -> CallOrigin {
    CallOrigin::Chat { session_id: session.map(str::to_owned), client_id: None }
}

pub(crate) fn model_error(kind: ModelErrorKind) -> ModelError {
    ModelError { kind, message: "no answer".to_owned() }
}

pub(crate) fn creation(run: u32) -> Append {
    creation_of(run_id(run), i64::from(run), created(plan()))
}

pub(crate) fn creation_of(run: RunId, ms: i64, created: Created) -> Append {
    let events = vec![Event::RunCreated(Arc::new(created))];
    Append { run, expected_version: 0, at: at(ms), events, beside: Vec::new() }
}

pub(crate) fn bound() -> BudgetBound {
    let (scope, unit) = (BudgetScope::Run, BudgetUnit::Tokens);
    BudgetBound { scope, unit, max: u64::MAX, used: 99_990 }
}

fn usage_days(db: &rusqlite::Connection) -> Vec<String> {
    let mut statement = db.prepare("SELECT * FROM usage_days").unwrap();
    let columns = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let cells = (0..columns).map(|idx| format!("{:?}", row.get_ref(idx).unwrap()));
        Ok(cells.collect::<Vec<_>>().join(" "))
    };
    statement.query_map([], line).unwrap().map(Result::unwrap).collect()
}

/// A store with one run.
pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) run: Run,
    pub(crate) version: u64,
    pub(crate) now: i64,
    approvals: u32,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::of(plan()).await
    }

    pub(crate) async fn of(plan: Plan) -> Self {
        Self::with(plan, Texts::Whole).await
    }

    pub(crate) async fn with(plan: Plan, texts: Texts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_with(folder.path(), Options { texts }).unwrap();
        let creation = creation_of(run_id(1), 0, created(plan));
        let Event::RunCreated(created) = &creation.events[0] else { unreachable!() };
        let run = Run::create(run_id(1), Arc::clone(created));
        store.append(creation).await.unwrap();
        Self { store, folder, run, version: 1, now: 0, approvals: 0 }
    }

    /// Decides and appends, ten milliseconds after what was before, and compares the projections with a replay.
    pub(crate) async fn give(&mut self, command: Command) {
        self.give_with(command, Vec::new()).await.unwrap();
    }

    pub(crate) async fn give_with(
        &mut self,
        command: Command,
        beside: Vec<Beside>,
    ) -> Result<(), Error> {
        let events = self.run.decide(command).unwrap();
        self.now += STEP_MS;
        let append = Append {
            run: self.run.id().clone(),
            expected_version: self.version,
            at: at(self.now),
            events: events.clone(),
            beside,
        };
        self.store.append(append).await?;
        self.version += events.len() as u64;
        events.iter().for_each(|event| self.run.apply(event));
        self.check().await;
        Ok(())
    }

    pub(crate) async fn check(&self) {
        let compared = self.store.projections_equal_replay(self.run.id()).await.unwrap();
        assert_eq!(compared, Ok(()));
        self.check_usage().await;
    }

    /// Compares the sums of usage with those that the journal gives.
    pub(crate) async fn check_usage(&self) {
        let compare = |db: &rusqlite::Connection| {
            let none = "SELECT NOT EXISTS (SELECT 1 FROM llm_calls)";
            if db.query_row(none, [], |row| row.get(0)).unwrap() {
                return;
            }
            let kept = usage_days(db);
            calls::rebuild_usage_days(db).unwrap();
            assert_eq!(kept, usage_days(db));
        };
        self.store.tamper(compare).await.expect("the sums are those of the journal");
    }

    /// Lets the running attempt wait for a budget of the run.
    pub(crate) async fn open_budget_gate(&mut self, stage: u16) {
        let attempt = self.run.progress()[usize::from(stage)].attempts;
        self.approvals += 1;
        let command = Command::OpenBudgetGate {
            stage: StageIdx(stage),
            attempt,
            approval: approval_id(self.approvals),
            content_hash: digest("100000 tokens of the run"),
            bound: bound(),
        };
        self.give(command).await;
    }

    pub(crate) async fn start(&mut self, stage: u16) {
        self.give(Command::StartStage { stage: StageIdx(stage) }).await;
    }

    /// Finishes the running attempt with one artifact of this text.
    pub(crate) async fn finish(&mut self, stage: u16, text: &str) {
        self.finish_with(stage, text, Vec::new()).await;
    }

    pub(crate) async fn finish_with(&mut self, stage: u16, text: &str, variables: Vec<Variable>) {
        let attempt = self.run.progress()[usize::from(stage)].attempts;
        let data = format!(r#"{{"words": {}}}"#, text.split_whitespace().count());
        let result = StageResult {
            artifacts: vec![self.made_by(stage, text)],
            data: digest_of(data.as_bytes()),
            summary: format!("{} bytes", text.len()),
            variables,
            content_hash: digest_of(text.as_bytes()),
        };
        self.approvals += 1;
        let approval = approval_id(self.approvals);
        let stage = StageIdx(stage);
        let beside = vec![body(text), body(&data)];
        self.give_with(
            Command::FinishStage { stage, attempt, result, approval, at: at(self.now + STEP_MS) },
            beside,
        )
        .await
        .unwrap();
    }

    pub(crate) async fn fail(&mut self, stage: u16) {
        let attempt = self.run.progress()[usize::from(stage)].attempts;
        let fault = fault("the model asks to slow down");
        let at = at(self.now + STEP_MS);
        self.give(Command::FailStage { stage: StageIdx(stage), attempt, fault, at }).await;
    }

    pub(crate) async fn decide(&mut self, verdict: Verdict) {
        self.decide_as("ann", verdict).await;
    }

    pub(crate) async fn decide_as(&mut self, actor: &str, verdict: Verdict) {
        self.decide_with(actor, verdict, None).await;
    }

    /// Grants with this text in place of the stage's artifact.
    pub(crate) async fn edit_as(&mut self, actor: &str, text: &str) {
        self.decide_with(actor, Verdict::Granted, Some(text)).await;
    }

    async fn decide_with(&mut self, actor: &str, verdict: Verdict, text: Option<&str>) {
        let gate = self.run.open_gate().unwrap();
        let (approval, stage) = (gate.approval.clone(), gate.stage);
        let edit = text.map(|text| Edit {
            artifacts: vec![self.made_by(stage.0, text)],
            content_hash: digest_of(text.as_bytes()),
        });
        let comment = Some("as it is".to_owned());
        let decision = Decision { actor: actor.to_owned(), comment };
        let (groups, content_hash) = (Vec::new(), None);
        let command =
            Command::DecideGate { approval, verdict, decision, groups, content_hash, edit };
        self.give_with(command, text.map(body).into_iter().collect()).await.unwrap();
    }

    /// The stage's artifact with this text.
    fn made_by(&self, stage: u16, text: &str) -> ArtifactRef {
        let name = &self.run.plan().stages[usize::from(stage)].makes[0].name;
        ArtifactRef {
            name: name.parse().unwrap(),
            media_type: "text/markdown".to_owned(),
            digest: digest_of(text.as_bytes()),
            size_bytes: text.len() as u64,
        }
    }

    /// Lets the time pass to this moment; what is due comes about.
    pub(crate) async fn pass_to(&mut self, ms: i64) {
        self.now = ms - STEP_MS;
        self.give(Command::PassTime { now: at(ms) }).await;
    }

    pub(crate) async fn row(&self) -> crate::RunRow {
        self.store.run(self.run.id()).await.unwrap().unwrap()
    }

    pub(crate) async fn status(&self) -> Status {
        self.row().await.status
    }

    /// Each stage in one line: status, attempt, and queue, work, model wait and human wait.
    pub(crate) async fn stages(&self) -> String {
        let stages = self.store.stages(self.run.id()).await.unwrap();
        let line = |stage: &crate::StageRow| {
            let times = stage.times;
            format!(
                "{} {} attempt={} queue={} work={} model={} human={}",
                stage.key,
                stage.status.as_str(),
                stage.attempt,
                times.queue_ms,
                times.work_ms,
                times.model_wait_ms,
                times.human_wait_ms
            )
        };
        stages.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

pub(crate) fn body(text: &str) -> Beside {
    Beside::Body { digest: digest(text), text: text.to_owned() }
}

pub(crate) fn digest(text: &str) -> Digest {
    digest_of(text.as_bytes())
}

pub(crate) fn resume() -> Command {
    Command::Resume { actor: "ann".to_owned() }
}

pub(crate) fn pause() -> Command {
    Command::Pause { actor: "ann".to_owned() }
}

pub(crate) fn cancel() -> Command {
    Command::Cancel { actor: "ann".to_owned(), reason: None }
}

pub(crate) fn retry(from: Option<u16>) -> Command {
    Command::Retry { from: from.map(StageIdx), actor: "ann".to_owned() }
}
