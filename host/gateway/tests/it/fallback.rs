//! Who is asked when the first choice is not available, and what the record says of it.
use std::time::Duration;

use domain::model::{ModelErrorKind, ModelOptions};
use gateway::{
    AnswerSource, Breaker, BreakerState, Config, Delta, Gateway, Limits, Provider, Question, Route,
};
use model_server::{After, Behavior, MODEL, ModelServer};

use crate::support::{PROVIDER, SHORT, ask, provider, question};

const SECOND: &str = "second";

struct Two {
    first: ModelServer,
    second: ModelServer,
    gateway: Gateway,
}

impl Two {
    async fn start(change: impl FnOnce(Provider) -> Provider) -> Self {
        let (first, second) = (ModelServer::start().await, ModelServer::start().await);
        second.otherwise(Behavior::text("from the second"));
        let providers = vec![
            change(provider(first.base_url())),
            Provider { name: SECOND.to_owned(), ..provider(second.base_url()) },
        ];
        let gateway = Gateway::open(Config { providers, ..Config::default() })
            .expect("the providers are well formed");
        Self { first, second, gateway }
    }

    fn question(&self) -> Question {
        Question {
            alternatives: vec![route(SECOND)],
            ..question(&self.gateway, ModelOptions::default())
        }
    }

    #[track_caller]
    fn check_counts(&self, first: usize, second: usize) {
        assert_eq!((self.first.count(), self.second.count()), (first, second));
    }
}

fn route(provider: &str) -> Route {
    Route { provider: provider.to_owned(), model: MODEL.to_owned() }
}

fn one_try(provider: Provider) -> Provider {
    Provider { tries_max: 1, ..provider }
}

fn fragile(provider: Provider) -> Provider {
    let open_time = Duration::from_secs(60);
    let breaker = Breaker { failure_count: 2, open_time, open_time_max: open_time };
    Provider { breaker, ..one_try(provider) }
}

#[tokio::test]
async fn an_outage_is_answered_by_the_alternative_and_the_record_says_why() {
    let two = Two::start(|provider| provider).await;
    two.first.otherwise(Behavior::status(503, "down"));
    let asked = ask(&two.gateway, two.question()).await;
    assert_eq!(asked.completion().content, "from the second");
    assert_eq!(asked.answered.route, route(SECOND));
    assert_eq!(asked.answered.source, AnswerSource::Provider);
    let [passed_over] = &asked.answered.passed_over[..] else { panic!("one was passed over") };
    assert_eq!(passed_over.route, route(PROVIDER));
    assert!(passed_over.error.message.contains("answered 503"), "{}", passed_over.error.message);
    let heard = asked.deltas.iter().find_map(|delta| match delta {
        Delta::FallingBack { to, cause } => Some((to.clone(), cause.clone())),
        Delta::Text(_) | Delta::Reasoning(_) | Delta::Retrying { .. } => None,
    });
    assert_eq!(heard, Some((route(SECOND), passed_over.error.message.clone())));
    // The first is tried as often as it may be before anybody else is asked, and all tries count.
    two.check_counts(3, 1);
    assert_eq!(asked.answered.timing.tries, 4);
}

#[tokio::test]
async fn a_first_choice_that_answers_passes_nobody_over() {
    let two = Two::start(|provider| provider).await;
    let asked = ask(&two.gateway, two.question()).await;
    assert_eq!(
        (asked.answered.route.clone(), asked.answered.passed_over.len()),
        (route(PROVIDER), 0)
    );
    two.check_counts(1, 0);
}

#[tokio::test]
async fn what_a_person_has_to_see_is_told_and_not_covered_up() {
    let two = Two::start(|provider| provider).await;
    for (status, code) in [
        (400, "invalid_request_error"),
        (401, "invalid_api_key"),
        (404, "model_not_found"),
        (429, "insufficient_quota"),
    ] {
        two.first.push(Behavior::error(status, code, "no"));
        let asked = ask(&two.gateway, two.question()).await;
        assert!(asked.answered.outcome.is_err(), "{status}");
        assert_eq!(asked.answered.route, route(PROVIDER), "{status}");
    }
    two.check_counts(4, 0);
}

#[tokio::test]
async fn nobody_else_is_asked_after_the_first_token() {
    let two = Two::start(|provider| provider).await;
    two.first.push(Behavior::begun("half", After::Drop));
    let asked = ask(&two.gateway, two.question()).await;
    assert_eq!((asked.code(), asked.text().as_str()), ("model_unavailable", "half"));
    let used = asked.answered.broken_off.unwrap();
    assert_eq!((used.content.as_str(), used.usage.output_tokens), ("half", Some(1)));
    two.check_counts(1, 0);
}

