//! How much a provider and its models are asked, and what a question sees of it.
use std::time::Duration;

use domain::model::{ModelErrorKind, ModelOptions};
use gateway::{Gateway, Limits, Model, ModelStatus, Provider};
use model_server::{Behavior, MODEL, ModelServer};
use tokio::task::JoinSet;

use crate::support::{Asked, SHORT, ask, ask_usual, gateway, provider, question};

fn limited(server: &ModelServer, limits: Limits) -> Gateway {
    gateway(Provider { limits, ..provider(server.base_url()) })
}

fn at_once(count: u32) -> Limits {
    Limits { concurrent_calls_max: Some(count), ..Limits::default() }
}

fn counts(gateway: &Gateway) -> (u32, u32) {
    let status = gateway.status().remove(0);
    let counts = |model: &ModelStatus| (model.open_calls, model.waiting_calls);
    status.models.first().map_or((0, 0), counts)
}

/// Waits until the counts of open and waiting calls are these.
async fn wait_for_counts(gateway: &Gateway, expected: (u32, u32)) {
    let reached = async {
        while counts(gateway) != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached)
        .await
        .unwrap_or_else(|_| panic!("{:?} are not {expected:?}", counts(gateway)));
}

fn start(asking: &mut JoinSet<Asked>, gateway: &Gateway) {
    let gateway = gateway.clone();
    asking.spawn(async move { ask_usual(&gateway).await });
}

#[tokio::test]
async fn no_more_than_the_limit_are_open_at_the_same_time() {
    let server = ModelServer::start().await;
    server.hold();
    let gateway = limited(&server, at_once(5));
    let mut asking = JoinSet::new();
    (0..50).for_each(|_| start(&mut asking, &gateway));
    wait_for_counts(&gateway, (5, 45)).await;
    server.wait_for_requests(5).await;
    assert_eq!(server.count(), 5);
    server.release();
    for asked in asking.join_all().await {
        asked.completion();
    }
    assert_eq!((server.count(), counts(&gateway)), (50, (0, 0)));
}

#[tokio::test]
async fn waiting_for_a_place_is_told_as_queue_time() {
    let server = ModelServer::start().await;
    server.hold();
    let gateway = limited(&server, at_once(1));
    let mut asking = JoinSet::new();
    start(&mut asking, &gateway);
    server.wait_for_requests(1).await;
    start(&mut asking, &gateway);
    wait_for_counts(&gateway, (1, 1)).await;
    // Time itself is what is told here.
    tokio::time::sleep(Duration::from_millis(30)).await;
    server.release();
    let mut queues: Vec<u64> =
        asking.join_all().await.iter().map(|asked| asked.answered.timing.queue_ms).collect();
    queues.sort_unstable();
    assert!(queues[0] < queues[1] && queues[1] >= 25, "{queues:?}");
}

#[tokio::test]
async fn a_place_that_cannot_be_had_in_time_is_refused_at_once() {
    let server = ModelServer::start().await;
    let gateway = limited(&server, Limits { requests_per_minute: Some(1), ..Limits::default() });
    ask_usual(&gateway).await.completion();
    let asked = ask_usual(&gateway).await;
    let ModelErrorKind::RateLimited { retry_after_ms: Some(wait_ms) } = asked.error().kind else {
        panic!("{:?}", asked.error())
    };
    assert!((30_000..=60_000).contains(&wait_ms), "{wait_ms}");
    assert!(asked.error().message.contains("`requests_per_minute` is 1"), "{:?}", asked.error());
    assert_eq!((server.count(), asked.answered.timing.tries), (1, 0));
    assert!(asked.answered.timing.total_ms < 10_000);
}

#[tokio::test]
async fn waiting_for_a_place_ends_with_the_time_of_the_call() {
    let server = ModelServer::start().await;
    server.hold();
    let gateway = limited(&server, at_once(1));
    let mut asking = JoinSet::new();
    start(&mut asking, &gateway);
    server.wait_for_requests(1).await;
    let mut hurried = question(&gateway, ModelOptions::default());
    hurried.time_max = SHORT;
    let asked = ask(&gateway, hurried).await;
    assert!(["model_timeout", "model_rate_limited"].contains(&asked.code()), "{}", asked.code());
    assert!(asked.answered.timing.queue_ms >= 140, "{:?}", asked.answered.timing);
    assert!(asked.answered.broken_off.is_none());
    assert_eq!((server.count(), counts(&gateway)), (1, (1, 0)));
}

