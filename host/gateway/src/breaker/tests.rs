use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker(failure_count: u32) -> Arc<Breaker> {
    let settings =
        config::Breaker { failure_count, open_time: 10 * SECOND, open_time_max: 25 * SECOND };
    Breaker::new(settings, "mock/small")
}

fn admit(breaker: &Arc<Breaker>) -> Result<Admission, Open> {
    breaker.admit(Instant::now())
}

fn fail(breaker: &Arc<Breaker>) {
    admit(breaker).unwrap().failed("no route to host");
}

fn state(breaker: &Arc<Breaker>) -> BreakerState {
    breaker.state(Instant::now())
}

#[tokio::test(start_paused = true)]
async fn it_opens_after_so_many_failures_without_an_answer_between_them() {
    let breaker = breaker(3);
    fail(&breaker);
    fail(&breaker);
    admit(&breaker).unwrap().succeeded();
    fail(&breaker);
    fail(&breaker);
    assert_eq!(state(&breaker), BreakerState::Closed { failure_count: 2 });
    fail(&breaker);
    tokio::time::advance(4 * SECOND).await;
    let open = admit(&breaker).unwrap_err();
    let expected =
        Open { retry_in: 6 * SECOND, open_for: 4 * SECOND, cause: "no route to host".to_owned() };
    assert_eq!(open, expected);
    let expected = BreakerState::Open { retry_in_ms: 6_000, cause: "no route to host".to_owned() };
    assert_eq!(state(&breaker), expected);
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_is_let_through_when_its_time_is_over_and_an_answer_closes_it() {
    let breaker = breaker(1);
    fail(&breaker);
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    let probe = admit(&breaker).unwrap();
    assert!(admit(&breaker).is_err());
    probe.succeeded();
    assert_eq!(state(&breaker), BreakerState::Closed { failure_count: 0 });
    let _first = admit(&breaker).unwrap();
    let _second = admit(&breaker).unwrap();
}

#[tokio::test(start_paused = true)]
async fn its_time_doubles_with_each_probe_that_fails_up_to_a_bound_and_starts_over_after_an_answer()
{
    let breaker = breaker(1);
    fail(&breaker);
    for open_time in [10, 20, 25, 25] {
        assert_eq!(admit(&breaker).unwrap_err().retry_in, open_time * SECOND);
        tokio::time::advance(open_time * SECOND).await;
        fail(&breaker);
    }
    tokio::time::advance(25 * SECOND).await;
    admit(&breaker).unwrap().succeeded();
    fail(&breaker);
    assert_eq!(admit(&breaker).unwrap_err().retry_in, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_says_nothing_makes_room_for_the_next() {
    let breaker = breaker(1);
    fail(&breaker);
    tokio::time::advance(10 * SECOND).await;
    drop(admit(&breaker).unwrap());
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    let probe = admit(&breaker).unwrap();
    assert!(admit(&breaker).is_err());
    drop(probe);
    assert!(admit(&breaker).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_a_straggler_learns_changes_nothing() {
    let breaker = breaker(2);
    let late_failure = admit(&breaker).unwrap();
    let late_answer = admit(&breaker).unwrap();
    let dropped = admit(&breaker).unwrap();
    fail(&breaker);
    fail(&breaker);
    late_answer.succeeded();
    assert!(admit(&breaker).is_err(), "an answer to an older question does not close it");
    tokio::time::advance(10 * SECOND).await;
    let probe = admit(&breaker).unwrap();
    drop(dropped);
    late_failure.failed("late");
    assert!(admit(&breaker).is_err(), "only the probe itself makes room for another");
    probe.succeeded();
    assert_eq!(state(&breaker), BreakerState::Closed { failure_count: 0 });
}

#[tokio::test(start_paused = true)]
async fn with_a_count_of_0_it_never_opens() {
    let breaker = breaker(0);
    for _ in 0..100 {
        fail(&breaker);
    }
    assert_eq!(state(&breaker), BreakerState::Closed { failure_count: 100 });
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_begins_to_be_answered_lets_others_in_and_counts_for_how_it_ends() {
    let breaker = breaker(2);
    fail(&breaker);
    fail(&breaker);
    tokio::time::advance(10 * SECOND).await;
    let probe = admit(&breaker).unwrap();
    assert!(probe.is_probe() && admit(&breaker).is_err());
    assert!(probe.begun());
    let other = admit(&breaker).unwrap();
    assert!(!other.is_probe() && !other.begun(), "it is no news");
    assert_eq!(state(&breaker), BreakerState::Closed { failure_count: 0 });
    fail(&breaker);
    assert!(!probe.begun(), "a second piece is no news");
    assert_eq!(state(&breaker), BreakerState::Closed { failure_count: 1 });
    probe.failed("broke off");
    assert!(matches!(state(&breaker), BreakerState::Open { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_begins_late_opens_no_breaker_that_failed_again() {
    let breaker = breaker(1);
    let straggler = admit(&breaker).unwrap();
    fail(&breaker);
    tokio::time::advance(10 * SECOND).await;
    let probe = admit(&breaker).unwrap();
    assert!(!straggler.begun());
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    probe.failed("no route to host");
    assert!(admit(&breaker).is_err());
}
