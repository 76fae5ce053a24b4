//! The tables of `RUNS.md`, made by the machine itself: every command in every kind of state.
use super::*;

const RUNS: &str = include_str!("../../../../RUNS.md");

/// A kind of state, and a run that is in it.
struct Example {
    name: &'static str,
    run: Run,
}

/// One for each kind of state. A kind that is missing is noticed when a command leads to it.
fn examples() -> Vec<Example> {
    let ready = || vec![start(0), finish(0, 1), grant(1)];
    let running = || [ready(), vec![start(1)]].concat();
    let at_gate = || vec![start(0), finish(0, 1)];
    let with = |commands: Vec<Command>, last: Command| [commands, vec![last]].concat();
    let bound = || budgets::used(BudgetScope::Run, 100);
    let at_budget = || with(running(), budgets::ask_for_budget(1, 1, 50, bound()));
    let backing_off = || with(running(), fail(1, 1));
    let spent = || [backing_off(), vec![pass_time(3_600_000), start(1), fail(1, 2)]].concat();
    let paused_at_budget = || with(at_budget(), pause());
    [
        ("g--", vec![]),
        ("g--", ready()),
        ("g--", running()),
        ("g--", with(running(), pause())),
        ("gr-", backing_off()),
        ("g--", at_gate()),
        ("b--", with(at_gate(), grant(1))),
        ("g--", at_budget()),
        ("g--", with(ready(), pause())),
        ("g--", with(at_gate(), pause())),
        ("g--", paused_at_budget()),
        ("g--", with(paused_at_budget(), grant(50))),
        ("gr-", spent()),
        ("g", with(at_gate(), grant(1))),
        ("g--", with(running(), fail(1, 1))),
        ("g--", with(at_gate(), reject(1))),
        ("g--", with(at_gate(), cancel())),
    ]
    .map(|(stages, commands)| {
        let run = carried_on(run(stages), commands);
        Example { name: name(&run), run }
    })
    .into()
}

/// What the kind of state is called in the tables.
fn name(run: &Run) -> &'static str {
    let is_queued = run.status() == Status::Queued;
    match run.state() {
        RunState::Ready { .. } if is_queued => "queued",
        RunState::Ready { .. } => "ready",
        RunState::Running { after: AfterAttempt::GoOn, .. } => "running",
        RunState::Running { after: AfterAttempt::Pause, .. } => "running, then pause",
        RunState::BackingOff { .. } => "backing off",
        RunState::AwaitingGate { gate } => match &gate.subject {
            GateSubject::Result if gate.grants.is_empty() => "at a gate",
            GateSubject::Result => "at a gate, granted in part",
            GateSubject::Budget { .. } => "at a budget gate",
        },
        RunState::Paused { at: PausedAt::Stage(_) } => "paused before a stage",
        RunState::Paused { at: PausedAt::Gate(gate) } => match &gate.subject {
            GateSubject::Result => "paused at a gate",
            GateSubject::Budget { .. } => "paused at a budget gate",
        },
        RunState::Paused { at: PausedAt::Attempt { .. } } => "paused in an attempt",
        RunState::Paused { at: PausedAt::Spent { .. } } => "paused, retries spent",
        RunState::Finished(Ending::Completed) => "completed",
        RunState::Finished(Ending::Failed { .. }) => "failed",
        RunState::Finished(Ending::Rejected { .. }) => "rejected",
        RunState::Finished(Ending::Canceled { .. }) => "canceled",
    }
}

/// What a run in this state waits for.
fn waits_for(run: &Run) -> &'static str {
    match run.state() {
        RunState::Ready { .. } => "room for one more stage at work",
        RunState::Running { after: AfterAttempt::GoOn, .. } => "the stage",
        RunState::Running { after: AfterAttempt::Pause, .. } => "the stage, and pauses after it",
        RunState::BackingOff { .. } => "the time of the next attempt",
        RunState::AwaitingGate { gate } => match &gate.subject {
            GateSubject::Result if gate.grants.is_empty() => "a decision, or the gate's deadline",
            GateSubject::Result => "somebody else's decision, or the gate's deadline",
            GateSubject::Budget { .. } => "a decision",
        },
        RunState::Paused { at: PausedAt::Stage(_) | PausedAt::Attempt { .. } } => "a resume",
        RunState::Paused { at: PausedAt::Gate(_) } => "a resume; the gate can be decided before",
        RunState::Paused { at: PausedAt::Spent { .. } } => "a resume or a retry",
        RunState::Finished(Ending::Completed) => "nothing: every stage is done",
        RunState::Finished(Ending::Failed { .. }) => "nothing: a stage failed",
        RunState::Finished(Ending::Rejected { .. }) => "nothing: somebody, or a deadline, said no",
        RunState::Finished(Ending::Canceled { .. }) => "nothing: somebody called it off",
    }
}

