//! Answers that nobody wants any more: the provider is left, and what was used is recorded.
use domain::plan::Plan;
use domain::run::Status;
use model_server::{After, Behavior as Server, ModelServer};
use store::{CallRow, CallStatus};
use tokio::time::timeout;

use super::support::{Behavior, Host, PATIENCE, SINGLE, STOP_TIME_MAX, Setup, Step, chat};
use crate::Live;

/// A host whose single stage is in the middle of an answer.
async fn in_the_middle(server: &ModelServer, step: Step) -> (Host, domain::RunId) {
    server.push(Server::begun("half of an answer", After::Hang));
    let host = Host::start_with(Setup::asking(server), &[SINGLE]).await;
    host.stages.set("first", Behavior::Do(vec![Step::Wait, step]));
    let run = host.submit("single").await;
    host.stages.has_arrived().await;
    let mut watching = host.engine.subscribe(&run);
    host.stages.gate.add_permits(1);
    let begun = async { while !matches!(watching.next().await, Some(Live::Text { .. })) {} };
    timeout(PATIENCE, begun).await.expect("the answer begins");
    (host, run)
}

async fn left_in_time(server: &ModelServer) {
    let left = timeout(STOP_TIME_MAX, server.wait_for_abandoned(1)).await;
    assert!(left.is_ok(), "the connection is still open");
}

#[track_caller]
fn check_spent(call: &CallRow, status: CallStatus) {
    assert_eq!(call.status, status);
    let usage = call.usage.expect("what was used is known");
    assert!(usage.input_tokens.unwrap() > 0, "{usage:?}");
    assert!(usage.output_tokens.unwrap() > 0, "{usage:?}");
    let cost = usage.total_tokens() * 1_000;
    assert_eq!(call.cost_nano_usd, Some(cost), "a token costs a thousand billionths");
}

#[tokio::test]
async fn a_canceled_run_leaves_the_provider_and_what_was_used_is_recorded() {
    for step in [Step::Ask("bees"), Step::Stream("bees")] {
        let server = ModelServer::start().await;
        let (host, run) = in_the_middle(&server, step).await;

        host.engine.cancel(&run, "tester", None).await.unwrap();
        left_in_time(&server).await;

        // Every record is written when the engine has stopped.
        host.engine.shutdown().await;
        let calls = host.calls().await;
        assert_eq!(calls.len(), 1);
        check_spent(&calls[0], CallStatus::Canceled);
        let detail = host.engine.store().call(&calls[0].call).await.unwrap().unwrap();
        assert_eq!(detail.answer.unwrap().content, "half of an answer");
        assert!(!host.journal(&run).await.contains("model_answered"));
        host.check_projections(&run).await;
    }
}

#[tokio::test]
async fn a_stopped_host_records_what_an_open_call_used_and_asks_again_at_the_next_start() {
    for step in [Step::Ask("bees"), Step::Stream("bees")] {
        let server = ModelServer::start().await;
        let (host, run) = in_the_middle(&server, step).await;
        host.stages.gate.add_permits(1);

        host.engine.shutdown().await;
        left_in_time(&server).await;
        check_spent(&host.calls().await[0], CallStatus::Canceled);
        let host = host.restart().await;
        host.reaches(&run, Status::Completed).await;

        let calls = host.calls().await;
        assert_eq!(calls.len(), 1, "it is the same call");
        assert_eq!(calls[0].status, CallStatus::Answered);
        assert_eq!(server.count(), 2);
        let answered = calls[0].usage.unwrap().total_tokens();
        let sum = host.engine.store().usage(&run).await.unwrap();
        assert!(sum.input_tokens + sum.output_tokens > answered, "what broke off counts, too");
        host.check_projections(&run).await;
    }
}

#[tokio::test]
async fn a_call_that_used_nothing_stays_open_when_the_host_stops() {
    let server = ModelServer::start().await;
    let mut setup = Setup::asking(&server);
    setup.providers[0].limits.requests_per_minute = Some(1);
    let host = Host::start_with(setup, &[SINGLE]).await;
    host.engine.chat_whole(chat("wasps")).await.unwrap();
    // A place within the limits is a minute away, and the question waits for it.
    let patient = |plan: &mut Plan| plan.stages[0].model.call_time_ms_max = Some(120_000);
    host.stages.set("first", Behavior::Do(vec![Step::Wait, Step::Ask("bees")]));
    let run = host.submit_changed("single", patient).await;
    host.stages.has_arrived().await;
    let mut watching = host.engine.subscribe(&run);
    host.stages.gate.add_permits(1);
    while !matches!(watching.next().await, Some(Live::CallStarted { .. })) {}
    host.engine.shutdown().await;

    // Its note may still be on its way to the disk; what counts is that nothing ended it.
    let calls = host.calls().await;
    assert!(calls.iter().all(|call| call.status != CallStatus::Canceled), "{calls:?}");

    let host = host.restart().await;
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;
    let calls = host.calls().await;
    assert_eq!(calls.len(), 2, "it is the same call");
    assert_eq!(calls[1].status, CallStatus::Answered);
    assert_eq!(server.count(), 2);
}
