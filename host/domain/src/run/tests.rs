//! The state machine from outside: commands in, a place or a refusal out.
mod budgets;
mod gates;
mod retries;
mod table;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::fault::FaultKind;
use crate::plan::{
    DeadlineOutcome, Gate, GateDeadline, GatePolicy, ModelChoice, OnBudgetExceeded, PinnedPlugin,
    PlannedStage, Reminder, RetryOn, RetryPolicy, Reviewer, SelfApproval, WhenSpent,
};
use crate::stage::Belonging;
use crate::{CallId, Json, Limits};

const NOON: Timestamp = Timestamp::from_unix_ms(43_200_000);

fn hex(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

fn approval(number: u32) -> ApprovalId {
    format!("appr_{number:032x}").parse().unwrap()
}

fn call() -> CallId {
    format!("call_{:032x}", 1).parse().unwrap()
}

fn stage(number: usize, gate: Option<Gate>) -> PlannedStage {
    PlannedStage {
        key: format!("stage-{number}").parse().unwrap(),
        title: format!("Stage {number}"),
        plugin: PinnedPlugin { name: "p".into(), version: "1.0.0".into(), digest: hex('0') },
        settings: Json::empty_object(),
        skills: Vec::new(),
        needs: Vec::new(),
        uses: Vec::new(),
        makes: Vec::new(),
        gate,
        retry: RetryPolicy::NONE,
        limits: Limits::DEFAULT,
        model: ModelChoice::default(),
        grants: Default::default(),
    }
}

fn gate(policy: GatePolicy) -> Gate {
    Gate { question: None, policy }
}

/// Two people of the board grant; Carl joins them after an hour; everybody is reminded twice.
fn board() -> GatePolicy {
    GatePolicy {
        grant_count: 2,
        reviewers: vec![Reviewer::Actor("anna".into()), Reviewer::Actor("bob".into())],
        deadline: Some(GateDeadline {
            after: Duration::from_secs(3_600),
            outcome: DeadlineOutcome::Escalate { to: vec![Reviewer::Actor("carl".into())] },
        }),
        reminder: Some(Reminder {
            webhook: "desk".into(),
            after: Duration::from_secs(60),
            every: Some(Duration::from_secs(600)),
            count_max: 2,
        }),
        ..GatePolicy::default()
    }
}

/// Tried twice, and then the run pauses.
fn twice() -> RetryPolicy {
    RetryPolicy {
        attempt_count_max: 2,
        on: RetryOn::Codes(vec![FaultKind::Trap.code().into()]),
        when_spent: WhenSpent::Pause,
        ..RetryPolicy::NONE
    }
}

/// A run whose stages are written as letters: `g` with a gate after it, `b` with a gate for the board, `r` without a
/// gate and tried twice, `-` with nothing of it.
fn run(stages: &str) -> Run {
    let planned = |(number, letter)| match letter {
        'g' => stage(number, Some(Gate::default())),
        'b' => stage(number, Some(gate(board()))),
        'r' => PlannedStage { retry: twice(), ..stage(number, None) },
        '-' => stage(number, None),
        other => panic!("no stage is written `{other}`"),
    };
    run_of(stages.chars().enumerate().map(planned).collect(), None)
}

fn run_of(stages: Vec<PlannedStage>, started_by: Option<&str>) -> Run {
    let mode: crate::Mode = "test".parse().unwrap();
    let plan = Plan {
        requested_mode: mode.clone(),
        effective_mode: mode,
        fallback: None,
        profile_version: "1".into(),
        title: "Test".into(),
        stages,
        skill_overrides: Json::empty_object(),
        stage_overrides: Json::empty_object(),
        run_token_count_max: None,
        run_cost_nano_usd_max: None,
        on_budget_exceeded: OnBudgetExceeded::Ask,
        budget_warn_percent: None,
    };
    let created = Created {
        request_text: "bees".into(),
        belonging: Belonging::default(),
        plan,
        variables: Vec::new(),
        started_by: started_by.map(str::to_owned),
    };
    Run::create(format!("run_{:032x}", 1).parse().unwrap(), Arc::new(created))
}

fn result() -> StageResult {
    StageResult {
        artifacts: vec![artifact('c')],
        data: hex('d'),
        summary: String::new(),
        variables: Vec::new(),
        content_hash: hex('c'),
    }
}

fn fault() -> Fault {
    Fault { kind: FaultKind::Trap, message: "it trapped".into() }
}

fn start(stage: u16) -> Command {
    Command::StartStage { stage: StageIdx(stage) }
}

fn finish(stage: u16, attempt: u32) -> Command {
    // One question per stage and attempt, as the engine would name it.
    let number = u32::from(stage) * 100 + attempt;
    Command::FinishStage {
        stage: StageIdx(stage),
        attempt,
        result: result(),
        approval: approval(number),
        at: NOON,
    }
}

fn fail(stage: u16, attempt: u32) -> Command {
    Command::FailStage { stage: StageIdx(stage), attempt, fault: fault(), at: NOON }
}

fn decide(number: u32, verdict: Verdict) -> Command {
    decided_by("anna", number, verdict)
}

fn decided_by(actor: &str, number: u32, verdict: Verdict) -> Command {
    Command::DecideGate {
        approval: approval(number),
        verdict,
        decision: Decision { actor: actor.into(), comment: None },
        groups: Vec::new(),
        content_hash: None,
        edit: None,
    }
}

fn revised_by(actor: &str, number: u32, words: &str) -> Command {
    Command::DecideGate {
        approval: approval(number),
        verdict: Verdict::Revised,
        decision: Decision { actor: actor.into(), comment: Some(words.into()) },
        groups: Vec::new(),
        content_hash: None,
        edit: None,
    }
}

/// A grant of a text that the reviewer has changed into this one; they had looked at that one, if at any.
fn edited_by(actor: &str, number: u32, seen: Option<char>, text: char) -> Command {
    Command::DecideGate {
        approval: approval(number),
        verdict: Verdict::Granted,
        decision: Decision { actor: actor.into(), comment: None },
        groups: Vec::new(),
        content_hash: seen.map(hex),
        edit: Some(Edit { artifacts: vec![artifact(text)], content_hash: hex(text) }),
    }
}

/// The one artifact of every stage, with this text.
fn artifact(text: char) -> ArtifactRef {
    ArtifactRef {
        name: "text.md".parse().unwrap(),
        media_type: "text/markdown".into(),
        digest: hex(text),
        size_bytes: 1,
    }
}

fn pass_time(ms: i64) -> Command {
    Command::PassTime { now: Timestamp::from_unix_ms(NOON.as_unix_ms() + ms) }
}

fn grant(number: u32) -> Command {
    decide(number, Verdict::Granted)
}

fn reject(number: u32) -> Command {
    decide(number, Verdict::Rejected)
}

fn pause() -> Command {
    Command::Pause { actor: "anna".into() }
}

fn resume() -> Command {
    Command::Resume { actor: "anna".into() }
}

fn cancel() -> Command {
    Command::Cancel { actor: "anna".into(), reason: None }
}

fn retry(from: Option<u16>) -> Command {
    Command::Retry { from: from.map(StageIdx), actor: "anna".into() }
}

/// The run after commands that are all accepted, and replayed from its events.
#[track_caller]
fn carried_on(mut run: Run, commands: impl IntoIterator<Item = Command>) -> Run {
    let mut log = vec![Event::RunCreated(Arc::clone(&run.created))];
    for command in commands {
        match give(&mut run, command.clone()) {
            Ok(events) => log.extend(events),
            Err(refusal) => panic!("{command:?} was refused: {refusal}"),
        }
    }
    assert_eq!(Run::replay(run.id.clone(), &log).as_ref(), Some(&run));
    run
}

/// Where a command leads, or why it does not.
fn outcome(run: &mut Run, command: Command) -> String {
    match give(run, command) {
        Ok(events) if events.is_empty() => format!("{} (nothing recorded)", where_is(run)),
        Ok(_) => where_is(run),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::kind).collect()
}

fn give(run: &mut Run, command: Command) -> Result<Vec<Event>, Refusal> {
    let events = run.decide(command)?;
    events.iter().for_each(|event| run.apply(event));
    Ok(events)
}

fn gate_words(gate: &OpenGate) -> String {
    let granted: Vec<&str> = gate.grants.iter().map(|grant| grant.actor.as_str()).collect();
    match &gate.subject {
        GateSubject::Result if granted.is_empty() => format!("gate after {}", gate.stage.0),
        GateSubject::Result => {
            format!("gate after {}, granted by {}", gate.stage.0, granted.join(" and "))
        }
        GateSubject::Budget { attempt, .. } => {
            format!("budget gate in {} attempt {attempt}", gate.stage.0)
        }
    }
}

fn where_is(run: &Run) -> String {
    let place = match run.state() {
        RunState::Ready { stage } => format!("ready {}", stage.0),
        RunState::Running { stage, attempt, after: AfterAttempt::GoOn } => {
            format!("running {} attempt {attempt}", stage.0)
        }
        RunState::Running { stage, attempt, after: AfterAttempt::Pause } => {
            format!("running {} attempt {attempt}, then pause", stage.0)
        }
        RunState::BackingOff { stage, until, .. } => {
            format!("backing off before {} until +{} ms", stage.0, until.ms_since(NOON))
        }
        RunState::AwaitingGate { gate } => gate_words(gate),
        RunState::Paused { at: PausedAt::Stage(stage) } => format!("paused before {}", stage.0),
        RunState::Paused { at: PausedAt::Gate(gate) } => {
            format!("paused at {}", gate_words(gate))
        }
        RunState::Paused { at: PausedAt::Attempt { stage, attempt } } => {
            format!("paused in {} attempt {attempt}", stage.0)
        }
        RunState::Paused { at: PausedAt::Spent { stage, .. } } => {
            format!("paused before {}, its retries are spent", stage.0)
        }
        RunState::Finished(Ending::Completed) => "completed".to_owned(),
        RunState::Finished(Ending::Failed { stage, .. }) => format!("failed at {}", stage.0),
        RunState::Finished(Ending::Rejected { stage, .. }) => format!("rejected at {}", stage.0),
        RunState::Finished(Ending::Canceled { stage, .. }) => format!("canceled at {}", stage.0),
    };
    format!("{}: {place}", run.status().as_str())
}

/// Gives commands in turn; all but the last must be accepted.
#[track_caller]
fn check(stages: &str, commands: impl IntoIterator<Item = Command>, expected: &str) {
    check_run(run(stages), commands, expected);
}

#[track_caller]
fn check_run(run: Run, commands: impl IntoIterator<Item = Command>, expected: &str) {
    let mut commands: Vec<Command> = commands.into_iter().collect();
    let last = commands.pop();
    let mut run = carried_on(run, commands);
    let found = match last {
        Some(last) => outcome(&mut run, last),
        None => where_is(&run),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_run_begins_queued() {
    check("g-", [], "queued: ready 0");
}

#[test]
fn without_a_gate_the_next_stage_begins_at_once() {
    check("--", [start(0), finish(0, 1)], "running: running 1 attempt 1");
}

#[test]
fn a_gate_stops_the_run() {
    check("g-", [start(0), finish(0, 1)], "waiting_approval: gate after 0");
}

#[test]
fn a_grant_opens_the_next_stage() {
    check("g-", [start(0), finish(0, 1), grant(1)], "running: ready 1");
}

#[test]
fn a_grant_of_the_last_gate_completes_the_run() {
    check("g", [start(0), finish(0, 1), grant(1)], "completed: completed");
}

#[test]
fn the_last_stage_completes_the_run() {
    check("-", [start(0), finish(0, 1)], "completed: completed");
}

#[test]
fn a_rejection_ends_the_run() {
    check("g-", [start(0), finish(0, 1), reject(1)], "failed: rejected at 0");
}

#[test]
fn the_same_decision_again_records_nothing() {
    check(
        "g-",
        [start(0), finish(0, 1), grant(1), grant(1)],
        "running: ready 1 (nothing recorded)",
    );
}

#[test]
fn another_decision_is_refused() {
    check(
        "g-",
        [start(0), finish(0, 1), grant(1), reject(1)],
        "refused: the approval is already granted",
    );
    check(
        "g-",
        [start(0), finish(0, 1), reject(1), grant(1)],
        "refused: the approval is already rejected",
    );
}

#[test]
fn an_approval_of_another_run_is_refused() {
    check("g-", [start(0), finish(0, 1), grant(7)], "refused: the run has no such approval");
}

#[test]
fn an_approval_of_a_canceled_run_is_closed() {
    check(
        "g-",
        [start(0), finish(0, 1), cancel(), grant(1)],
        "refused: the run is canceled: the approval is no longer open",
    );
}

#[test]
fn a_decision_on_changed_content_is_refused() {
    let stale = Command::DecideGate {
        approval: approval(1),
        verdict: Verdict::Granted,
        decision: Decision { actor: "anna".into(), comment: None },
        groups: Vec::new(),
        content_hash: Some(hex('0')),
        edit: None,
    };
    check(
        "g-",
        [start(0), finish(0, 1), stale],
        "refused: the content has changed since it was looked at",
    );
}

#[test]
fn a_failed_stage_fails_the_run() {
    check("--", [start(0), fail(0, 1)], "failed: failed at 0");
}

#[test]
fn a_retry_starts_at_the_failed_stage_with_a_new_attempt() {
    let until_failure = [start(0), finish(0, 1), fail(1, 1), retry(None), start(1)];
    check("--", until_failure, "running: running 1 attempt 2");
}

#[test]
fn a_retry_from_an_earlier_stage_does_all_since_again() {
    let commands = [start(0), finish(0, 1), finish(1, 1), retry(Some(0)), start(0), finish(0, 2)];
    check("--", commands, "running: running 1 attempt 2");
}

#[test]
fn a_retry_needs_the_results_before_it() {
    check(
        "---",
        [start(0), fail(0, 1), retry(Some(2))],
        "refused: the stage before the one named has no result: start again from an earlier one",
    );
}

#[test]
fn a_completed_run_is_retried_only_from_a_named_stage() {
    check(
        "-",
        [start(0), finish(0, 1), retry(None)],
        "refused: the run is completed: name the stage to start again from",
    );
    check("-", [start(0), finish(0, 1), retry(Some(0))], "running: ready 0");
}

#[test]
fn a_running_attempt_is_finished_before_a_pause() {
    check("--", [start(0), pause()], "running: running 0 attempt 1, then pause");
    check("--", [start(0), pause(), finish(0, 1)], "paused: paused before 1");
    check("--", [start(0), pause(), finish(0, 1), resume()], "running: ready 1");
}

#[test]
fn a_pause_can_be_taken_back() {
    check("--", [start(0), pause(), resume()], "running: running 0 attempt 1");
}

#[test]
fn a_gate_can_be_decided_during_a_pause() {
    let paused = [start(0), finish(0, 1), pause()];
    check("g-", paused.clone(), "paused: paused at gate after 0");
    check("g-", paused.clone().into_iter().chain([grant(1)]), "paused: paused before 1");
    check("g-", paused.clone().into_iter().chain([reject(1)]), "failed: rejected at 0");
    check("g-", paused.into_iter().chain([resume()]), "waiting_approval: gate after 0");
}

#[test]
fn a_pause_during_the_stage_holds_at_its_gate() {
    check("g-", [start(0), pause(), finish(0, 1)], "paused: paused at gate after 0");
}

#[test]
fn resuming_a_run_that_ended_records_nothing() {
    check("-", [start(0), finish(0, 1), resume()], "completed: completed (nothing recorded)");
    check("-", [start(0), fail(0, 1), resume()], "failed: failed at 0 (nothing recorded)");
}

#[test]
fn canceling_works_everywhere_before_the_end_and_twice_is_once() {
    check("g-", [cancel()], "canceled: canceled at 0");
    check("g-", [start(0), cancel()], "canceled: canceled at 0");
    check("g-", [start(0), finish(0, 1), cancel()], "canceled: canceled at 0");
    check("g-", [start(0), cancel(), cancel()], "canceled: canceled at 0 (nothing recorded)");
    check("-", [start(0), finish(0, 1), cancel()], "refused: the run has ended: it is completed");
}

#[test]
fn a_result_of_a_canceled_attempt_is_refused() {
    check("-", [start(0), cancel(), finish(0, 1)], "refused: that attempt is not running");
}

#[test]
fn a_retry_takes_back_the_variables_of_the_stages_done_again() {
    let mut run = run("--");
    let mut named = result();
    named.variables = vec![Variable { name: "x".parse().unwrap(), value: Json::from_parsed("1") }];
    give(&mut run, start(0)).unwrap();
    give(&mut run, finish(0, 1)).unwrap();
    let second = Command::FinishStage {
        stage: StageIdx(1),
        attempt: 1,
        result: named,
        approval: approval(1),
        at: NOON,
    };
    give(&mut run, second).unwrap();
    assert_eq!(run.variables().len(), 1);
    give(&mut run, retry(Some(1))).unwrap();
    assert_eq!(run.variables(), []);
}
