//! A host that stops and starts again.
use domain::run::{Status, Verdict};

use super::support::{Behavior, GATED, Host, STRAIGHT};

#[tokio::test]
async fn a_gate_is_still_open_after_a_restart_and_can_be_decided() {
    let host = Host::start(&[GATED]).await;
    let run = host.submit("gated").await;
    host.reaches(&run, Status::WaitingApproval).await;

    let host = host.restart().await;
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    host.check_projections(&run).await;
}

#[tokio::test]
async fn an_attempt_that_was_interrupted_leaves_no_failure() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    let run = host.submit("straight").await;
    host.stages.arrived.acquire().await.unwrap().forget();

    let host = host.restart().await;
    host.stages.arrived.acquire().await.unwrap().forget();

    let row = host.engine.store().run(&run).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Running);
    assert!(row.fault.is_none());
    let stages = host.engine.store().stages(&run).await.unwrap();
    assert_eq!(stages[0].attempt, 1, "the same attempt runs again");
}

#[tokio::test]
async fn files_that_are_missing_are_written_again_at_the_next_start() {
    let host = Host::start(&[STRAIGHT]).await;
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Completed).await;
    host.engine.flush_files().await;
    let folder = host.folder.path().join("runs").join(run.as_str());
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();

    let host = host.restart().await;
    host.engine.flush_files().await;

    assert_eq!(std::fs::read_to_string(folder.join("manifest.json")).unwrap(), manifest);
    assert!(folder.join("01-first/first.md").is_file());
}

#[tokio::test]
async fn two_hundred_runs_at_gates_have_no_place_in_memory() {
    let host = Host::start(&[GATED]).await;
    let mut runs = Vec::new();
    for _ in 0..200 {
        runs.push(host.submit("gated").await);
    }
    for run in &runs {
        host.reaches(run, Status::WaitingApproval).await;
    }
    host.engine.shutdown().await;
    assert_eq!(host.engine.0.registry.len(), 0);
}

#[tokio::test]
async fn a_run_keeps_its_plugins_when_others_take_their_names() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    let run = host.submit("straight").await;
    host.stages.has_arrived().await;
    host.stages.replace_plugins("another edition");

    let host = host.restart().await;
    host.stages.gate.add_permits(2);
    host.reaches(&run, Status::Completed).await;
    host.engine.retry(&run, Some("second".parse().unwrap()), "tester").await.unwrap();
    host.logs(&run, 2, "run_completed").await;
    let [first, second] = ["first", "second"].map(|name| store::digest_of(name.as_bytes()));
    assert_eq!(host.stages.ran(), [first.clone(), first.clone(), second.clone(), second]);

    let later = host.submit("straight").await;
    host.reaches(&later, Status::Completed).await;
    assert!(!host.stages.ran()[4..].contains(&first), "a run that starts later has the others");
}
