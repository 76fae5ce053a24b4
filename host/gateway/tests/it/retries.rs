//! What is asked again, when, and how often.
use std::time::Duration;

use domain::model::{ModelErrorKind, ModelOptions, UsageSource};
use gateway::{Delta, Provider};
use model_server::{After, Behavior, ModelServer};
use tokio::net::TcpListener;

use crate::support::{SHORT, ask, ask_usual, gateway, gateway_to, provider, question};

#[tokio::test]
async fn a_busy_server_is_asked_again_with_the_same_key_until_it_answers() {
    let server = ModelServer::start().await;
    server.push(Behavior::status(503, "busy"));
    server.push(Behavior::Close);
    server.push(Behavior::text("here I am"));
    let asked = ask_usual(&gateway_to(&server)).await;
    assert_eq!(asked.completion().content, "here I am");
    assert_eq!(asked.answered.timing.tries, 3);
    let keys: Vec<Option<String>> = server
        .requests()
        .iter()
        .map(|request| request.header("idempotency-key").map(str::to_owned))
        .collect();
    assert_eq!(keys, vec![Some("call_1".to_owned()); 3]);
    let numbers: Vec<u32> = asked
        .deltas
        .iter()
        .filter_map(|delta| match delta {
            Delta::Retrying { try_number, cause, .. } => {
                assert!(cause.contains("provider `mine`"), "{cause}");
                Some(*try_number)
            }
            Delta::Text(_) | Delta::Reasoning(_) | Delta::FallingBack { .. } => None,
        })
        .collect();
    assert_eq!(numbers, [2, 3]);
}

#[tokio::test]
async fn tries_are_bounded_and_the_last_failure_is_told() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::status(500, "broken"));
    let asked = ask_usual(&gateway_to(&server)).await;
    assert_eq!((asked.code(), server.count()), ("model_unavailable", 3));
    assert!(asked.error().message.contains("answered 500: broken"));
    assert_eq!(asked.answered.timing.tries, 3);
}

#[tokio::test]
async fn a_wait_in_seconds_is_honoured() {
    let server = ModelServer::start().await;
    server.push(Behavior::rate_limit("0.2"));
    let asked = ask_usual(&gateway_to(&server)).await;
    asked.completion();
    assert_eq!(asked.waits_ms(), [200]);
    assert!(asked.answered.timing.total_ms >= 200);
}

#[tokio::test]
async fn a_wait_until_a_date_is_honoured() {
    let server = ModelServer::start().await;
    server.push(Behavior::Status {
        status: 503,
        headers: vec![
            ("date".to_owned(), "Wed, 21 Oct 2015 07:28:00 GMT".to_owned()),
            ("retry-after".to_owned(), "Wed, 21 Oct 2015 07:28:01 GMT".to_owned()),
        ],
        body: String::new(),
    });
    let asked = ask_usual(&gateway_to(&server)).await;
    asked.completion();
    assert_eq!(asked.waits_ms(), [1_000]);
}

#[tokio::test]
async fn a_wait_of_nothing_and_one_until_a_past_date_are_replaced_by_a_wait_of_ours() {
    for retry_after in ["0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let server = ModelServer::start().await;
        server.otherwise(Behavior::rate_limit(retry_after));
        // One in thousands of random waits is shorter than a millisecond.
        let retry_wait = Duration::from_secs(10);
        let gateway = gateway(Provider { retry_wait, ..provider(server.base_url()) });
        let asked = question(&gateway, ModelOptions::default());
        let stop = asked.stop.clone();
        let waits = std::sync::Mutex::new(Vec::new());
        let stop_at_retry = |delta| {
            if let Delta::Retrying { wait_ms, .. } = delta {
                waits.lock().unwrap().push(wait_ms);
                stop.cancel();
            }
        };
        gateway.ask(asked, &stop_at_retry).await.outcome.unwrap_err();
        let waits = waits.into_inner().unwrap();
        assert!(waits.len() == 1 && waits[0] > 0, "{retry_after}: {waits:?}");
    }
}

#[tokio::test]
async fn a_call_without_any_time_asks_nobody() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    // With a connection that is open already, a request is sent at the first opportunity.
    ask_usual(&gateway).await.completion();
    let mut hurried = question(&gateway, ModelOptions::default());
    hurried.time_max = Duration::ZERO;
    let asked = ask(&gateway, hurried).await;
    assert_eq!((asked.code(), asked.answered.timing.tries), ("model_timeout", 0));
    assert!(asked.error().message.contains("could not be asked within 0 s"), "{:?}", asked.error());
    ask_usual(&gateway).await.completion();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_told_at_once() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::rate_limit("3600"));
    let asked = ask_usual(&gateway_to(&server)).await;
    let expected = ModelErrorKind::RateLimited { retry_after_ms: Some(3_600_000) };
    assert_eq!(asked.error().kind, expected);
    assert_eq!(server.count(), 1);
    assert!(asked.answered.timing.total_ms < 10_000);
}

