//! Budgets: an attempt that would go over one waits for a person, and a run warns of each once.
use super::*;

/// A bound of so many tokens that are used up.
pub(super) fn used(scope: BudgetScope, max: u64) -> BudgetBound {
    BudgetBound { scope, unit: BudgetUnit::Tokens, max, used: max }
}

pub(super) fn warn(stage: u16, attempt: u32, bound: BudgetBound) -> Command {
    Command::WarnBudget { stage: StageIdx(stage), attempt, bound }
}

pub(super) fn ask_for_budget(stage: u16, attempt: u32, gate: u32, bound: BudgetBound) -> Command {
    Command::OpenBudgetGate {
        stage: StageIdx(stage),
        attempt,
        approval: approval(gate),
        content_hash: hex('b'),
        bound,
    }
}

/// The gates for budgets of these tests are named from 50 on.
fn ask(stage: u16, attempt: u32) -> Command {
    ask_for_budget(stage, attempt, 50, used(BudgetScope::Run, 100))
}

fn ask_again(stage: u16, attempt: u32) -> Command {
    ask_for_budget(stage, attempt, 51, used(BudgetScope::Run, 200))
}

fn allowance(stage: u16, scope: BudgetScope) -> Allowance {
    Allowance { stage: StageIdx(stage), scope, unit: BudgetUnit::Tokens }
}

#[track_caller]
fn after(stages: &str, commands: impl IntoIterator<Item = Command>) -> Run {
    carried_on(run(stages), commands)
}

#[test]
fn an_attempt_that_would_go_over_a_budget_waits_for_a_person() {
    check("--", [start(0), ask(0, 1)], "waiting_approval: budget gate in 0 attempt 1");
    let run = after("--", [start(0), ask(0, 1)]);
    assert_eq!(run.next_effect(), None);
    assert_eq!(run.current_stage(), Some(StageIdx(0)));
    let gate = run.open_gate().unwrap();
    assert_eq!((&gate.approval, &gate.content_hash), (&approval(50), &hex('b')));
    let bound = used(BudgetScope::Run, 100);
    assert_eq!(gate.subject, GateSubject::Budget { attempt: 1, bound });
}

#[test]
fn a_granted_budget_lets_the_same_attempt_go_on() {
    check("--", [start(0), ask(0, 1), grant(50)], "running: running 0 attempt 1");
    let run = after("--", [start(0), ask(0, 1), grant(50)]);
    let effect = Effect::RunAttempt { stage: StageIdx(0), attempt: 1 };
    assert_eq!(run.next_effect(), Some(effect));
    assert_eq!(run.progress()[0].attempts, 1);
    assert_eq!(run.allowances(), [allowance(0, BudgetScope::Run)]);
}

#[test]
fn a_granted_budget_neither_ends_the_last_stage_nor_passes_its_gate() {
    check("-", [start(0), ask(0, 1), grant(50)], "running: running 0 attempt 1");
    check("-", [start(0), ask(0, 1), grant(50), finish(0, 1)], "completed: completed");
    check("g", [start(0), ask(0, 1), grant(50), finish(0, 1)], "waiting_approval: gate after 0");
    check("g", [start(0), ask(0, 1), grant(50), finish(0, 1), grant(1)], "completed: completed");
}

#[test]
fn a_granted_result_allows_no_budget() {
    let run = after("g-", [start(0), finish(0, 1), grant(1)]);
    assert_eq!(run.allowances(), []);
}

#[test]
fn each_gate_for_a_budget_allows_once_more() {
    let provider_day = BudgetScope::ProviderDay { provider: "kimi".into() };
    let other = ask_for_budget(0, 1, 52, used(provider_day.clone(), 9));
    let commands =
        [start(0), ask(0, 1), grant(50), ask_again(0, 1), grant(51), grant(51), other, grant(52)];
    let run = after("--", commands);
    let of_run = || allowance(0, BudgetScope::Run);
    assert_eq!(run.allowances(), [of_run(), of_run(), allowance(0, provider_day)]);
}

#[test]
fn a_rejected_budget_ends_the_run() {
    check("--", [start(0), ask(0, 1), reject(50)], "failed: rejected at 0");
    let run = after("--", [start(0), ask(0, 1), reject(50)]);
    assert_eq!(run.allowances(), []);
    assert_eq!(run.next_effect(), None);
}

