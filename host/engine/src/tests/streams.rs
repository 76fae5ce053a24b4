//! Answers that a stage reads while they are written.
use domain::model::{FinishReason, UsageSource};
use domain::run::Status;
use insta::assert_snapshot;
use model_server::{After, Behavior as Server, ModelServer};
use store::CallStatus;
use tokio::time::timeout;

use super::support::{Behavior, Host, SINGLE, STOP_TIME_MAX, Setup, Step, chat};

const ANSWER: &str = "bees need flowers, water and a warm place for the winter";

async fn host(server: &ModelServer, steps: Vec<Step>) -> Host {
    let host = Host::start_with(Setup::asking(server), &[SINGLE]).await;
    host.stages.set("first", Behavior::Do(steps));
    host
}

#[tokio::test]
async fn a_stream_gives_the_whole_answer_and_a_replay_gives_it_again_and_asks_nobody() {
    let server = ModelServer::start().await;
    server.push(Server::text(ANSWER));
    let host = host(&server, vec![Step::Stream("bees"), Step::Wait]).await;
    let run = host.submit("single").await;
    host.stages.has_arrived().await;

    let host = host.restart().await;
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;

    assert_eq!(host.text(&run, "first").await, ANSWER);
    assert_eq!(server.count(), 1);
    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 stage_finished 0
    5 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_stage_that_has_enough_stops_the_provider_and_a_replay_gives_the_same_again() {
    let server = ModelServer::start().await;
    server.push(Server::begun("enough, and a little more", After::Hang));
    let host =
        host(&server, vec![Step::StreamSome("bees", 6), Step::Ask("wasps"), Step::Wait]).await;
    server.push(Server::text(", wasps"));
    let run = host.submit("single").await;
    let left = timeout(STOP_TIME_MAX, server.wait_for_abandoned(1)).await;
    assert!(left.is_ok(), "the connection is still open");
    host.stages.has_arrived().await;

    let host = host.restart().await;
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;

    assert_eq!(host.text(&run, "first").await, "enough, wasps");
    assert_eq!(server.count(), 2);
    let calls = host.calls().await;
    assert_eq!(calls[0].status, CallStatus::Answered);
    let reason = FinishReason::Other("stopped_by_stage".to_owned());
    assert_eq!(calls[0].finish_reason, Some(reason));
    let usage = calls[0].usage.unwrap();
    assert_eq!(usage.source, UsageSource::Estimated);
    assert!(usage.input_tokens.unwrap() > 0 && usage.output_tokens.unwrap() > 0, "{usage:?}");
    let detail = host.engine.store().call(&calls[0].call).await.unwrap().unwrap();
    assert_eq!(detail.answer.unwrap().content, "enough, and a little more");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn an_attempt_that_ends_with_an_open_stream_leaves_a_canceled_call_with_what_it_spent() {
    let server = ModelServer::start().await;
    server.push(Server::begun("half of an answer", After::Hang));
    let host = host(&server, vec![Step::StreamAndFail("bees", 4)]).await;
    let run = host.submit("single").await;
    host.reaches(&run, Status::Failed).await;

    // The record is there when the end of the attempt is.
    let calls = host.calls().await;
    assert_eq!(calls[0].status, CallStatus::Canceled);
    let usage = calls[0].usage.unwrap();
    assert_eq!(usage.source, UsageSource::Estimated);
    assert!(usage.input_tokens.unwrap() > 0 && usage.output_tokens.unwrap() > 0, "{usage:?}");
    let detail = host.engine.store().call(&calls[0].call).await.unwrap().unwrap();
    assert_eq!(detail.answer.unwrap().content, "half of an answer");
    assert_eq!(host.fault(&run).await.0, "plugin_trapped");
    let left = timeout(STOP_TIME_MAX, server.wait_for_abandoned(1)).await;
    assert!(left.is_ok(), "the connection is still open");
    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 stage_failed 0 plugin_trapped
    4 run_failed 0 plugin_trapped
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_stage_that_wants_more_than_before_of_an_answer_that_it_stopped_is_itself_stopped() {
    let server = ModelServer::start().await;
    server.push(Server::begun("enough", After::Hang));
    let host = host(&server, vec![Step::StreamSome("bees", 6), Step::Wait]).await;
    let run = host.submit("single").await;
    host.stages.has_arrived().await;
    host.stages.set("first", Behavior::Do(vec![Step::Stream("bees")]));

    let host = host.restart().await;
    host.reaches(&run, Status::Failed).await;

    assert_eq!(host.fault(&run).await.0, "replay_diverged");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_gives_its_pieces_and_then_the_error_also_when_replayed() {
    let server = ModelServer::start().await;
    server.push(Server::begun("half ", After::Drop));
    let host = host(&server, vec![Step::Stream("bees"), Step::Wait]).await;
    let run = host.submit("single").await;
    host.stages.has_arrived().await;

    let host = host.restart().await;
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;

    assert_eq!(host.text(&run, "first").await, "half [model_unavailable]");
    assert_eq!(server.count(), 1);
    let calls = host.calls().await;
    assert_eq!(calls[0].status, CallStatus::Failed);
    assert!(calls[0].usage.unwrap().output_tokens.unwrap() > 0);
}

#[tokio::test]
async fn nothing_else_is_asked_while_a_stream_is_open() {
    let server = ModelServer::start().await;
    let host =
        host(&server, vec![Step::AskInTheMiddle("bees"), Step::Ask("wasps"), Step::Wait]).await;
    server.push(Server::text("not read"));
    server.push(Server::text(" then wasps"));
    let run = host.submit("single").await;
    host.stages.has_arrived().await;

    let host = host.restart().await;
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;

    assert_eq!(host.text(&run, "first").await, "[model_rejected] then wasps");
    assert_eq!(server.count(), 2, "the refused question went nowhere");
}

#[tokio::test]
async fn a_stream_that_was_open_at_the_end_of_the_host_is_asked_again() {
    let server = ModelServer::start().await;
    server.push(Server::begun("half", After::Hang));
    let host = host(&server, vec![Step::StreamSlowly("bees")]).await;
    server.push(Server::text(ANSWER));
    let run = host.submit("single").await;
    host.stages.has_arrived().await;

    let host = host.restart().await;
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;

    assert_eq!(host.text(&run, "first").await, ANSWER);
    assert_eq!(host.calls().await.len(), 1);
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_stage_that_reads_slowly_slows_the_provider_down_and_misses_nothing() {
    let server = ModelServer::start().await;
    let long: String = (0..5_000).map(|number| format!("bee {number} ")).collect();
    server.otherwise(Server::text(long.clone()));
    let host = host(&server, vec![Step::StreamSlowly("bees")]).await;
    let run = host.submit("single").await;
    host.stages.has_arrived().await;

    // Answers of the same length that begin later end meanwhile, and the one that nobody reads goes no further.
    for _ in 0..3 {
        host.engine.chat_whole(chat("wasps")).await.unwrap();
    }
    assert_eq!(host.calls().await[0].status, CallStatus::Open);

    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;
    assert_eq!(host.text(&run, "first").await, long);
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_told_by_the_stream() {
    let profile = format!("{SINGLE}budget: {{ run_tokens: 1 }}\n");
    let host = Host::start(&[&profile]).await;
    host.stages.set("first", Behavior::Do(vec![Step::Stream("bees")]));
    let run = host.submit("single").await;
    host.reaches(&run, Status::Completed).await;
    assert_eq!(host.text(&run, "first").await, "[budget_exhausted]");
}
