//! Streams of events: without gap, without repetition, whatever the reader does.
use axum::body::Body;
use axum::http::Request;
use model_server::{Behavior, ModelServer};
use serde_json::json;

use super::stages::Stages;
use super::support::{Host, Seen, Setup, served_by};
use crate::Access;

fn events(run: &str, query: &str) -> Request<Body> {
    let path = format!("/api/v2/workflow-runs/{run}/events{query}");
    Request::get(path).body(Body::empty()).unwrap()
}

fn ids(seen: &[Seen]) -> Vec<u64> {
    seen.iter().filter_map(|seen| seen.id).collect()
}

async fn version(host: &Host, run: &str) -> u64 {
    host.get(&format!("/api/v2/workflow-runs/{run}")).await.json()["version"].as_u64().unwrap()
}

#[tokio::test]
async fn a_watcher_sees_every_event_once_over_a_gate_and_then_the_end() {
    let host = Host::with(Stages::held_up(), Access::in_process()).await;
    let run = host.begin("gated").await;
    let mut watch = host.watch(events(&run, "")).await;
    host.stages.room.add_permits(2);
    let mut seen = watch.until("gate_opened").await;
    let approval = seen.last().unwrap().data["data"]["approval_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v2/approvals/{approval}/grant");
    host.post(&path, json!({"actor": "ada"})).await;
    seen.extend(watch.rest().await);

    assert_eq!(ids(&seen), (1..=version(&host, &run).await).collect::<Vec<_>>());
    let end = seen.last().unwrap();
    assert_eq!((end.name.as_str(), end.id), ("end", None));
    assert_eq!(end.data, json!({"run_id": run, "status": "completed"}));
    for event in seen.iter().filter(|seen| seen.id.is_some()) {
        assert_eq!(event.data["kind"], event.name.as_str());
        assert_eq!(event.data["version"].as_u64(), event.id);
        assert!(event.data["line"].is_string());
    }
}

#[tokio::test]
async fn what_a_model_writes_comes_before_the_event_of_its_answer_and_without_id() {
    let host = Host::with(Stages::held_up(), Access::in_process()).await;
    let run = host.begin("straight").await;
    let mut watch = host.watch(events(&run, "")).await;
    watch.until("stage_started").await;
    host.stages.room.add_permits(2);
    let seen = watch.until("model_answered").await;
    let live: Vec<&Seen> = seen.iter().filter(|seen| seen.name == "model_text").collect();
    assert!(!live.is_empty(), "{seen:?}");
    assert!(live.iter().all(|seen| seen.id.is_none() && seen.data["stage"] == "first"));
    assert!(seen.iter().any(|seen| seen.name == "model_call_started"));
}

#[tokio::test]
async fn a_try_that_fails_is_seen_while_the_next_one_is_waited_for() {
    let server = ModelServer::start().await;
    server.push(Behavior::error(503, "server_error", "out of order"));
    let setup = Setup { stages: Stages::held_up(), ..Setup::asking(served_by(&server)) };
    let host = Host::set_up(setup).await;
    let run = host.begin("straight").await;
    let mut watch = host.watch(events(&run, "")).await;
    watch.until("stage_started").await;
    host.stages.room.add_permits(2);
    let retrying = watch.until("model_retrying").await.pop().unwrap();
    assert_eq!(retrying.id, None);
    assert_eq!(
        (&retrying.data["stage"], &retrying.data["try_number"]),
        (&json!("first"), &json!(2))
    );
    assert!(retrying.data["cause"].as_str().unwrap().contains("out of order"), "{retrying:?}");
    assert_eq!(watch.rest().await.last().unwrap().data["status"], "completed");
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let host = Host::start().await;
    let run = host.begin("gated").await;
    host.open_approval(&run).await;
    let mut first = host.watch(events(&run, "")).await;
    first.until("model_answered").await;
    drop(first);
    let mut request = events(&run, "");
    request.headers_mut().insert("last-event-id", "3".parse().unwrap());
    let mut again = host.watch(request).await;
    assert_eq!(ids(&again.until("gate_opened").await), [4, 5]);
    let mut by_query = host.watch(events(&run, "?after=4")).await;
    assert_eq!(ids(&by_query.until("gate_opened").await), [5]);
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_no_event_and_holds_up_nobody() {
    let host = Host::with(Stages::held_up(), Access::in_process()).await;
    let run = host.begin("straight").await;
    let watch = host.watch(events(&run, "")).await;
    host.stages.room.add_permits(2);
    host.reaches(&run, "completed").await;
    let seen = watch.rest().await;
    assert_eq!(ids(&seen), (1..=version(&host, &run).await).collect::<Vec<_>>());
    assert_eq!(seen.last().unwrap().name, "end");
}

#[tokio::test]
async fn a_client_that_comes_back_after_the_end_is_told_that_it_was_the_end() {
    let host = Host::start().await;
    let run = host.begin("straight").await;
    let version = host.reaches(&run, "completed").await["version"].as_u64().unwrap();
    let seen = host.watch(events(&run, &format!("?after={version}"))).await.rest().await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].name, "end");
}

#[tokio::test]
async fn a_run_that_is_started_again_is_followed_to_its_second_end() {
    let host = Host::start().await;
    let run = host.begin("straight").await;
    host.reaches(&run, "completed").await;
    host.post(&format!("/api/v2/workflow-runs/{run}/retry"), json!({"stage": "second"})).await;
    let seen = host.watch(events(&run, "")).await.rest().await;
    let ends = seen.iter().filter(|seen| seen.name == "run_completed").count();
    assert_eq!(ends, 2, "{seen:?}");
    assert_eq!(ids(&seen), (1..=version(&host, &run).await).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_id_of_another_run_is_refused() {
    let host = Host::start().await;
    let run = host.begin("straight").await;
    host.reaches(&run, "completed").await;
    let answer = host.send(events(&run, "?after=900")).await;
    answer.refused(400, "request_invalid");
    host.send(events(&run, "?after=x")).await.refused(400, "request_invalid");
    let nobody = format!("run_{}", "0".repeat(32));
    host.send(events(&nobody, "")).await.refused(404, "run_unknown");
}

#[tokio::test]
async fn streams_end_without_an_end_when_the_host_stops() {
    let host = Host::with(Stages::held_up(), Access::in_process()).await;
    let run = host.begin("gated").await;
    let mut watch = host.watch(events(&run, "")).await;
    watch.until("run_created").await;
    host.engine.shutdown().await;
    let rest = watch.rest().await;
    assert!(rest.iter().all(|seen| seen.name != "end"), "{rest:?}");
}