#[tokio::test]
async fn nobody_else_is_asked_after_a_server_has_accepted() {
    let two = Two::start(|provider| Provider {
        first_token_time_max: SHORT,
        idle_time_max: SHORT,
        ..one_try(provider)
    })
    .await;
    two.first.push(Behavior::raw_then("text/event-stream", ": wait\n\n", After::Hang));
    let asked = ask(&two.gateway, two.question()).await;
    assert_eq!(asked.code(), "model_timeout");
    two.check_counts(1, 0);
}

#[tokio::test]
async fn silence_before_an_answer_and_a_long_rate_limit_are_reasons_to_ask_somebody_else() {
    let hurried = |provider| Provider { first_token_time_max: SHORT, ..one_try(provider) };
    let two = Two::start(hurried).await;
    two.first.push(Behavior::Hang);
    two.first.push(Behavior::rate_limit("3600"));
    for expected in ["model_timeout", "model_rate_limited"] {
        let asked = ask(&two.gateway, two.question()).await;
        assert_eq!(asked.completion().content, "from the second");
        assert_eq!(asked.answered.passed_over[0].error.kind.code(), expected);
    }
    two.check_counts(2, 2);
}

#[tokio::test]
async fn the_time_of_one_provider_leaves_the_rest_of_the_calls_time_to_the_next() {
    let two = Two::start(|provider| Provider { call_time_max: SHORT, ..provider }).await;
    two.first.otherwise(Behavior::Hang);
    let asked = ask(&two.gateway, two.question()).await;
    assert_eq!(asked.answered.route, route(SECOND));
    let cause = &asked.answered.passed_over[0].error.message;
    assert!(cause.contains("did not answer within 150 ms"), "{cause}");
}

#[tokio::test]
async fn an_alternative_that_is_not_configured_any_more_is_passed_over_with_that_reason() {
    let two = Two::start(one_try).await;
    two.first.otherwise(Behavior::status(500, ""));
    let mut asking = two.question();
    asking.alternatives.insert(0, route("gone"));
    let asked = ask(&two.gateway, asking).await;
    assert_eq!(asked.answered.route, route(SECOND));
    let passed_over = &asked.answered.passed_over;
    let providers: Vec<&str> =
        passed_over.iter().map(|passed| passed.route.provider.as_str()).collect();
    assert_eq!(providers, [PROVIDER, "gone"]);
    assert!(passed_over[1].error.message.contains("no provider `gone` is configured"));
    let mut lost = two.question();
    lost.alternatives = vec![route("gone")];
    let asked = ask(&two.gateway, lost).await;
    assert_eq!(
        (asked.code(), asked.answered.route.clone()),
        ("model_unavailable", route(PROVIDER))
    );
    assert!(asked.error().message.contains("answered 500"));
}

#[tokio::test]
async fn a_model_that_fails_too_often_is_left_alone_and_says_since_when_and_why() {
    let two = Two::start(fragile).await;
    two.first.otherwise(Behavior::status(500, "broken"));
    for _ in 0..2 {
        ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await;
    }
    let asked = ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await;
    assert_eq!((asked.code(), asked.answered.timing.tries), ("model_unavailable", 0));
    let message = &asked.error().message;
    for part in ["left alone for 0 s", "answered 500: broken", "tried again in"] {
        assert!(message.contains(part), "{message}");
    }
    let asked = ask(&two.gateway, two.question()).await;
    assert_eq!(asked.answered.route, route(SECOND));
    assert!(asked.answered.passed_over[0].error.message.contains("left alone"));
    two.check_counts(2, 1);
    let status = two.gateway.status();
    assert!(matches!(status[0].models[0].breaker, BreakerState::Open { .. }), "{status:?}");
    assert_eq!(status[1].models[0].breaker, BreakerState::Closed { failure_count: 0 });
}

#[tokio::test]
async fn a_model_that_answers_a_probe_is_asked_again() {
    let brief = |provider| {
        let open_time = Duration::from_millis(1);
        let breaker = Breaker { failure_count: 1, open_time, open_time_max: open_time };
        Provider { breaker, ..one_try(provider) }
    };
    let two = Two::start(brief).await;
    two.first.push(Behavior::status(500, ""));
    two.first.otherwise(Behavior::text("well again"));
    ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await;
    let well = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let asked = ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await;
            if asked.answered.outcome.is_ok() {
                break;
            }
        }
    });
    well.await.unwrap();
    let breaker = &two.gateway.status()[0].models[0].breaker;
    assert_eq!(*breaker, BreakerState::Closed { failure_count: 0 });
}

