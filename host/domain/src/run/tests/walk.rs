//! Every command in every state that short plans reach.
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::budgets::{ask_for_budget, used, warn};
use super::*;

/// Later than everything that any of the plans waits for.
const MUCH_LATER: Timestamp = Timestamp::from_unix_ms(NOON.as_unix_ms() + 86_400_000);

/// Names the next gate for a budget: no two of a run have the same.
fn budget_gate(run: &Run) -> u32 {
    10_000 + u32::try_from(run.decided.len() + run.closed.len()).unwrap()
}

/// Everything that can be said at a gate, by its two reviewers. Both texts that an edit can put there come back to
/// states that were seen.
fn decisions(number: u32) -> [Command; 7] {
    [
        grant(number),
        decided_by("bob", number, Verdict::Granted),
        reject(number),
        revised_by("anna", number, "shorter"),
        edited_by("anna", number, None, 'e'),
        edited_by("bob", number, Some('c'), 'e'),
        Command::NoteReminder { approval: approval(number), number: 1, at: NOON, failure: None },
    ]
}

fn every_command(run: &Run) -> Vec<Command> {
    let mut commands = vec![pause(), resume(), cancel(), retry(None), grant(7), reject(7)];
    commands.extend([Command::PassTime { now: NOON }, Command::PassTime { now: MUCH_LATER }]);
    for stage in 0..run.plan().stages.len() {
        let idx = u16::try_from(stage).unwrap();
        let attempts = run.progress()[stage].attempts;
        let number = u32::from(idx) * 100 + attempts;
        commands.extend([start(idx), finish(idx, attempts), fail(idx, attempts)]);
        commands.push(retry(Some(idx)));
        commands.extend(decisions(number));
        commands.extend([grant(number.saturating_sub(1)), reject(number.saturating_sub(1))]);
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
        commands.extend([grant(number), reject(number), revised_by("anna", number, "shorter")]);
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
    let open = run.open_gate().map(|gate| {
        let text = gate.content_hash.as_str();
        (&gate.subject, text, gate.timing, gate.reminder_count, gate.is_escalated)
    });
    let allowed = (run.allowances.len(), run.warned.len());
    let state = where_is(run);
    let of_stage = |stage: &StageProgress| {
        let text = stage.result.as_ref().map(|result| result.content_hash.as_str().to_owned());
        (stage.attempts, stage.failures, stage.revision.is_some(), text)
    };
    let progress: Vec<_> = run.progress.iter().map(of_stage).collect();
    format!("{state} {open:?} {progress:?} {allowed:?}")
}

#[test]
fn every_command_in_every_state_keeps_the_invariants() {
    let mut states_seen = 0;
    let mut kinds_seen: HashSet<&'static str> = HashSet::new();
    for stages in ["-", "g", "b", "r", "--", "g-", "-g", "gg", "b-", "rg", "---", "g-g"] {
        let mut queue = VecDeque::from([(run(stages), Vec::<Event>::new())]);
        let mut seen: HashSet<String> = HashSet::new();
        while let Some((run, log)) = queue.pop_front() {
            for command in every_command(&run) {
                let Ok(events) = run.decide(command.clone()) else { continue };
                if events.is_empty() {
                    continue;
                }
                let mut next = run.clone();
                events.iter().for_each(|event| next.apply(event));
                let step = Step { before: &run, command: &command, events: &events, after: &next };
                step.check();
                kinds_seen.extend(kinds(&events));
                if !is_within_bounds(&next) || !seen.insert(key(&next)) {
                    continue;
                }
                step.check_time();
                let log = [log.as_slice(), &events].concat();
                check_replay(&next, &log);
                queue.push_back((next, log));
            }
        }
        states_seen += seen.len();
    }
    assert!(states_seen > 3_000, "the walk reached {states_seen} states only");
    assert_eq!(kinds_seen.len(), 24, "the walk saw {kinds_seen:?} only");
}

/// What one command did.
struct Step<'a> {
    before: &'a Run,
    command: &'a Command,
    events: &'a [Event],
    after: &'a Run,
}