#[test]
fn the_first_decision_on_a_budget_holds() {
    check(
        "--",
        [start(0), ask(0, 1), grant(50), grant(50)],
        "running: running 0 attempt 1 (nothing recorded)",
    );
    check(
        "--",
        [start(0), ask(0, 1), grant(50), reject(50)],
        "refused: the approval is already granted",
    );
    check(
        "--",
        [start(0), ask(0, 1), reject(50), reject(50)],
        "failed: rejected at 0 (nothing recorded)",
    );
    check(
        "--",
        [start(0), ask(0, 1), reject(50), grant(50)],
        "refused: the approval is already rejected",
    );
}

#[test]
fn an_old_decision_does_not_decide_the_next_gate_of_the_attempt() {
    let asked_again = [start(0), ask(0, 1), grant(50), ask_again(0, 1)];
    let with = |last: Command| asked_again.clone().into_iter().chain([last]);
    check("--", with(grant(50)), "waiting_approval: budget gate in 0 attempt 1 (nothing recorded)");
    check("--", with(reject(50)), "refused: the approval is already granted");
    check("--", with(reject(51)), "failed: rejected at 0");
}

#[test]
fn a_decision_is_bound_to_the_budget_that_was_looked_at() {
    let seen = |digit: char| Command::DecideGate {
        groups: Vec::new(),
        edit: None,
        approval: approval(50),
        verdict: Verdict::Granted,
        decision: Decision { actor: "anna".into(), comment: None },
        content_hash: Some(hex(digit)),
    };
    check(
        "--",
        [start(0), ask(0, 1), seen('c')],
        "refused: the content has changed since it was looked at",
    );
    check("--", [start(0), ask(0, 1), seen('b')], "running: running 0 attempt 1");
}

#[test]
fn canceling_closes_the_gate_for_a_budget() {
    check("--", [start(0), ask(0, 1), cancel()], "canceled: canceled at 0");
    check("--", [start(0), ask(0, 1), pause(), grant(50), cancel()], "canceled: canceled at 0");
    for decision in [grant(50), reject(50)] {
        check(
            "--",
            [start(0), ask(0, 1), cancel(), decision],
            "refused: the run is canceled: the approval is no longer open",
        );
    }
}

#[test]
fn only_the_running_attempt_asks_and_warns() {
    for (stage, attempt) in [(0, 2), (1, 1)] {
        let warning = warn(stage, attempt, used(BudgetScope::Run, 100));
        for command in [ask(stage, attempt), warning] {
            check("--", [start(0), command], "refused: that attempt is not running");
        }
    }
    let waiting = [start(0), ask(0, 1)];
    let warning = warn(0, 1, used(BudgetScope::Run, 100));
    for command in [ask_again(0, 1), warning, finish(0, 1), fail(0, 1), start(0)] {
        let commands = waiting.clone().into_iter().chain([command]);
        check("--", commands, "refused: that attempt is not running");
    }
    check(
        "--",
        [start(0), ask(0, 1), retry(None)],
        "refused: the run has not ended: it is waiting_approval",
    );
}

#[test]
fn a_pause_that_was_asked_for_holds_at_the_gate_for_a_budget() {
    let mut run = after("--", [start(0), pause()]);
    let events = give(&mut run, ask(0, 1)).unwrap();
    assert_eq!(kinds(&events), ["budget_gate_opened", "run_paused"]);
    check("--", [start(0), pause(), ask(0, 1)], "paused: paused at budget gate in 0 attempt 1");
    check(
        "--",
        [start(0), pause(), ask(0, 1), resume()],
        "waiting_approval: budget gate in 0 attempt 1",
    );
    check(
        "--",
        [start(0), pause(), ask(0, 1), resume(), grant(50)],
        "running: running 0 attempt 1",
    );
}

