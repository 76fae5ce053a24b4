//! A host that is told to stop.
use std::time::Duration;

use domain::run::Status;
use model_server::{Behavior as Server, ModelServer};
use store::CallStatus;
use tokio::time::timeout;

use super::support::{Behavior, Host, PATIENCE, STOP_TIME_MAX, STRAIGHT, Setup, chat};
use crate::{Error, StartRun};

/// A host whose run waits for a held answer.
async fn asking(server: &ModelServer) -> (Host, domain::RunId) {
    let mut setup = Setup::asking(server);
    setup.shutdown_grace = PATIENCE * 10;
    let host = Host::start_with(setup, &[STRAIGHT]).await;
    host.stages.set("first", Behavior::Ask(vec!["bees".to_owned()]));
    server.hold();
    let run = host.submit("straight").await;
    timeout(PATIENCE, server.wait_for_requests(1)).await.unwrap();
    (host, run)
}

fn keys(server: &ModelServer) -> Vec<String> {
    let requests = server.requests();
    requests.iter().map(|one| one.header("idempotency-key").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_open_call_may_end_and_nothing_new_begins() {
    let server = ModelServer::start().await;
    let (host, run) = asking(&server).await;
    let engine = host.engine.clone();
    let stopping = async { timeout(PATIENCE, engine.shutdown()).await.unwrap() };
    let meanwhile = async {
        while !matches!(engine.chat_whole(chat("wasps")).await, Err(Error::ShuttingDown)) {
            tokio::task::yield_now().await;
        }
        let refused = engine.start_run(StartRun::default()).await.unwrap_err();
        assert!(matches!(refused, Error::ShuttingDown), "{refused}");
        server.release();
    };
    tokio::join!(stopping, meanwhile);

    let calls = host.calls().await;
    let answered = calls.iter().filter(|call| call.status == CallStatus::Answered).count();
    assert_eq!(answered, 1, "the answer was waited for");
    let journal = host.journal(&run).await;
    assert!(journal.contains("model_answered 0 #1"), "{journal}");
    assert!(!journal.contains("model_answered 1"), "nothing new was asked: {journal}");

    let host = host.restart().await;
    host.reaches(&run, Status::Completed).await;
    assert_eq!(server.count(), 2, "each question was asked once");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_second_order_ends_at_once_and_loses_nothing() {
    let server = ModelServer::start().await;
    let (host, run) = asking(&server).await;
    let engine = host.engine.clone();
    let stopping = async { timeout(STOP_TIME_MAX, engine.shutdown()).await };
    let second = async {
        tokio::task::yield_now().await;
        engine.stop_at_once();
    };
    let (stopped, ()) = tokio::join!(stopping, second);
    stopped.expect("nobody waits for the open call any more");
    assert!(!host.journal(&run).await.contains("stage_failed"));

    server.release();
    server.otherwise(Server::text("a hive"));
    let host = host.restart().await;
    host.reaches(&run, Status::Completed).await;
    let keys = keys(&server);
    assert_eq!(keys[0], keys[1], "it is the same question");
    assert_eq!(server.count(), 3);
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_grace_that_is_over_gives_up_what_is_open() {
    let server = ModelServer::start().await;
    let (mut host, run) = asking(&server).await;
    host.setup.shutdown_grace = Duration::from_millis(50);
    server.release();
    host.reaches(&run, Status::Completed).await;
    let host = host.restart().await;
    server.hold();
    let run = host.submit("straight").await;
    let asked = server.count() + 1;
    timeout(PATIENCE, server.wait_for_requests(asked)).await.unwrap();
    timeout(STOP_TIME_MAX, host.engine.shutdown()).await.expect("the grace is short");
    server.release();
    let host = host.restart().await;
    host.reaches(&run, Status::Completed).await;
    host.check_projections(&run).await;
}
