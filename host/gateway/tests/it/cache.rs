//! What is not asked because an answer is there already, or because somebody else is asking.
use std::time::Duration;

use domain::model::ModelOptions;
use gateway::{
    AnswerSource, Cache, CacheFilter, Caching, Config, Gateway, Provider, Question, Route,
};
use model_server::{Answer, Behavior, MODEL, ModelServer};
use tokio::task::JoinSet;

use crate::support::{Asked, PROVIDER, SHORT, ask, provider, question};

/// Longer than any test needs.
const LONG: Duration = Duration::from_secs(20);

fn caching(server: &ModelServer) -> Gateway {
    caching_for(server, Duration::from_secs(3_600))
}

fn caching_for(server: &ModelServer, time_max: Duration) -> Gateway {
    let cache = Cache { time_max, ..Cache::default() };
    let providers = vec![provider(server.base_url())];
    Gateway::open(Config { providers, cache, ..Config::default() })
        .expect("the provider is well formed")
}

fn cached(gateway: &Gateway) -> Question {
    Question { caching: Caching::On, ..question(gateway, ModelOptions::default()) }
}

fn start(asking: &mut JoinSet<Asked>, gateway: &Gateway, question: Question) {
    let gateway = gateway.clone();
    asking.spawn(async move { ask(&gateway, question).await });
}

/// Lets calls that were started come as far as they can without the server.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_same_question_is_answered_from_the_cache_and_costs_nothing() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    let first = ask(&gateway, cached(&gateway)).await;
    assert_eq!(first.answered.source, AnswerSource::Provider);
    let mut again = cached(&gateway);
    again.idempotency_key = "call_2".to_owned();
    let second = ask(&gateway, again).await;
    assert_eq!((second.answered.source, server.count()), (AnswerSource::Cache, 1));
    let (asked, found) = (first.completion(), second.completion());
    assert_eq!((&found.content, &found.model), (&asked.content, &asked.model));
    assert_eq!(second.text(), asked.content);
    let usage = (found.usage.input_tokens, found.usage.output_tokens, found.cost_nano_usd);
    assert_eq!(usage, (Some(0), Some(0), Some(0)));
    assert_eq!((second.answered.timing.tries, second.answered.timing.queue_ms), (0, 0));
    let status = gateway.cache_status();
    assert_eq!((status.entry_count, status.hit_count, status.miss_count), (1, 1, 1));
}

#[tokio::test]
async fn a_question_that_wants_no_cache_or_differs_is_asked() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    ask(&gateway, cached(&gateway)).await.completion();
    ask(&gateway, question(&gateway, ModelOptions::default())).await.completion();
    let warmer = ModelOptions { temperature: Some(0.5), ..ModelOptions::default() };
    let differs = Question { caching: Caching::On, ..question(&gateway, warmer) };
    ask(&gateway, differs).await.completion();
    let mut other_model = cached(&gateway);
    other_model.route.model = "another".to_owned();
    ask(&gateway, other_model).await.completion();
    assert_eq!(server.count(), 4);
    assert_eq!(gateway.cache_status().hit_count, 0);
}

