//! Refusals, broken answers and silence.
use std::io;
use std::net::SocketAddr;

use domain::model::{ModelErrorKind, ModelOptions, UsageSource};
use gateway::Provider;
use model_server::{After, Answer, Behavior, ModelServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{LONG, SHORT, ask, ask_usual, gateway, gateway_to, provider, question};

/// Asks once and says what came of it: the code, and how many requests it took.
async fn outcome(behavior: Behavior) -> (&'static str, usize) {
    let server = ModelServer::start().await;
    server.otherwise(behavior);
    let asked = ask_usual(&gateway_to(&server)).await;
    (asked.code(), server.count())
}

#[tokio::test]
async fn what_cannot_get_better_is_asked_once() {
    let cases = [
        (Behavior::error(400, "invalid_request_error", "no"), "model_rejected"),
        (Behavior::error(400, "context_length_exceeded", "long"), "model_context_too_long"),
        (Behavior::error(401, "invalid_api_key", "no"), "model_unauthorized"),
        (Behavior::error(403, "access_terminated_error", "no"), "model_unauthorized"),
        (Behavior::error(404, "model_not_found", "no"), "model_not_found"),
        (Behavior::error(429, "insufficient_quota", "no"), "model_quota_exhausted"),
    ];
    for (behavior, code) in cases {
        assert_eq!(outcome(behavior).await, (code, 1));
    }
}

#[tokio::test]
async fn a_200_that_is_no_answer_may_have_been_paid_and_is_not_asked_again() {
    let json = "application/json";
    let cases = [
        (Behavior::raw(json, ""), "model_bad_response"),
        (Behavior::raw("text/html", "<html>welcome</html>"), "model_bad_response"),
        (Behavior::raw(json, "{\"hello\": 1}"), "model_bad_response"),
        (Behavior::raw(json, "{\"choices\": ["), "model_bad_response"),
        (Behavior::raw("text/event-stream", "data: [DONE]\n\n"), "model_bad_response"),
        (Behavior::raw(json, "{\"error\": \"overloaded\"}"), "model_unavailable"),
        (Behavior::begun("half a", After::Drop), "model_unavailable"),
        (Behavior::begun("half a", After::End), "model_unavailable"),
    ];
    for (behavior, code) in cases {
        let shown = format!("{behavior:?}");
        assert_eq!(outcome(behavior).await, (code, 1), "{shown}");
    }
}

#[tokio::test]
async fn a_message_shows_what_came_and_names_the_setting() {
    let server = ModelServer::start().await;
    server.push(Behavior::raw("text/html", "<html>welcome\nto the wifi</html>"));
    let message = ask_usual(&gateway_to(&server)).await.error().message.clone();
    assert_eq!(
        message,
        format!(
            "provider `mine` ({}) answered with a body that is not an answer: `<html>welcome to the wifi</html>`; \
             check that `providers.mine.base_url` is the address of a server that speaks OpenAI's chat completions",
            server.base_url()
        )
    );
}

#[tokio::test]
async fn an_error_in_mid_stream_ends_the_answer_with_the_servers_words() {
    let server = ModelServer::start().await;
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"half \"}}]}\n\n\
                data: {\"error\":{\"message\":\"engine overloaded\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    server.push(Behavior::raw("text/event-stream", body));
    let asked = ask_usual(&gateway_to(&server)).await;
    assert_eq!((asked.code(), asked.text().as_str()), ("model_rate_limited", "half "));
    assert!(asked.error().message.contains("engine overloaded"));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn what_a_broken_answer_used_is_recorded() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("half a sentence", After::Drop));
    let asked = ask_usual(&gateway_to(&server)).await;
    let broken_off = asked.answered.broken_off.as_ref().unwrap();
    assert_eq!(broken_off.content, "half a sentence");
    assert_eq!(broken_off.usage.output_tokens, Some(3));
    assert_eq!(broken_off.usage.source, UsageSource::Estimated);
    assert!(broken_off.usage.input_tokens > Some(10));
}