#[tokio::test]
async fn who_is_stopped_in_the_line_leaves_it_and_has_used_nothing() {
    let server = ModelServer::start().await;
    server.hold();
    let gateway = limited(&server, at_once(1));
    let mut asking = JoinSet::new();
    start(&mut asking, &gateway);
    server.wait_for_requests(1).await;
    let stopped = question(&gateway, ModelOptions::default());
    let stop = stopped.stop.clone();
    let (asked, ()) = tokio::join!(ask(&gateway, stopped), async {
        wait_for_counts(&gateway, (1, 1)).await;
        stop.cancel();
    });
    assert_eq!(asked.code(), "model_canceled");
    assert!(asked.answered.broken_off.is_none());
    start(&mut asking, &gateway);
    server.release();
    assert!(asking.join_all().await.iter().all(|asked| asked.answered.outcome.is_ok()));
}

#[tokio::test]
async fn a_dropped_call_gives_its_place_back() {
    let server = ModelServer::start().await;
    server.hold();
    let gateway = limited(&server, at_once(1));
    tokio::select! {
        _ = ask_usual(&gateway) => panic!("the server holds the call"),
        () = server.wait_for_requests(1) => {}
    }
    assert_eq!(counts(&gateway), (0, 0));
    server.release();
    ask_usual(&gateway).await.completion();
}

#[tokio::test]
async fn tokens_that_were_reserved_and_not_used_are_free_again() {
    let server = ModelServer::start().await;
    let gateway = limited(&server, Limits { tokens_per_minute: Some(2_000), ..Limits::default() });
    let long = ModelOptions { max_tokens: Some(1_900), ..ModelOptions::default() };
    for _ in 0..3 {
        ask(&gateway, question(&gateway, long.clone())).await.completion();
    }
    server.push(Behavior::status(401, "no"));
    ask(&gateway, question(&gateway, long.clone())).await.error();
    ask(&gateway, question(&gateway, long.clone())).await.completion();
    let endless = ModelOptions { max_tokens: Some(2_000), ..long };
    let asked = ask(&gateway, question(&gateway, endless)).await;
    assert_eq!(asked.code(), "model_rejected");
    assert!(asked.error().message.contains("`tokens_per_minute` is 2000"), "{:?}", asked.error());
    assert_eq!(server.count(), 5);
}

#[tokio::test]
async fn what_an_answer_used_beyond_its_reservation_is_counted() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::text("bees ".repeat(8_000)));
    let gateway = limited(&server, Limits { tokens_per_minute: Some(4_000), ..Limits::default() });
    ask_usual(&gateway).await.completion();
    let asked = ask_usual(&gateway).await;
    assert_eq!(asked.code(), "model_rate_limited");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn the_limits_of_a_model_hold_for_that_model_alone() {
    let server = ModelServer::start().await;
    let limits = Limits { requests_per_minute: Some(1), ..Limits::default() };
    let model = Model { name: MODEL.to_owned(), limits, ..Model::default() };
    let gateway = gateway(Provider { models: vec![model], ..provider(server.base_url()) });
    ask_usual(&gateway).await.completion();
    assert_eq!(ask_usual(&gateway).await.code(), "model_rate_limited");
    let mut other = question(&gateway, ModelOptions::default());
    other.route.model = "another".to_owned();
    ask(&gateway, other).await.completion();
}

#[tokio::test]
async fn who_waits_for_the_provider_in_vain_has_used_nothing_of_the_models_limit() {
    let server = ModelServer::start().await;
    server.hold();
    let limits = Limits { requests_per_minute: Some(2), ..Limits::default() };
    let model = Model { name: MODEL.to_owned(), limits, ..Model::default() };
    let both = Provider { models: vec![model], limits: at_once(1), ..provider(server.base_url()) };
    let gateway = gateway(both);
    let mut asking = JoinSet::new();
    start(&mut asking, &gateway);
    server.wait_for_requests(1).await;
    tokio::select! {
        _ = ask_usual(&gateway) => panic!("the only place is taken"),
        () = wait_for_counts(&gateway, (1, 1)) => {}
    }
    server.release();
    asking.join_next().await.unwrap().unwrap().completion();
    ask_usual(&gateway).await.completion();
}