#[tokio::test]
async fn a_cache_for_no_bytes_keeps_nothing() {
    let server = ModelServer::start().await;
    let cache = Cache { bytes_max: 0, ..Cache::default() };
    let providers = vec![provider(server.base_url())];
    let gateway = Gateway::open(Config { providers, cache, ..Config::default() }).unwrap();
    for _ in 0..2 {
        ask(&gateway, cached(&gateway)).await.completion();
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn an_answer_that_was_cut_or_broke_off_is_not_given_again() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    let cut = Answer { finish_reason: "length".to_owned(), ..Answer::default() };
    server.push(Behavior::Answer(cut));
    server.push(Behavior::begun("half", model_server::After::Drop));
    ask(&gateway, cached(&gateway)).await.completion();
    ask(&gateway, cached(&gateway)).await.error();
    ask(&gateway, cached(&gateway)).await.completion();
    assert_eq!((server.count(), gateway.cache_status().hit_count), (3, 0));
}

#[tokio::test]
async fn an_answer_is_kept_no_longer_than_its_time() {
    let server = ModelServer::start().await;
    let gateway = caching_for(&server, Duration::from_millis(50));
    let asked_again = async {
        while server.count() < 2 {
            ask(&gateway, cached(&gateway)).await.completion();
        }
    };
    tokio::time::timeout(LONG, asked_again).await.unwrap();
    let status = gateway.cache_status();
    assert_eq!(status.miss_count, 2, "{status:?}");
}

#[tokio::test]
async fn what_was_forgotten_is_asked_again() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    ask(&gateway, cached(&gateway)).await.completion();
    let other = CacheFilter { model: Some("another".to_owned()), ..CacheFilter::default() };
    assert_eq!(gateway.forget_cached(&other), 0);
    ask(&gateway, cached(&gateway)).await.completion();
    assert_eq!(server.count(), 1);
    let mine = CacheFilter { provider: Some(PROVIDER.to_owned()), model: Some(MODEL.to_owned()) };
    assert_eq!(gateway.forget_cached(&mine), 1);
    ask(&gateway, cached(&gateway)).await.completion();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_written_is_not_kept() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    server.hold();
    let (asked, ()) = tokio::join!(ask(&gateway, cached(&gateway)), async {
        server.wait_for_requests(1).await;
        gateway.forget_cached(&CacheFilter::default());
        server.release();
    });
    asked.completion();
    ask(&gateway, cached(&gateway)).await.completion();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn the_same_question_at_the_same_time_is_asked_once() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    server.hold();
    let mut asking = JoinSet::new();
    (0..20).for_each(|_| start(&mut asking, &gateway, cached(&gateway)));
    server.wait_for_requests(1).await;
    settle().await;
    server.release();
    let all = asking.join_all().await;
    assert_eq!(server.count(), 1);
    let from = |source| all.iter().filter(|asked| asked.answered.source == source).count();
    assert_eq!((from(AnswerSource::Provider), from(AnswerSource::SharedCall)), (1, 19));
    for asked in &all {
        let completion = asked.completion();
        assert_eq!(asked.text(), completion.content);
        if asked.answered.source == AnswerSource::SharedCall {
            assert_eq!(completion.usage.total_tokens(), 0);
            assert_eq!((completion.cost_nano_usd, asked.answered.timing.tries), (Some(0), 0));
        }
    }
}

#[tokio::test]
async fn who_waits_for_another_call_gets_its_error_too() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    server.hold();
    server.push(Behavior::error(401, "invalid_api_key", "no"));
    let mut asking = JoinSet::new();
    (0..3).for_each(|_| start(&mut asking, &gateway, cached(&gateway)));
    server.wait_for_requests(1).await;
    settle().await;
    server.release();
    for asked in asking.join_all().await {
        assert_eq!(asked.code(), "model_unauthorized");
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn who_follows_and_can_wait_longer_does_not_get_an_error_for_want_of_time() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    server.hold();
    server.push(Behavior::rate_limit("15"));
    let with_time = |time_max| Question { time_max, ..cached(&gateway) };
    let mut asking = JoinSet::new();
    start(&mut asking, &gateway, with_time(Duration::from_secs(10)));
    server.wait_for_requests(1).await;
    start(&mut asking, &gateway, with_time(Duration::from_secs(11)));
    start(&mut asking, &gateway, with_time(Duration::from_secs(60)));
    settle().await;
    server.release();
    let asked = asking.join_all().await;
    let failed: Vec<&str> =
        asked.iter().filter(|asked| asked.answered.outcome.is_err()).map(Asked::code).collect();
    assert_eq!(failed, ["model_rate_limited"; 2]);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn an_alternatives_answer_is_for_all_who_follow() {
    let (first, second) = (ModelServer::start().await, ModelServer::start().await);
    let limits = gateway::Limits { requests_per_minute: Some(1), ..gateway::Limits::default() };
    let providers = vec![
        Provider { limits, ..provider(first.base_url()) },
        Provider { name: "second".to_owned(), ..provider(second.base_url()) },
    ];
    let gateway = Gateway::open(Config { providers, ..Config::default() }).unwrap();
    ask(&gateway, question(&gateway, ModelOptions::default())).await.completion();
    let alternative = Route { provider: "second".to_owned(), model: MODEL.to_owned() };
    let asking = || Question { alternatives: vec![alternative.clone()], ..cached(&gateway) };
    second.hold();
    let mut calls = JoinSet::new();
    (0..3).for_each(|_| start(&mut calls, &gateway, asking()));
    second.wait_for_requests(1).await;
    settle().await;
    second.release();
    let sources: Vec<AnswerSource> =
        calls.join_all().await.iter().map(|asked| asked.answered.source).collect();
    let shared = sources.iter().filter(|source| **source == AnswerSource::SharedCall).count();
    assert_eq!((shared, second.count()), (2, 1), "{sources:?}");
}

#[tokio::test]
async fn another_takes_over_when_the_call_that_asks_is_stopped() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    server.hold();
    let leading = cached(&gateway);
    let stop = leading.stop.clone();
    let mut asking = JoinSet::new();
    start(&mut asking, &gateway, leading);
    server.wait_for_requests(1).await;
    (0..2).for_each(|_| start(&mut asking, &gateway, cached(&gateway)));
    settle().await;
    assert_eq!(server.count(), 1);
    stop.cancel();
    server.wait_for_requests(2).await;
    server.release();
    let all = asking.join_all().await;
    let stopped = all.iter().filter(|asked| asked.answered.outcome.is_err()).count();
    let shared =
        all.iter().filter(|asked| asked.answered.source == AnswerSource::SharedCall).count();
    assert_eq!((stopped, shared, server.count()), (1, 1, 2));
}