#[tokio::test]
async fn an_answer_that_breaks_before_its_first_token_may_have_been_paid_and_is_recorded() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let stream = "text/event-stream";
    for behavior in [
        Behavior::raw_then(stream, ": thinking\n\n", After::Drop),
        Behavior::raw(stream, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"),
        Behavior::raw(stream, "data: {\"error\":{\"message\":\"engine failed\"}}\n\n"),
    ] {
        let shown = format!("{behavior:?}");
        server.push(behavior);
        let asked = ask_usual(&gateway).await;
        assert_eq!(asked.code(), "model_unavailable", "{shown}");
        let used = asked.answered.broken_off.expect(&shown).usage;
        assert_eq!((used.source, used.output_tokens), (UsageSource::Estimated, Some(0)));
        assert!(used.input_tokens > Some(10), "{used:?}");
    }
    server.push(Behavior::raw("text/html", "<html>welcome</html>"));
    assert!(ask_usual(&gateway).await.answered.broken_off.is_none(), "no model worked on it");
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn an_error_after_some_text_keeps_the_counts_that_were_told() {
    let server = ModelServer::start().await;
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"half \"}}],\
                \"usage\":{\"prompt_tokens\":321,\"completion_tokens\":7}}\n\n\
                data: {\"error\":{\"message\":\"engine failed\"}}\n\n";
    server.push(Behavior::raw("text/event-stream", body));
    let asked = ask_usual(&gateway_to(&server)).await;
    let broken_off = asked.answered.broken_off.expect("a model worked on it");
    let used = broken_off.usage;
    assert_eq!((used.input_tokens, used.output_tokens), (Some(321), Some(7)));
    assert_eq!((used.source, broken_off.content.as_str()), (UsageSource::Provider, "half "));
}

#[tokio::test]
async fn a_server_that_never_begins_runs_into_the_first_token_bound() {
    let server = ModelServer::start().await;
    let bounded = Provider { first_token_time_max: SHORT, ..provider(server.base_url()) };
    let gateway = gateway(bounded);
    let pings = Behavior::raw_then("text/event-stream", ": ping\n\n", After::Hang);
    for behavior in [Behavior::Hang, pings] {
        server.push(behavior);
        let asked = ask_usual(&gateway).await;
        assert_eq!(asked.code(), "model_timeout");
        assert!(asked.error().message.contains("did not begin to answer within 150 ms"));
        assert!(asked.error().message.contains("choose another model or provider"));
    }
    assert_eq!(server.count(), 2, "neither was asked again");
    server.wait_for_abandoned(2).await;
}

#[tokio::test]
async fn a_server_that_falls_silent_runs_into_the_idle_bound() {
    let server = ModelServer::start().await;
    let bounded = Provider { idle_time_max: SHORT, ..provider(server.base_url()) };
    server.push(Behavior::begun("half", After::Hang));
    let asked = ask_usual(&gateway(bounded)).await;
    assert_eq!((asked.code(), asked.text().as_str()), ("model_timeout", "half"));
    assert!(asked.error().message.contains("fell silent for 150 ms"));
    assert_eq!(asked.answered.broken_off.as_ref().unwrap().content, "half");
}

#[tokio::test]
async fn a_question_runs_into_its_own_deadline_and_into_the_providers() {
    let server = ModelServer::start().await;
    server.otherwise(Behavior::begun("half", After::Hang));
    let patient = gateway_to(&server);
    let mut hurried = question(&patient, ModelOptions::default());
    hurried.time_max = SHORT;
    let asked = ask(&patient, hurried).await;
    assert_eq!(asked.code(), "model_timeout");
    assert!(asked.error().message.contains("did not answer within 150 ms"));
    assert!(asked.answered.broken_off.is_some());
    let impatient = gateway(Provider { call_time_max: SHORT, ..provider(server.base_url()) });
    assert_eq!(ask_usual(&impatient).await.code(), "model_timeout");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_line_without_end_is_cut_off() {
    let server = ModelServer::start().await;
    server.push(Behavior::HugeLine { size_bytes: 17 << 20 });
    let asked = ask_usual(&gateway_to(&server)).await;
    assert_eq!(asked.code(), "model_bad_response");
    assert!(asked.error().message.contains("sent a line of more than 16 MiB"));
    server.wait_for_abandoned(1).await;
}

#[tokio::test]
async fn a_flood_of_an_error_page_is_not_read_to_its_end() {
    let asked = outcome(Behavior::status(400, "x".repeat(8 << 20))).await;
    assert_eq!(asked, ("model_rejected", 1));
}

#[tokio::test]
async fn an_error_page_without_end_is_left_as_soon_as_enough_of_it_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let flood = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"}") {
            assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "the request ends");
        }
        let head = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        connection.write_all(head).await.unwrap();
        // Ends when the other side has closed the connection.
        while connection.write_all(&[b'x'; 16 << 10]).await.is_ok() {}
    };
    let gateway = gateway(provider(base_url));
    let both = async { tokio::join!(ask_usual(&gateway), flood) };
    let (asked, ()) = tokio::time::timeout(LONG / 2, both).await.expect("nobody reads on");
    assert_eq!(asked.code(), "model_rejected");
}

