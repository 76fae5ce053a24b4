//! Talking to a model outside of any run.
use domain::model::{ModelErrorKind, ResponseFormat};
use model_server::{After, Behavior as Server, ModelServer};
use store::{AnswerSource, CallOrigin, CallStatus};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::support::{Host, PATIENCE, STOP_TIME_MAX, Setup, chat};
use crate::{ChatAsk, ChatDelta, Error};

#[tokio::test]
async fn what_a_chat_says_about_itself_is_in_its_record_and_its_answer() {
    let host = Host::start(&[]).await;
    let ask = ChatAsk {
        session_id: Some("session 1".to_owned()),
        client_id: Some("shop".to_owned()),
        conversation_id: Some("order 7".to_owned()),
        label: Some("greeting".to_owned()),
        ..chat("bees")
    };
    let answer = host.engine.chat_whole(ask).await.unwrap();

    assert_eq!(answer.conversation_id, "order 7");
    assert_eq!((answer.source, answer.fallback_reason), (AnswerSource::Provider, None));
    let row = &host.calls().await[0];
    assert_eq!(row.call, answer.call_id);
    assert_eq!(row.conversation_id, "order 7");
    assert_eq!(row.label.as_deref(), Some("greeting"));
    let origin = CallOrigin::Chat {
        session_id: Some("session 1".to_owned()),
        client_id: Some("shop".to_owned()),
    };
    assert_eq!(row.origin, origin);
}

#[tokio::test]
async fn a_chat_without_a_conversation_tells_the_one_that_the_records_have() {
    let host = Host::start(&[]).await;
    let alone = host.engine.chat_whole(chat("bees")).await.unwrap();
    let ask = ChatAsk { session_id: Some("session 1".to_owned()), ..chat("bees") };
    let in_session = host.engine.chat_whole(ask).await.unwrap();

    let rows = host.calls().await;
    assert_eq!(rows[0].conversation_id, alone.conversation_id);
    assert_eq!(rows[1].conversation_id, in_session.conversation_id);
}

#[tokio::test]
async fn every_problem_of_a_chat_is_reported_and_nothing_is_asked() {
    let host = Host::start(&[]).await;
    let mut ask = ChatAsk {
        client_id: Some("a\nb".to_owned()),
        conversation_id: Some(" ".to_owned()),
        label: Some("x".repeat(300)),
        ..chat("  ")
    };
    ask.options.max_tokens = Some(0);
    ask.options.temperature = Some(f32::NAN);
    ask.options.top_p = Some(0.0);
    ask.options.stop = vec![String::new(); 9];
    ask.options.response_format =
        ResponseFormat::JsonSchema { name: String::new(), schema: "[]".to_owned() };

    let Error::Invalid(problems) = host.engine.chat_whole(ask).await.unwrap_err() else {
        panic!("the chat is not valid");
    };

    let mut places: Vec<String> =
        problems.items().iter().map(|problem| problem.place.to_string()).collect();
    places.sort();
    places.dedup();
    let expected = [
        "/client_id",
        "/conversation_id",
        "/label",
        "/max_tokens",
        "/messages",
        "/response_format/name",
        "/response_format/schema",
        "/stop",
    ];
    assert_eq!(places[..8], expected);
    assert_eq!(places.last().unwrap(), "/top_p");
    assert!(places.contains(&"/temperature".to_owned()));
    assert!(host.calls().await.is_empty());
}

#[tokio::test]
async fn a_slow_reader_misses_nothing_and_slows_the_provider_down() {
    let server = ModelServer::start().await;
    let long: String = (0..5_000).map(|number| format!("bee {number} ")).collect();
    server.otherwise(Server::text(long.clone()));
    let host = Host::start_with(Setup::asking(&server), &[]).await;
    let (sender, mut pieces) = mpsc::channel(4);
    let reading = async {
        let mut text = String::new();
        let Some(ChatDelta::Text(first)) = pieces.recv().await else { panic!("no text") };
        text.push_str(&first);
        // Answers of the same length that begin later end meanwhile.
        for _ in 0..3 {
            host.engine.chat_whole(chat("wasps")).await.unwrap();
        }
        assert_eq!(host.calls().await[0].status, CallStatus::Open);
        while let Some(ChatDelta::Text(piece)) = pieces.recv().await {
            text.push_str(&piece);
        }
        text
    };
    let (answer, read) = tokio::join!(host.engine.chat(chat("bees"), sender), reading);
    assert_eq!(read, long);
    assert_eq!(answer.unwrap().completion.content, long);
}

async fn check_stopped(server: &ModelServer, host: &Host) {
    let left = timeout(STOP_TIME_MAX, server.wait_for_abandoned(1)).await;
    assert!(left.is_ok(), "the connection is still open");
    host.engine.shutdown().await;
    let row = &host.calls().await[0];
    assert_eq!(row.status, CallStatus::Canceled);
    assert!(row.usage.unwrap().output_tokens.unwrap() > 0);
    assert!(row.cost_nano_usd.unwrap() > 0);
}

#[tokio::test]
async fn a_reader_that_goes_away_stops_the_provider_and_what_was_used_is_recorded() {
    let server = ModelServer::start().await;
    server.push(Server::begun("half", After::Hang));
    let host = Host::start_with(Setup::asking(&server), &[]).await;
    let (sender, mut pieces) = mpsc::channel(4);
    let reading = async move {
        pieces.recv().await.unwrap();
        drop(pieces);
    };
    let chatting = async { tokio::join!(host.engine.chat(chat("bees"), sender), reading) };
    let (outcome, ()) = timeout(PATIENCE, chatting).await.unwrap();
    let Err(Error::Model(error)) = outcome else { panic!("nobody wants the answer") };
    assert_eq!(error.kind, ModelErrorKind::Canceled);
    check_stopped(&server, &host).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_the_provider_and_what_was_used_is_recorded() {
    let server = ModelServer::start().await;
    server.push(Server::begun("half", After::Hang));
    let host = Host::start_with(Setup::asking(&server), &[]).await;
    let (sender, mut pieces) = mpsc::channel(4);
    tokio::select! {
        _ = host.engine.chat(chat("bees"), sender) => panic!("there is no whole answer"),
        first = pieces.recv() => assert_eq!(first, Some(ChatDelta::Text("half".to_owned()))),
    }
    check_stopped(&server, &host).await;
}