#[tokio::test]
async fn one_deadline_holds_for_all_tries_together() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::status(503, ""));
    let wait = Duration::from_millis(50);
    let tireless =
        Provider { tries_max: u32::MAX, retry_wait: wait, ..provider(server.base_url()) };
    let gateway = gateway(tireless);
    let mut hurried = question(&gateway, ModelOptions::default());
    hurried.time_max = Duration::from_millis(300);
    let asked = ask(&gateway, hurried).await;
    assert!(["model_unavailable", "model_timeout"].contains(&asked.code()));
    assert!(asked.answered.timing.total_ms < 5_000);
    assert_eq!(asked.answered.timing.tries as usize, server.count());
    assert!(server.count() > 1);
}

#[tokio::test]
async fn nothing_is_asked_again_after_the_first_token() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("half", After::Drop));
    let asked = ask_usual(&gateway_to(&server)).await;
    assert_eq!((asked.text().as_str(), server.count()), ("half", 1));
    assert!(asked.waits_ms().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let asked = ask_usual(&gateway(provider(base_url.clone()))).await;
    assert_eq!((asked.code(), asked.answered.timing.tries), ("model_unavailable", 3));
    let message = &asked.error().message;
    assert!(message.contains(&base_url) && message.contains("cannot be reached"), "{message}");
}

#[tokio::test]
async fn what_waiting_does_not_cure_is_never_asked_again() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    for (status, code, expected) in [
        (400, "invalid_request_error", "model_rejected"),
        (401, "invalid_api_key", "model_unauthorized"),
        (403, "access_terminated_error", "model_unauthorized"),
        (404, "model_not_found", "model_not_found"),
        (429, "insufficient_quota", "model_quota_exhausted"),
    ] {
        let before = server.count();
        server.push(Behavior::error(status, code, "no"));
        let asked = ask_usual(&gateway).await;
        assert_eq!(asked.code(), expected, "{status}");
        assert_eq!((server.count() - before, asked.answered.timing.tries), (1, 1), "{status}");
        assert!(asked.answered.broken_off.is_none(), "{status}");
    }
}

#[tokio::test]
async fn a_server_that_accepted_and_then_fell_silent_is_not_asked_again() {
    let server = ModelServer::start().await;
    server.push(Behavior::raw_then("text/event-stream", ": thinking\n\n", After::Hang));
    let impatient = Provider {
        first_token_time_max: SHORT,
        idle_time_max: SHORT,
        ..provider(server.base_url())
    };
    let asked = ask_usual(&gateway(impatient)).await;
    assert_eq!((asked.code(), server.count()), ("model_timeout", 1));
    let used = asked.answered.broken_off.expect("an accepted prompt may have to be paid").usage;
    assert_eq!((used.source, used.output_tokens), (UsageSource::Estimated, Some(0)));
    assert!(used.input_tokens > Some(0));
}

#[tokio::test]
async fn what_was_accepted_before_the_time_of_the_call_was_over_is_recorded() {
    let server = ModelServer::start().await;
    server.push(Behavior::raw_then("text/event-stream", ": thinking\n\n", After::Hang));
    server.push(Behavior::Hang);
    let gateway = gateway_to(&server);
    for was_accepted in [true, false] {
        let mut hurried = question(&gateway, ModelOptions::default());
        hurried.time_max = SHORT;
        let asked = ask(&gateway, hurried).await;
        assert_eq!(asked.code(), "model_timeout");
        let used = asked.answered.broken_off.map(|broken_off| broken_off.usage);
        assert_eq!(used.is_some(), was_accepted, "{used:?}");
        assert!(used.is_none_or(|used| used.input_tokens > Some(10)), "{used:?}");
    }
}

#[tokio::test]
async fn a_wait_is_ended_by_a_stop_and_nothing_was_used() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::rate_limit("20"));
    let gateway = gateway_to(&server);
    let waiting = question(&gateway, ModelOptions::default());
    let stop = waiting.stop.clone();
    let deltas = std::sync::Mutex::new(Vec::new());
    let stop_at_retry = |delta| {
        stop.cancel();
        deltas.lock().unwrap().push(delta);
    };
    let answered = gateway.ask(waiting, &stop_at_retry).await;
    assert_eq!(answered.outcome.unwrap_err().kind, ModelErrorKind::Canceled);
    assert!(answered.broken_off.is_none() && answered.timing.total_ms < 10_000);
    assert_eq!((answered.timing.tries, deltas.into_inner().unwrap().len()), (1, 1));
}
