//! Stages that are tried again by themselves.
use std::time::Duration;

use domain::FaultKind;
use domain::model::ModelErrorKind;
use domain::plan::{Plan, RetryOn, RetryPolicy, WhenSpent};
use domain::run::Status;
use insta::assert_snapshot;
use model_server::{Behavior as Server, ModelServer};
use store::CallStatus;

use super::support::{Behavior, Host, SINGLE, STRAIGHT, Setup, Step};

const WAIT: Duration = Duration::from_secs(60);

fn policy(attempt_count_max: u32, when_spent: WhenSpent) -> RetryPolicy {
    RetryPolicy {
        attempt_count_max,
        wait: WAIT,
        wait_max: WAIT * 60,
        when_spent,
        ..RetryPolicy::NONE
    }
}

fn transient() -> Behavior {
    Behavior::Fail(FaultKind::Transient { code: "busy".to_owned() })
}

fn retried(retry: RetryPolicy) -> impl FnOnce(&mut Plan) {
    |plan| plan.stages[0].retry = retry
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_after_a_wait_that_doubles() {
    let host = Host::start(&[STRAIGHT]).await;
    let finally = Behavior::Ask(vec!["bees".to_owned()]);
    let behaviors = vec![transient(), transient(), finally];
    host.stages.set("first", Behavior::ByAttempt(behaviors));
    let run = host.submit_changed("straight", retried(policy(3, WhenSpent::Fail))).await;
    host.logs(&run, 1, "retry_scheduled").await;
    let row = host.engine.store().run(&run).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Running);
    assert_eq!(row.wakes_at, Some(host.clock.now().after(WAIT)));
    host.check_projections(&run).await;

    host.clock.advance(WAIT);
    host.logs(&run, 2, "retry_scheduled").await;
    let row = host.engine.store().run(&run).await.unwrap().unwrap();
    assert_eq!(row.wakes_at, Some(host.clock.now().after(WAIT * 2)));
    host.clock.advance(WAIT * 2);
    host.reaches(&run, Status::Completed).await;

    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 stage_failed 0 stage_transient
    4 retry_scheduled 0 stage_transient
    5 retry_due 0
    6 stage_started 0 attempt=2
    7 stage_failed 0 stage_transient
    8 retry_scheduled 0 stage_transient
    9 retry_due 0
    10 stage_started 0 attempt=3
    11 model_answered 0 #1
    12 stage_finished 0
    13 stage_started 1 attempt=1
    14 model_answered 1 #1
    15 stage_finished 1
    16 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_run_whose_retries_are_spent_pauses_and_gets_as_many_when_it_is_resumed() {
    let host = Host::start(&[SINGLE]).await;
    let behaviors = vec![transient(), transient(), transient(), Behavior::Ask(Vec::new())];
    host.stages.set("first", Behavior::ByAttempt(behaviors));
    let run = host.submit_changed("single", retried(policy(2, WhenSpent::Pause))).await;
    host.logs(&run, 1, "retry_scheduled").await;
    host.clock.advance(WAIT);
    host.reaches(&run, Status::Paused).await;
    assert_eq!(host.fault(&run).await.0, "stage_transient");

    // A pause does not pass by itself, whatever the time and however often the host starts.
    host.clock.advance(WAIT * 1_000);
    let host = host.restart().await;
    assert_eq!(host.engine.store().run(&run).await.unwrap().unwrap().status, Status::Paused);
    host.engine.resume(&run, "tester").await.unwrap();
    host.logs(&run, 2, "retry_scheduled").await;
    host.clock.advance(WAIT);
    host.reaches(&run, Status::Completed).await;
    assert!(host.journal(&run).await.contains("stage_started 0 attempt=4"));
    host.check_projections(&run).await;
}

#[tokio::test]
async fn only_failures_that_the_policy_names_are_tried_again() {
    let host = Host::start(&[SINGLE]).await;
    host.stages
        .set("first", Behavior::ByAttempt(vec![Behavior::Fail(FaultKind::Trap), transient()]));
    let on = RetryOn::Codes(vec![FaultKind::Trap.code().to_owned()]);
    let named = RetryPolicy { on, ..policy(5, WhenSpent::Pause) };
    let run = host.submit_changed("single", retried(named)).await;
    host.logs(&run, 1, "retry_scheduled 0 plugin_trapped").await;
    host.clock.advance(WAIT);
    host.reaches(&run, Status::Failed).await;
    assert_eq!(host.fault(&run).await.0, "stage_transient");
}

#[tokio::test]
async fn a_run_that_waits_for_its_next_attempt_is_not_carried_out_before_at_a_start() {
    let host = Host::start(&[SINGLE]).await;
    host.stages.set("first", Behavior::ByAttempt(vec![transient(), Behavior::Ask(Vec::new())]));
    let run = host.submit_changed("single", retried(policy(2, WhenSpent::Fail))).await;
    host.logs(&run, 1, "retry_scheduled").await;

    let host = host.restart().await;
    assert!(host.engine.store().active_runs().await.unwrap().is_empty());
    assert_eq!(host.engine.0.registry.len(), 0);
    // Another run that begins and ends meanwhile does not wake it.
    let other = host.submit("single").await;
    host.logs(&other, 1, "run_failed").await;
    assert!(host.journal(&run).await.ends_with("retry_scheduled 0 stage_transient\n"));

    // What came due while the host was down is done at its start.
    host.engine.shutdown().await;
    host.clock.advance(WAIT);
    let host = host.restart().await;
    host.reaches(&run, Status::Completed).await;
    host.check_projections(&run).await;
}

#[tokio::test]
async fn an_attempt_asks_afresh_and_budgets_count_them_all() {
    let server = ModelServer::start().await;
    let host = Host::start_with(Setup::asking(&server), &[SINGLE]).await;
    let fails = Behavior::Do(vec![Step::Ask("bees"), Step::StreamAndFail("wasps", 1)]);
    host.stages
        .set("first", Behavior::ByAttempt(vec![fails, Behavior::Do(vec![Step::Ask("bees")])]));
    let on = RetryOn::Codes(vec![FaultKind::Trap.code().to_owned()]);
    let retry = RetryPolicy { on, ..policy(2, WhenSpent::Fail) };
    let run = host.submit_changed("single", |plan| {
        plan.stages[0].retry = retry;
        plan.stages[0].limits.stage_token_count_max = Some(40_000);
    });
    let run = run.await;
    host.logs(&run, 1, "retry_scheduled").await;
    let before = host.engine.store().spent(&run).await.unwrap();
    host.clock.advance(WAIT);
    host.reaches(&run, Status::Completed).await;

    assert_eq!(server.count(), 3, "the second attempt asks afresh");
    let keys: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert!(keys[0].ends_with("/first/1/1") && keys[2].ends_with("/first/2/1"), "{keys:?}");
    let after = host.engine.store().spent(&run).await.unwrap();
    assert!(after[0].tokens > before[0].tokens);
    // What both attempts used counts.
    let calls = host.calls().await;
    let used: u64 = calls.iter().map(|call| call.usage.unwrap().total_tokens()).sum();
    assert_eq!(after[0].tokens, used);
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_provider_that_stalls_is_left_and_the_stage_is_tried_again() {
    let server = ModelServer::start().await;
    let mut setup = Setup::asking(&server);
    setup.providers[0].first_token_time_max = Duration::from_millis(200);
    setup.providers[0].idle_time_max = Duration::from_millis(200);
    let host = Host::start_with(setup, &[SINGLE]).await;
    // First nothing at all, then half an answer, then one.
    server.push(Server::raw_then("text/event-stream", "", model_server::After::Hang));
    server.push(Server::begun("half of an answer", model_server::After::Hang));
    let run = host.submit_changed("single", retried(policy(3, WhenSpent::Fail))).await;
    for count in 1..=2 {
        host.logs(&run, count, "retry_scheduled").await;
        server.wait_for_abandoned(count).await;
        host.clock.advance(WAIT * 2);
    }
    host.reaches(&run, Status::Completed).await;

    let calls = host.calls().await;
    let statuses: Vec<_> = calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [CallStatus::Failed, CallStatus::Failed, CallStatus::Answered]);
    let code = &calls[0].error.as_ref().unwrap().kind;
    assert_eq!(*code, ModelErrorKind::Timeout);
    assert_eq!(server.count(), 3);
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_pause_while_a_run_waits_for_its_next_attempt_takes_the_wait_away() {
    let host = Host::start(&[SINGLE]).await;
    host.stages.set("first", Behavior::ByAttempt(vec![transient(), Behavior::Ask(Vec::new())]));
    let run = host.submit_changed("single", retried(policy(2, WhenSpent::Fail))).await;
    host.logs(&run, 1, "retry_scheduled").await;
    host.engine.pause(&run, "tester").await.unwrap();
    host.clock.advance(WAIT);
    assert_eq!(host.engine.store().wakes(None, 10).await.unwrap(), []);
    host.engine.resume(&run, "tester").await.unwrap();
    host.reaches(&run, Status::Completed).await;
    assert!(!host.journal(&run).await.contains("retry_due"));
    host.check_projections(&run).await;
}