impl Step<'_> {
    #[track_caller]
    fn check(&self) {
        self.check_end();
        self.check_effects();
        self.check_gates();
        self.check_grants();
        self.check_budgets();
        self.check_retries();
    }

    fn words(&self) -> String {
        format!("{:?} in {:?}", self.command, self.before.state)
    }

    #[track_caller]
    fn check_end(&self) {
        if self.before.status().is_final() {
            let is_retry = matches!(self.command, Command::Retry { .. });
            assert!(is_retry, "only a retry leaves the end: {}", self.words());
        }
    }

    #[track_caller]
    fn check_effects(&self) {
        let after = self.after;
        if after.next_effect().is_some() {
            let status = after.status();
            let works = matches!(status, Status::Queued | Status::Running);
            assert!(works, "whoever waits does nothing: {}", self.words());
        }
        let waits = matches!(after.status(), Status::WaitingApproval);
        assert!(!waits || after.open_gate().is_some(), "it waits for a gate: {}", self.words());
    }

    #[track_caller]
    fn check_gates(&self) {
        let (before, after) = (self.before, self.after);
        let decided: HashSet<_> = after.decided.iter().map(|decided| &decided.approval).collect();
        let is_once = decided.len() == after.decided.len();
        assert!(is_once, "a gate is decided at most once: {}", self.words());
        assert!(after.decided.starts_with(&before.decided), "and for good: {}", self.words());
        if let Some(gate) = before.open_gate() {
            let open = after.open_gate().map(|gate| &gate.approval);
            let is_open = open == Some(&gate.approval);
            let is_closed = after.closed.contains(&gate.approval);
            let is_over = decided.contains(&gate.approval) != is_closed;
            assert!(is_open != is_over, "a gate is open until it is over: {}", self.words());
        }
        let result = after.open_gate().filter(|gate| gate.subject == GateSubject::Result);
        if let Some(gate) = result {
            let made = after.progress[gate.stage.as_usize()].result.as_ref();
            let hash = made.map(|made| &made.content_hash);
            assert_eq!(hash, Some(&gate.content_hash), "what is there is asked: {}", self.words());
        }
    }

    #[track_caller]
    fn check_grants(&self) {
        let wanted = |gate: &OpenGate| {
            let policy = self.before.gate_policy(gate.stage).filter(|_| is_result(gate));
            policy.map_or(1, |policy| usize::from(policy.grant_count))
        };
        if let Some(gate) = self.after.open_gate() {
            let actors: HashSet<_> = gate.grants.iter().map(|grant| &grant.actor).collect();
            assert_eq!(actors.len(), gate.grants.len(), "each grants once: {}", self.words());
            assert!(actors.len() < wanted(gate), "the last grant passes it: {}", self.words());
        }
        let passed = self.events.iter().any(|event| matches!(event, Event::GateGranted { .. }));
        if let (true, Some(gate)) = (passed, self.before.open_gate()) {
            let is_edited =
                self.events.iter().any(|event| matches!(event, Event::ArtifactsEdited { .. }));
            let earlier = if is_edited { 0 } else { gate.grants.len() };
            assert_eq!(earlier + 1, wanted(gate), "it takes all of them: {}", self.words());
        }
    }

    #[track_caller]
    fn check_budgets(&self) {
        let Step { before, events, after, .. } = self;
        assert!(after.allowances.starts_with(&before.allowances), "nothing is taken back");
        assert!(after.warned.starts_with(&before.warned), "what was said was said");
        let open = before.open_gate().filter(|_| matches!(events, [Event::GateGranted { .. }, ..]));
        let granted = match open.map(|gate| (gate.stage, &gate.subject)) {
            Some((stage, GateSubject::Budget { attempt, .. })) => Some((stage, *attempt)),
            Some((_, GateSubject::Result)) | None => None,
        };
        let allowed = after.allowances.len() - before.allowances.len();
        assert_eq!(allowed, usize::from(granted.is_some()), "it allows once: {}", self.words());
        if let Some((stage, attempt)) = granted {
            assert_eq!(before.progress, after.progress, "the attempt goes on: {}", self.words());
            let mut resumed = (*after).clone();
            give(&mut resumed, resume()).unwrap();
            let effect = Effect::RunAttempt { stage, attempt };
            assert_eq!(resumed.next_effect(), Some(effect), "and when resumed: {}", self.words());
        }
    }

    #[track_caller]
    fn check_retries(&self) {
        let after = self.after;
        for (planned, progress) in after.plan().stages.iter().zip(&after.progress) {
            let is_known = progress.failures <= planned.retry.attempt_count_max;
            assert!(is_known, "no more failures than attempts: {}", self.words());
            assert!(progress.failures <= progress.attempts, "each of an attempt: {}", self.words());
            let is_done = progress.result.is_some();
            assert!(!is_done || progress.failures == 0, "done is done: {}", self.words());
            assert!(!is_done || progress.revision.is_none(), "a wish is met: {}", self.words());
        }
        let current = after.current_stage().map(StageIdx::as_usize);
        let revised = after.progress.iter().position(|stage| stage.revision.is_some());
        assert!(revised.is_none() || revised == current, "a wish comes first: {}", self.words());
    }

    /// Whatever time brings about moves the run, so that nobody who waits for it waits in vain or without end.
    #[track_caller]
    fn check_time(&self) {
        let run = self.after;
        let Some(at) = run.wakes_at() else {
            assert_eq!(run.due(MUCH_LATER), None, "never means never: {}", self.words());
            return;
        };
        assert_eq!(run.due(Timestamp::from_unix_ms(at.as_unix_ms() - 1)), None, "too early");
        let due = run.due(at).expect("something is due when the run wakes");
        let command = match due {
            Due::PassTime => Command::PassTime { now: at },
            Due::Remind { approval, number, .. } => {
                Command::NoteReminder { approval, number, at, failure: Some("gone".into()) }
            }
        };
        let mut later = run.clone();
        give(&mut later, command.clone()).unwrap();
        let has_moved = later.wakes_at().is_none_or(|next| next > at);
        assert!(has_moved, "time moves the run: {}", self.words());
        assert_eq!(later.decide(command), Ok(Vec::new()), "and only once: {}", self.words());
    }
}

fn is_result(gate: &OpenGate) -> bool {
    match gate.subject {
        GateSubject::Result => true,
        GateSubject::Budget { .. } => false,
    }
}

#[track_caller]
fn check_replay(run: &Run, log: &[Event]) {
    let created = Event::RunCreated(Arc::clone(&run.created));
    let replayed = Run::replay(run.id.clone(), std::iter::once(&created).chain(log)).unwrap();
    assert_eq!(replayed, *run, "a replay gives the same run");
}
