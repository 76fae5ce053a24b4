//! What happens when an attempt fails: it is tried again by policy, and then the run fails or pauses.
use super::*;

/// One stage, tried so often, with waits of 2, 4, 8 seconds and so on, and another one after it.
fn tried(attempt_count_max: u32, when_spent: WhenSpent) -> Run {
    tried_by(RetryPolicy { attempt_count_max, when_spent, ..twice() })
}

fn tried_by(retry: RetryPolicy) -> Run {
    run_of(vec![PlannedStage { retry, ..stage(0, None) }, stage(1, None)], None)
}

fn fail_by(attempt: u32, kind: FaultKind) -> Command {
    let fault = Fault { kind, message: "it failed".into() };
    Command::FailStage { stage: StageIdx(0), attempt, fault, at: NOON }
}

/// The attempts up to this one fail, each after its wait.
fn failures(count: u32) -> Vec<Command> {
    let mut commands = vec![start(0)];
    for attempt in 1..=count {
        if attempt > 1 {
            commands.extend([pass_time(3_600_000), start(0)]);
        }
        commands.push(fail(0, attempt));
    }
    commands
}

fn with(commands: Vec<Command>, more: &[Command]) -> Vec<Command> {
    [commands, more.to_vec()].concat()
}

#[test]
fn a_failed_attempt_is_tried_again_after_a_wait() {
    let run = tried(3, WhenSpent::Fail);
    let failed = failures(1);
    check_run(run.clone(), failed.clone(), "running: backing off before 0 until +2000 ms");
    let waiting = carried_on(run.clone(), failed.clone());
    assert_eq!((waiting.next_effect(), waiting.current_stage()), (None, Some(StageIdx(0))));
    assert_eq!(waiting.wakes_at(), Some(NOON.after(Duration::from_secs(2))));
    let same = "running: backing off before 0 until +2000 ms (nothing recorded)";
    check_run(run.clone(), with(failed.clone(), &[pass_time(1_999)]), same);
    check_run(run.clone(), with(failed.clone(), &[pass_time(2_000)]), "running: ready 0");
    let again = with(failed, &[pass_time(2_000), start(0)]);
    check_run(run, again, "running: running 0 attempt 2");
}

#[test]
fn time_that_passes_twice_passes_once() {
    let twice = with(failures(1), &[pass_time(2_000), pass_time(2_000)]);
    check_run(tried(3, WhenSpent::Fail), twice.clone(), "running: ready 0 (nothing recorded)");
    let started = with(failures(1), &[pass_time(2_000), start(0), pass_time(9_000)]);
    let same = "running: running 0 attempt 2 (nothing recorded)";
    check_run(tried(3, WhenSpent::Fail), started, same);
}

#[test]
fn an_attempt_begins_only_after_its_wait() {
    let early = with(failures(1), &[start(0)]);
    check_run(tried(3, WhenSpent::Fail), early, "refused: that attempt is not running");
}

