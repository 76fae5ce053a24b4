//! `serve` is told to end: what it waits for, how it is hurried, and that nothing is lost.
use std::time::{Duration, Instant};

use model_server::ModelServer;

use crate::support::{Folder, Server, stagewright};

/// A second order is obeyed within a second; a machine that compiles at the same time may take longer.
const AT_ONCE_MAX: Duration = Duration::from_secs(5);
/// Longest time that a test lets a server wait for its models, in seconds: over every test's patience.
const PATIENT_S: &str = "600";

/// A folder whose models do not answer before they are released, and how long its server waits for them.
async fn held(shutdown_s: &str) -> (ModelServer, Folder) {
    let models = ModelServer::start().await;
    models.hold();
    let mut folder = Folder::with_models(&models);
    folder.set("STAGEWRIGHT_SHUTDOWN_S", shutdown_s);
    (models, folder)
}

/// Waits until the server has said something.
async fn said(folder: &Folder, words: &str) {
    for _ in 0..10_000 {
        let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
        if log.contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the server did not say `{words}`");
}

/// The run goes on after a restart, and asks the question that was open again: the same one, under the same key.
async fn goes_on(models: &ModelServer, folder: &Folder, run: &str) {
    models.release();
    let server = Server::start(folder);
    server.api.gate(run).await;
    let requests = models.requests();
    assert_eq!(requests.len(), 2, "the question that was open is asked once more");
    assert_eq!(requests[0].body, requests[1].body);
    let key = |idx: usize| requests[idx].header("idempotency-key").map(str::to_owned);
    assert!(key(0).is_some());
    assert_eq!(key(0), key(1));
    assert_eq!(server.api.finish(run).await["status"], "completed");
    assert_eq!(server.stop(), 0);
}

// Servers are waited for in this thread, while the model server answers in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_call_may_end_up_to_the_deadline_and_then_it_is_given_up_and_nothing_is_lost() {
    let (models, folder) = held("1").await;
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;

    let told_at = Instant::now();
    server.terminate();
    assert_eq!(server.ended(), 0);
    assert!(told_at.elapsed() >= Duration::from_secs(1), "it waited for the call");
    said(&folder, "open model calls may end within 1 s").await;
    goes_on(&models, &folder, &run).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_order_ends_it_at_once_and_nothing_is_lost() {
    let (models, folder) = held(PATIENT_S).await;
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;

    server.terminate();
    said(&folder, "stopping: nothing new begins").await;
    let meanwhile = stagewright(&folder, &["runs", "list"]);
    assert_eq!(meanwhile.code, 1, "{meanwhile}");
    assert!(meanwhile.stderr.contains("hint: it may be ending"), "{meanwhile}");
    let told_again_at = Instant::now();
    server.terminate();
    assert_eq!(server.ended(), 4, "something was left before its end");
    assert!(told_again_at.elapsed() < AT_ONCE_MAX, "{:?}", told_again_at.elapsed());
    said(&folder, "ended at once: what was open goes on at the next start").await;
    goes_on(&models, &folder, &run).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_begins_while_it_ends() {
    let (models, mut folder) = held(PATIENT_S).await;
    // One attempt at a time: the second run cannot begin while the first waits for its model.
    folder.set("STAGEWRIGHT_ATTEMPTS", "1");
    let server = Server::start(&folder);
    let first = server.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;
    let second = server.api.start("foundation_stack").await;

    server.terminate();
    said(&folder, "stopping: nothing new begins").await;
    models.release();
    assert_eq!(server.ended(), 0);
    assert_eq!(models.count(), 1, "the second run has asked nothing");

    let server = Server::start(&folder);
    server.api.gate(&first).await;
    server.api.gate(&second).await;
    assert_eq!(models.count(), 2, "the answer to the first was kept");
    assert_eq!(server.stop(), 0);
}