#[test]
fn a_budget_can_be_granted_during_a_pause_and_the_attempt_goes_on_when_the_run_does() {
    let paused = [start(0), ask(0, 1), pause()];
    let with = |rest: &[Command]| [&paused, rest].concat();
    check("--", with(&[]), "paused: paused at budget gate in 0 attempt 1");
    check("--", with(&[grant(50)]), "paused: paused in 0 attempt 1");
    check("--", with(&[grant(50), pause()]), "paused: paused in 0 attempt 1 (nothing recorded)");
    check("--", with(&[grant(50), ask_again(0, 1)]), "refused: that attempt is not running");
    check("--", with(&[grant(50), resume()]), "running: running 0 attempt 1");
    check("--", with(&[reject(50)]), "failed: rejected at 0");
    let granted = after("--", with(&[grant(50)]));
    assert_eq!((granted.next_effect(), granted.current_stage()), (None, Some(StageIdx(0))));
    assert_eq!(granted.open_gate(), None);
    let resumed = after("--", with(&[grant(50), resume()]));
    let effect = Effect::RunAttempt { stage: StageIdx(0), attempt: 1 };
    assert_eq!(resumed.next_effect(), Some(effect));
    assert_eq!(resumed.allowances(), [allowance(0, BudgetScope::Run)]);
}

#[test]
fn a_retry_keeps_what_was_allowed() {
    let until_failure = [start(0), ask(0, 1), grant(50), fail(0, 1), retry(None), start(0)];
    check("--", until_failure.clone(), "running: running 0 attempt 2");
    let run = after("--", until_failure);
    assert_eq!(run.allowances(), [allowance(0, BudgetScope::Run)]);
}

#[test]
fn a_run_that_was_refused_more_budget_asks_again_in_its_retry() {
    let rejected = [start(0), ask(0, 1), reject(50), retry(None), start(0)];
    check("--", rejected.clone(), "running: running 0 attempt 2");
    let asked = rejected.into_iter().chain([ask_again(0, 2)]);
    check("--", asked.clone(), "waiting_approval: budget gate in 0 attempt 2");
    check("--", asked.chain([grant(51)]), "running: running 0 attempt 2");
}

#[test]
fn a_warning_moves_nothing() {
    check(
        "--",
        [start(0), warn(0, 1, used(BudgetScope::Run, 100))],
        "running: running 0 attempt 1",
    );
    check(
        "--",
        [start(0), pause(), warn(0, 1, used(BudgetScope::Run, 100))],
        "running: running 0 attempt 1, then pause",
    );
}

#[test]
fn a_run_warns_of_each_budget_once() {
    let of_run = |max: u64, used: u64| BudgetBound {
        scope: BudgetScope::Run,
        unit: BudgetUnit::Tokens,
        max,
        used,
    };
    let mut run = after("--", [start(0)]);
    let mut said = |bound: BudgetBound| kinds(&give(&mut run, warn(0, 1, bound)).unwrap()).len();
    assert_eq!(said(of_run(100, 80)), 1);
    assert_eq!(said(of_run(100, 95)), 0, "it is the same budget");
    assert_eq!(said(BudgetBound { unit: BudgetUnit::NanoUsd, ..of_run(100, 80) }), 1);
    assert_eq!(said(used(BudgetScope::Day, 100)), 1);
    for provider in ["kimi", "openai"] {
        let scope = BudgetScope::ProviderDay { provider: provider.into() };
        assert_eq!(said(used(scope.clone(), 100)), 1);
        assert_eq!(said(used(scope, 100)), 0);
    }
    assert_eq!(said(of_run(200, 160)), 1, "more of it was allowed");
}

#[test]
fn a_warning_of_the_run_is_not_repeated_by_a_later_stage_and_one_of_a_stage_is() {
    let warned = [
        start(0),
        warn(0, 1, used(BudgetScope::Run, 100)),
        warn(0, 1, used(BudgetScope::Stage, 100)),
        finish(0, 1),
    ];
    let mut run = after("--", warned);
    let events = give(&mut run, warn(1, 1, used(BudgetScope::Run, 100))).unwrap();
    assert_eq!(kinds(&events), Vec::<&str>::new());
    let events = give(&mut run, warn(1, 1, used(BudgetScope::Stage, 100))).unwrap();
    assert_eq!(kinds(&events), ["budget_warned"]);
}

#[test]
fn a_retry_does_not_warn_again_of_the_same_budget() {
    let warned =
        [start(0), warn(0, 1, used(BudgetScope::Stage, 100)), fail(0, 1), retry(None), start(0)];
    let mut run = after("--", warned);
    let events = give(&mut run, warn(0, 2, used(BudgetScope::Stage, 100))).unwrap();
    assert_eq!(events, []);
}