#[tokio::test]
async fn another_takes_over_when_the_call_that_asks_is_dropped_or_out_of_time() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    server.hold();
    let mut asking = JoinSet::new();
    let mut hurried = cached(&gateway);
    hurried.time_max = SHORT;
    start(&mut asking, &gateway, hurried);
    server.wait_for_requests(1).await;
    tokio::select! {
        _ = ask(&gateway, cached(&gateway)) => panic!("the server holds the call"),
        () = server.wait_for_requests(2) => {}
    }
    start(&mut asking, &gateway, cached(&gateway));
    server.wait_for_requests(3).await;
    server.release();
    let all = asking.join_all().await;
    let out_of_time = all.iter().filter(|asked| asked.answered.outcome.is_err()).count();
    assert_eq!((out_of_time, server.count()), (1, 3));
}

#[tokio::test]
async fn who_follows_has_a_stop_and_a_deadline_of_its_own() {
    let server = ModelServer::start().await;
    let gateway = caching(&server);
    server.hold();
    let mut asking = JoinSet::new();
    start(&mut asking, &gateway, cached(&gateway));
    server.wait_for_requests(1).await;
    let stopped = cached(&gateway);
    let stop = stopped.stop.clone();
    let mut hurried = cached(&gateway);
    hurried.time_max = SHORT;
    let (stopped, hurried, ()) =
        tokio::join!(ask(&gateway, stopped), ask(&gateway, hurried), async {
            settle().await;
            stop.cancel();
        });
    assert_eq!((stopped.code(), hurried.code()), ("model_canceled", "model_timeout"));
    assert!(stopped.answered.broken_off.is_none() && hurried.answered.broken_off.is_none());
    server.release();
    asking.join_next().await.unwrap().unwrap().completion();
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_alternatives_answer_is_not_given_for_the_first_choice() {
    let (first, second) = (ModelServer::start().await, ModelServer::start().await);
    let named = |name: &str, server: &ModelServer| Provider {
        name: name.to_owned(),
        tries_max: 1,
        ..provider(server.base_url())
    };
    let providers = vec![named(PROVIDER, &first), named("second", &second)];
    let gateway = Gateway::open(Config { providers, ..Config::default() }).unwrap();
    let alternative = Route { provider: "second".to_owned(), model: MODEL.to_owned() };
    let asking = || Question { alternatives: vec![alternative.clone()], ..cached(&gateway) };
    first.push(Behavior::status(500, ""));
    first.push(Behavior::status(500, ""));
    let asked = ask(&gateway, asking()).await;
    assert_eq!(asked.answered.source, AnswerSource::Provider);
    let asked = ask(&gateway, asking()).await;
    assert_eq!((asked.answered.source, &asked.answered.route), (AnswerSource::Cache, &alternative));
    assert_eq!((asked.answered.passed_over.len(), second.count()), (1, 1));
    let asked = ask(&gateway, asking()).await;
    assert_eq!(asked.answered.source, AnswerSource::Provider);
    assert_eq!((asked.answered.route.provider.as_str(), first.count()), (PROVIDER, 3));
}

#[tokio::test]
async fn the_built_in_writer_goes_the_same_way() {
    let providers = vec![Provider::scripted()];
    let gateway = Gateway::open(Config { providers, ..Config::default() }).unwrap();
    let server = ModelServer::start().await;
    let template = cached(&caching(&server));
    let asking =
        || Question { route: gateway.route(gateway::SCRIPTED, None).unwrap(), ..template.clone() };
    let first = ask(&gateway, asking()).await;
    let second = ask(&gateway, asking()).await;
    assert_eq!(first.answered.source, AnswerSource::Provider);
    assert_eq!(second.answered.source, AnswerSource::Cache);
    assert_eq!(first.completion().content, second.completion().content);
    assert!(first.completion().usage.total_tokens() > second.completion().usage.total_tokens());
    let stopped = asking();
    stopped.stop.cancel();
    assert_eq!(ask(&gateway, stopped).await.code(), "model_canceled");
}