/// The word that the API has for a refusal.
fn code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownApproval => "approval_unknown",
        Refusal::AlreadyDecided { .. } => "approval_decided",
        Refusal::ApprovalClosed { .. } => "approval_closed",
        Refusal::NotAReviewer { .. } => "reviewer_not_allowed",
        Refusal::SelfApproval { .. } => "self_approval",
        Refusal::NoContent => "gate_without_content",
        Refusal::ContentChanged => "content_changed",
        Refusal::RunEnded { .. } => "run_ended",
        Refusal::RunNotEnded { .. } => "run_not_ended",
        Refusal::StageNotNamed => "stage_not_named",
        Refusal::UnknownStage { .. } => "stage_unknown",
        Refusal::EarlierStageMissing { .. } => "earlier_stage_missing",
        Refusal::EarlierGateNotPassed { .. } => "earlier_gate_not_passed",
        Refusal::StaleAttempt => "attempt_stale",
    }
}

fn answer(run: &Run, command: Command) -> String {
    let mut run = run.clone();
    match give(&mut run, command) {
        Ok(events) if events.is_empty() => "nothing changes".to_owned(),
        Ok(_) => {
            let name = name(&run);
            assert!(examples().iter().any(|example| example.name == name), "no example: {name}");
            format!("→ {name}")
        }
        Err(refusal) => format!("`{}`", code(&refusal)),
    }
}

/// The question that is open, or else the last one that was.
fn question(run: &Run) -> ApprovalId {
    let open = run.open_gate().map(|gate| gate.approval.clone());
    let decided = || run.decided.last().map(|decided| decided.approval.clone());
    open.or_else(|| run.closed.last().cloned()).or_else(decided).unwrap_or_else(|| approval(1))
}

fn about(question: &ApprovalId, mut command: Command) -> Command {
    if let Command::DecideGate { approval, .. } = &mut command {
        approval.clone_from(question);
    }
    command
}

type Column = (&'static str, Command);

fn table(first: &str, rows: &[(&str, &Run)], columns: &[Column]) -> String {
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let mut lines = vec![line(first, &heads), line("---", &vec!["---"; heads.len()])];
    for (name, run) in rows {
        let question = question(run);
        let told = |(_, command): &Column| answer(run, about(&question, command.clone()));
        lines.push(line(name, &columns.iter().map(told).collect::<Vec<_>>()));
    }
    lines.join("\n")
}

fn line(first: &str, cells: &[impl AsRef<str>]) -> String {
    let mut line = format!("| {first} |");
    for cell in cells {
        line.push_str(&format!(" {} |", cell.as_ref()));
    }
    line
}

#[track_caller]
fn expect_in_file(table: &str) {
    assert!(
        RUNS.contains(table),
        "`host/RUNS.md` says something else than the state machine does: copy the table below into it\n\n{table}\n"
    );
}

#[test]
fn every_kind_of_state_is_described() {
    let mut lines =
        vec![line("state", &["`status`", "what the run waits for"]), line("---", &["---", "---"])];
    for Example { name, run } in &examples() {
        let status = format!("`{}`", run.status().as_str());
        lines.push(line(name, &[status.as_str(), waits_for(run)]));
    }
    let names: std::collections::HashSet<_> = lines.iter().collect();
    assert_eq!(names.len(), lines.len(), "each once");
    expect_in_file(&lines.join("\n"));
}

#[test]
fn every_order_in_every_kind_of_state_has_the_answer_that_is_described() {
    let examples = examples();
    let rows: Vec<_> = examples.iter().map(|example| (example.name, &example.run)).collect();
    let columns = [
        ("pause", pause()),
        ("resume", resume()),
        ("cancel", cancel()),
        ("retry", retry(None)),
        ("retry from the first stage", retry(Some(0))),
    ];
    expect_in_file(&table("told to", &rows, &columns));
}

#[test]
fn every_decision_in_every_kind_of_state_has_the_answer_that_is_described() {
    let examples = examples();
    let rows: Vec<_> = examples.iter().map(|example| (example.name, &example.run)).collect();
    let columns = [
        ("grant", decided_by("bob", 1, Verdict::Granted)),
        ("reject", decided_by("bob", 1, Verdict::Rejected)),
        ("revise", revised_by("bob", 1, "shorter")),
        ("edit", edited_by("bob", 1, None, 'e')),
    ];
    expect_in_file(&table("decided", &rows, &columns));
}

#[test]
fn every_decision_after_another_one_has_the_answer_that_is_described() {
    let after = |decision: Command| carried_on(run("g--"), [start(0), finish(0, 1), decision]);
    let granted = after(grant(1));
    let edited = after(edited_by("anna", 1, Some('c'), 'e'));
    let (rejected, revised) = (after(reject(1)), after(revised_by("anna", 1, "shorter")));
    let closed = after(cancel());
    let rows = [
        ("granted", &granted),
        ("granted with an edit", &edited),
        ("rejected", &rejected),
        ("sent back with words", &revised),
        ("closed by a cancel", &closed),
    ];
    let columns = [
        ("grant", grant(1)),
        ("grant of another text", edited_by("anna", 1, None, 'f')),
        ("the same edit", edited_by("anna", 1, Some('c'), 'e')),
        ("reject", reject(1)),
        ("revise, the same words", revised_by("anna", 1, "shorter")),
        ("revise, other words", revised_by("anna", 1, "longer")),
    ];
    expect_in_file(&table("the approval is", &rows, &columns));
}