/// A listener that takes no more connections, and the connections that fill it.
async fn full_listener() -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(1)?;
    let address = listener.local_addr()?;
    let mut connections = Vec::new();
    while let Ok(connected) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        connections.push(connected?);
        assert!(connections.len() < 100, "the system bounds what waits to be accepted");
    }
    Ok((listener, connections))
}

#[tokio::test]
async fn a_server_that_takes_no_connection_runs_into_the_bound_for_connecting() {
    let (listener, _connections) = full_listener().await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let impatient =
        Provider { connect_time_max: SHORT, tries_max: 2, ..provider(base_url.clone()) };
    let asked = ask_usual(&gateway(impatient)).await;
    assert_eq!((asked.code(), asked.answered.timing.tries), ("model_unavailable", 2));
    assert!(asked.error().message.contains("cannot be reached"), "{:?}", asked.error());
    assert!(asked.answered.broken_off.is_none(), "nothing was sent");
}

#[tokio::test]
async fn dropping_the_future_closes_the_connection() {
    let server = ModelServer::start().await;
    server.hold();
    let gateway = gateway_to(&server);
    let asking = ask_usual(&gateway);
    tokio::select! {
        _ = asking => panic!("the server holds the call"),
        () = server.wait_for_requests(1) => {}
    }
    server.wait_for_abandoned(1).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = ModelServer::start().await;
    let target = ModelServer::start().await;
    server.push(Behavior::Status {
        status: 307,
        headers: vec![("location".to_owned(), format!("{}/chat/completions", target.base_url()))],
        body: String::new(),
    });
    let asked = ask_usual(&gateway_to(&server)).await;
    assert_eq!(asked.code(), "model_rejected");
    assert!(asked.error().message.contains(&target.base_url()), "{}", asked.error().message);
    assert_eq!(target.count(), 0);
}

#[tokio::test]
async fn an_unknown_provider_is_refused_with_the_known_ones() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let mut lost = question(&gateway, ModelOptions::default());
    lost.route.provider = "gone".to_owned();
    let asked = ask(&gateway, lost).await;
    assert_eq!(asked.error().kind, ModelErrorKind::Rejected);
    assert!(asked.error().message.contains("there are mine"));
}

#[tokio::test]
async fn a_second_question_works_after_the_first_broke() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    server.push(Behavior::begun("half", After::Drop));
    server.push(Behavior::Answer(Answer { text: Some("whole".to_owned()), ..Answer::default() }));
    assert!(ask_usual(&gateway).await.answered.outcome.is_err());
    assert_eq!(ask_usual(&gateway).await.completion().content, "whole");
}
