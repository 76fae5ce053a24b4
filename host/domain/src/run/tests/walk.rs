//! Every command in every state that short plans reach.
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::budgets::{ask_for_budget, used, warn};
use super::*;

/// Names the next gate for a budget: no two of a run have the same.
fn budget_gate(run: &Run) -> u32 {
    10_000 + u32::try_from(run.decided.len() + run.closed.len()).unwrap()
}

fn every_command(run: &Run) -> Vec<Command> {
    let mut commands = vec![pause(), resume(), cancel(), retry(None), grant(7), reject(7)];
    for stage in 0..run.plan().stages.len() {
        let idx = u16::try_from(stage).unwrap();
        let attempts = run.progress()[stage].attempts;
        let number = u32::from(idx) * 100 + attempts;
        commands.extend([start(idx), finish(idx, attempts), fail(idx, attempts)]);
        commands.extend([retry(Some(idx)), grant(number), reject(number)]);
        commands.push(warn(idx, attempts, used(BudgetScope::Run, 100)));
        commands.push(ask_for_budget(
            idx,
            attempts,
            budget_gate(run),
            used(BudgetScope::Stage, 100),
        ));
        commands.push(Command::NoteModelCall(ModelCallNote {
            stage: StageIdx(idx),
            attempt: attempts,
            ordinal: 1,
            call: call(),
            outcome: CallOutcome::Failed { code: "model_timeout".into(), message: String::new() },
        }));
    }
    for decided in 0..=run.decided.len() + run.closed.len() {
        let number = 10_000 + u32::try_from(decided).unwrap();
        commands.extend([grant(number), reject(number)]);
    }
    commands
}

/// Attempts, grants and warnings can go on for ever: a few of each show what they do.
fn is_within_bounds(run: &Run) -> bool {
    run.progress().iter().all(|stage| stage.attempts <= 2)
        && run.allowances.len() <= 1
        && run.closed.len() <= 1
}

/// What tells states apart. Which questions were decided does not: their names are never used again.
fn key(run: &Run) -> String {
    let open = run.open_gate().map(|gate| &gate.subject);
    let allowed = (run.allowances.len(), run.warned.len());
    let state = where_is(run);
    let attempts: Vec<_> =
        run.progress.iter().map(|stage| (stage.attempts, stage.result.is_some())).collect();
    format!("{state} {open:?} {attempts:?} {allowed:?}")
}

#[test]
fn every_command_in_every_state_keeps_the_invariants() {
    let mut states_seen = 0;
    let mut gates_seen = 0;
    for stages in ["-", "g", "--", "g-", "-g", "gg", "---", "g-g"] {
        let mut queue = VecDeque::from([(run(stages), Vec::<Event>::new())]);
        let mut seen: HashSet<String> = HashSet::new();
        while let Some((run, log)) = queue.pop_front() {
            for command in every_command(&run) {
                let mut next = run.clone();
                let Ok(events) = give(&mut next, command.clone()) else { continue };
                check_invariants(&run, &command, &events, &next);
                check_budgets(&run, &command, &events, &next);
                let mut log = log.clone();
                log.extend(events);
                check_replay(&next, &log);
                gates_seen += usize::from(matches!(command, Command::OpenBudgetGate { .. }));
                if is_within_bounds(&next) && seen.insert(key(&next)) {
                    queue.push_back((next, log));
                }
            }
        }
        states_seen += seen.len();
    }
    assert!(states_seen > 1_000, "the walk reached {states_seen} states only");
    assert!(gates_seen > 100, "the walk opened {gates_seen} gates for budgets only");
}

#[track_caller]
fn check_invariants(before: &Run, command: &Command, events: &[Event], after: &Run) {
    let words = format!("{command:?} in {:?}", before.state);
    let ended_before = before.status().is_final();
    if ended_before && !events.is_empty() {
        assert!(matches!(command, Command::Retry { .. }), "only a retry leaves the end: {words}");
    }
    if events.is_empty() {
        assert_eq!(before, after, "without an event nothing changes: {words}");
    }
    if after.next_effect().is_some() {
        let status = after.status();
        assert!(matches!(status, Status::Queued | Status::Running), "{words}");
    }
    let waits = matches!(after.status(), Status::WaitingApproval);
    assert!(!waits || after.open_gate().is_some(), "a waiting run has an open gate: {words}");
    let decided: HashSet<_> = after.decided.iter().map(|decided| &decided.approval).collect();
    assert_eq!(decided.len(), after.decided.len(), "a gate is decided at most once: {words}");
    if let Some(gate) = before.open_gate() {
        let is_open = after.open_gate() == Some(gate);
        let is_closed = after.closed.contains(&gate.approval);
        let is_over = decided.contains(&gate.approval) != is_closed;
        assert!(is_open != is_over, "a gate stays open until it is decided or closed: {words}");
    }
}

#[track_caller]
fn check_budgets(before: &Run, command: &Command, events: &[Event], after: &Run) {
    let words = format!("{command:?} in {:?}", before.state);
    assert!(after.allowances.starts_with(&before.allowances), "nothing is taken back: {words}");
    assert!(after.warned.starts_with(&before.warned), "what was said was said: {words}");
    let open = before.open_gate().filter(|_| matches!(events, [Event::GateGranted { .. }, ..]));
    let granted = match open.map(|gate| (gate.stage, &gate.subject)) {
        Some((stage, GateSubject::Budget { attempt, .. })) => Some((stage, *attempt)),
        Some((_, GateSubject::Result)) | None => None,
    };
    let allowed = after.allowances.len() - before.allowances.len();
    assert_eq!(allowed, usize::from(granted.is_some()), "a grant allows once: {words}");
    if let Some((stage, attempt)) = granted {
        assert_eq!(before.progress, after.progress, "the same attempt goes on: {words}");
        let mut resumed = after.clone();
        give(&mut resumed, resume()).unwrap();
        let effect = Effect::RunAttempt { stage, attempt };
        assert_eq!(resumed.next_effect(), Some(effect), "the same attempt goes on: {words}");
    }
}

#[track_caller]
fn check_replay(run: &Run, log: &[Event]) {
    let created = Event::RunCreated(Arc::clone(&run.created));
    let replayed = Run::replay(run.id.clone(), std::iter::once(&created).chain(log)).unwrap();
    assert_eq!(replayed, *run, "a replay gives the same run");
}