#[tokio::test]
async fn a_long_answer_to_a_probe_keeps_nobody_away() {
    let brief = |provider| {
        let open_time = Duration::from_millis(1);
        let breaker = Breaker { failure_count: 1, open_time, open_time_max: open_time };
        Provider { breaker, ..one_try(provider) }
    };
    let two = Two::start(brief).await;
    two.first.push(Behavior::status(500, ""));
    two.first.push(Behavior::begun("a long story", After::Hang));
    ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await.error();
    // The time for which it is left alone is what passes here.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let begun = tokio::sync::Notify::new();
    let note = |_: Delta| begun.notify_one();
    let probe = question(&two.gateway, ModelOptions::default());
    let stop = probe.stop.clone();
    let (probe, other) = tokio::join!(two.gateway.ask(probe, &note), async {
        begun.notified().await;
        let other = ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await;
        stop.cancel();
        other
    });
    assert_eq!(probe.outcome.unwrap_err().kind, ModelErrorKind::Canceled);
    assert!(other.answered.outcome.is_ok(), "{:?}", other.answered.outcome);
    let breaker = &two.gateway.status()[0].models[0].breaker;
    assert_eq!(*breaker, BreakerState::Closed { failure_count: 0 });
}

#[tokio::test]
async fn refusals_and_stops_are_no_failures_of_the_model() {
    let two = Two::start(fragile).await;
    two.first.push(Behavior::error(400, "invalid_request_error", "no"));
    two.first.push(Behavior::error(401, "invalid_api_key", "no"));
    two.first.push(Behavior::rate_limit("3600"));
    for _ in 0..3 {
        ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await;
    }
    two.first.hold();
    let stopped = question(&two.gateway, ModelOptions::default());
    let stop = stopped.stop.clone();
    let (asked, ()) = tokio::join!(ask(&two.gateway, stopped), async {
        two.first.wait_for_requests(4).await;
        stop.cancel();
    });
    assert_eq!(asked.code(), "model_canceled");
    let breaker = &two.gateway.status()[0].models[0].breaker;
    assert_eq!(*breaker, BreakerState::Closed { failure_count: 0 });
}

#[tokio::test]
async fn a_full_first_choice_is_a_reason_to_ask_somebody_else() {
    let limits = Limits { requests_per_minute: Some(1), ..Limits::default() };
    let two = Two::start(|provider| Provider { limits, ..provider }).await;
    ask(&two.gateway, two.question()).await.completion();
    let asked = ask(&two.gateway, two.question()).await;
    assert_eq!(asked.answered.route, route(SECOND));
    let error = &asked.answered.passed_over[0].error;
    assert!(matches!(error.kind, ModelErrorKind::RateLimited { .. }), "{error:?}");
    assert!(error.message.contains("`requests_per_minute`"), "{}", error.message);
    two.check_counts(1, 1);
}

#[tokio::test]
async fn the_answer_of_an_alternative_is_no_queue_time() {
    let limits = Limits { requests_per_minute: Some(1), ..Limits::default() };
    let two = Two::start(|provider| Provider { limits, ..provider }).await;
    ask(&two.gateway, two.question()).await.completion();
    two.second.hold();
    let (asked, ()) = tokio::join!(ask(&two.gateway, two.question()), async {
        two.second.wait_for_requests(1).await;
        // Time itself is what is told here.
        tokio::time::sleep(SHORT).await;
        two.second.release();
    });
    let timing = asked.answered.timing;
    assert_eq!(asked.answered.route, route(SECOND));
    assert!(timing.total_ms >= 150 && timing.queue_ms + 150 <= timing.total_ms, "{timing:?}");
    two.second.hold();
    let mut hurried = two.question();
    hurried.time_max = SHORT;
    let asked = ask(&two.gateway, hurried).await;
    assert!(asked.error().message.contains("did not answer within"), "{:?}", asked.error());
}

#[tokio::test]
async fn silence_is_a_failure_and_a_call_does_not_go_on_once_its_model_is_left_alone() {
    let hurried =
        |provider| Provider { first_token_time_max: SHORT, tries_max: 5, ..fragile(provider) };
    let two = Two::start(hurried).await;
    two.first.push(Behavior::Hang);
    two.first.otherwise(Behavior::status(500, "broken"));
    ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await.error();
    let breaker = &two.gateway.status()[0].models[0].breaker;
    assert_eq!(*breaker, BreakerState::Closed { failure_count: 1 });
    let asked = ask(&two.gateway, question(&two.gateway, ModelOptions::default())).await;
    assert!(asked.waits_ms().is_empty(), "{:?}", asked.waits_ms());
    assert!(asked.error().message.contains("answered 500: broken"), "{:?}", asked.error());
    two.check_counts(2, 0);
}