#[test]
fn the_wait_doubles_and_is_capped() {
    let mut waits = Vec::new();
    let mut run = tried(20, WhenSpent::Fail);
    for command in failures(8) {
        give(&mut run, command).unwrap();
        if let RunState::BackingOff { until, .. } = run.state() {
            waits.push(until.ms_since(NOON) / 1_000);
        }
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn no_wait_is_no_wait_and_the_longest_one_does_not_overflow() {
    let none = RetryPolicy { wait: Duration::ZERO, ..twice() };
    assert_eq!(none.wait_after(20), Duration::ZERO);
    let long = RetryPolicy { wait: Duration::MAX, wait_max: Duration::MAX, ..twice() };
    assert_eq!(long.wait_after(u32::MAX), Duration::MAX);
    assert_eq!(twice().wait_after(u32::MAX), Duration::from_secs(60));
    let far = carried_on(tried_by(long), failures(1));
    assert_eq!(far.wakes_at(), Some(Timestamp::from_unix_ms(i64::MAX)));
}

#[test]
fn only_what_the_policy_is_about_is_tried_again() {
    let transient = || FaultKind::Transient { code: "busy".into() };
    let first = |on: RetryOn, kind: FaultKind| {
        let run = tried_by(RetryPolicy { on, ..twice() });
        where_is(&carried_on(run, [start(0), fail_by(1, kind)]))
    };
    let by_code = |code: &str| RetryOn::Codes(vec![code.to_owned()]);
    let again = "running: backing off before 0 until +2000 ms";
    assert_eq!(first(RetryOn::Retryable, transient()), again);
    assert_eq!(first(RetryOn::Retryable, FaultKind::Trap), "failed: failed at 0");
    assert_eq!(first(by_code("plugin_trapped"), FaultKind::Trap), again);
    assert_eq!(first(by_code("plugin_trapped"), transient()), "failed: failed at 0");
    // The plugin's own code is its own business.
    assert_eq!(first(by_code("busy"), transient()), "failed: failed at 0");
}

#[test]
fn a_failure_that_the_policy_is_not_about_ends_the_run_also_where_retries_are_left() {
    let other = with(failures(1), &[pass_time(2_000), start(0), fail_by(2, FaultKind::Host)]);
    check_run(tried(5, WhenSpent::Pause), other, "failed: failed at 0");
}

#[test]
fn a_stage_without_a_policy_is_not_tried_again() {
    let retryable = fail_by(1, FaultKind::Host);
    check("--", [start(0), retryable], "failed: failed at 0");
}

#[test]
fn spent_retries_fail_the_run_or_pause_it() {
    check_run(tried(2, WhenSpent::Fail), failures(2), "failed: failed at 0");
    let paused = "paused: paused before 0, its retries are spent";
    check_run(tried(2, WhenSpent::Pause), failures(2), paused);
    check_run(tried(1, WhenSpent::Pause), failures(1), paused);
    let spent = carried_on(tried(2, WhenSpent::Pause), failures(2));
    let RunState::Paused { at: PausedAt::Spent { fault: kept, .. } } = spent.state() else {
        panic!("{:?}", spent.state())
    };
    assert_eq!(kept, &fault());
    assert_eq!((spent.wakes_at(), spent.next_effect()), (None, None));
    assert_eq!(spent.current_stage(), Some(StageIdx(0)));
}

#[test]
fn a_run_resumed_from_spent_retries_gets_as_many_again() {
    let run = tried(2, WhenSpent::Pause);
    let resumed = with(failures(2), &[resume(), start(0)]);
    check_run(run.clone(), resumed.clone(), "running: running 0 attempt 3");
    let third = with(resumed, &[fail(0, 3)]);
    check_run(run.clone(), third.clone(), "running: backing off before 0 until +2000 ms");
    let fourth = with(third, &[pass_time(2_000), start(0), fail(0, 4)]);
    check_run(run.clone(), fourth, "paused: paused before 0, its retries are spent");
    let done = with(failures(2), &[resume(), start(0), finish(0, 3)]);
    check_run(run, done, "running: running 1 attempt 1");
}

#[test]
fn a_success_forgets_the_failures_before_it() {
    let run =
        run_of(vec![PlannedStage { retry: twice(), ..stage(0, Some(Gate::default())) }], None);
    let succeeded = [pass_time(2_000), start(0), finish(0, 2), revised_by("anna", 2, "shorter")];
    let revised = with(failures(1), &succeeded);
    let failed = with(revised, &[start(0), fail(0, 3)]);
    check_run(run, failed, "running: backing off before 0 until +2000 ms");
}

#[test]
fn spent_retries_can_be_retried_from_the_same_stage_and_from_an_earlier_one() {
    let until_spent = [start(0), finish(0, 1), fail(1, 1), pass_time(2_000), start(1), fail(1, 2)];
    let spent = "paused: paused before 1, its retries are spent";
    check("-r", until_spent.clone(), spent);
    let with = |command| until_spent.clone().into_iter().chain([command]);
    check("-r", with(retry(None)), "running: ready 1");
    check("-r", with(retry(Some(1))), "running: ready 1");
    check("-r", with(retry(Some(0))), "running: ready 0");
    check("-r", with(retry(Some(2))), "refused: the run has no stage at position 2");
    check(
        "-rr",
        with(retry(Some(2))),
        "refused: the stage before the one named has no result: start again from an earlier one",
    );
    let retried = with(retry(None)).chain([start(1), fail(1, 3)]);
    check("-r", retried, "running: backing off before 1 until +2000 ms");
}

#[test]
fn a_retry_after_the_end_gets_all_attempts_again() {
    let retried = with(failures(2), &[retry(None), start(0), fail(0, 3)]);
    let run = tried(2, WhenSpent::Fail);
    check_run(run, retried, "running: backing off before 0 until +2000 ms");
}

#[test]
fn a_run_that_backs_off_is_not_retried() {
    let refused = "refused: the run has not ended: it is running";
    check("r", [start(0), fail(0, 1), retry(None)], refused);
}

#[test]
fn a_pause_asked_for_during_the_attempt_comes_instead_of_the_wait() {
    let run = tried(2, WhenSpent::Pause);
    let failed = [start(0), pause(), fail(0, 1)];
    check_run(run.clone(), failed.clone(), "paused: paused before 0");
    let paused = carried_on(run.clone(), failed.clone());
    assert_eq!((paused.wakes_at(), paused.progress()[0].failures), (None, 1));
    let resumed = with(failed.to_vec(), &[resume(), start(0)]);
    check_run(run.clone(), resumed.clone(), "running: running 0 attempt 2");
    // The failure before the pause counts.
    let spent = "paused: paused before 0, its retries are spent";
    check_run(run, with(resumed, &[fail(0, 2)]), spent);
}

#[test]
fn a_pause_asked_for_during_the_last_attempt_is_the_pause_that_comes() {
    let last = [start(0), fail(0, 1), pass_time(2_000), start(0), pause(), fail(0, 2)];
    let mut run = carried_on(tried(2, WhenSpent::Pause), last[..5].to_vec());
    let events = give(&mut run, last[5].clone()).unwrap();
    assert_eq!(kinds(&events), ["stage_failed", "retries_spent"]);
    check_run(tried(2, WhenSpent::Fail), last, "failed: failed at 0");
}

#[test]
fn a_run_that_backs_off_can_be_paused_and_goes_on_at_once_when_resumed() {
    let run = tried(3, WhenSpent::Fail);
    let paused = with(failures(1), &[pause()]);
    check_run(run.clone(), paused.clone(), "paused: paused before 0");
    let still = "paused: paused before 0 (nothing recorded)";
    check_run(run.clone(), with(paused.clone(), &[pass_time(2_000)]), still);
    check_run(run.clone(), with(paused.clone(), &[resume()]), "running: ready 0");
    let second = with(paused, &[resume(), start(0), fail(0, 2)]);
    check_run(run, second, "running: backing off before 0 until +4000 ms");
}

#[test]
fn a_run_that_backs_off_can_be_canceled() {
    let canceled = with(failures(1), &[cancel()]);
    check_run(tried(3, WhenSpent::Fail), canceled.clone(), "canceled: canceled at 0");
    let same = "canceled: canceled at 0 (nothing recorded)";
    check_run(tried(3, WhenSpent::Fail), with(canceled, &[pass_time(2_000)]), same);
}

#[test]
fn a_run_that_waits_between_attempts_is_not_resumed() {
    let same = "running: backing off before 0 until +2000 ms (nothing recorded)";
    check_run(tried(3, WhenSpent::Fail), with(failures(1), &[resume()]), same);
}
