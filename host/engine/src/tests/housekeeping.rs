//! Runs that are removed while somebody works with them.
use domain::run::Status;
use store::KeepRule;

use super::support::{Behavior, GATED, Host, SINGLE};
use crate::{Error, Prune, PruneDoing, Retention};

fn everything(doing: PruneDoing) -> Prune {
    let usual = KeepRule { within_ms: Some(0), newest_count: None };
    let retention = Retention { usual, ..Retention::default() };
    Prune { retention, only_modes: Vec::new(), doing }
}

#[tokio::test]
async fn whoever_watches_a_removed_run_hears_no_more_and_whoever_asks_finds_none() {
    let host = Host::start(&[SINGLE]).await;
    host.stages.set("first", Behavior::Ask(vec!["one".to_owned()]));
    let run = host.submit("single").await;
    host.reaches(&run, Status::Completed).await;
    let mut watching = host.engine.subscribe(&run);

    let planned = host.engine.prune(everything(PruneDoing::Plan)).await.unwrap();
    assert_eq!((planned.runs.len(), planned.is_more), (1, false));
    assert!(host.engine.store().run(&run).await.unwrap().is_some(), "a plan removes nothing");
    let removed = host.engine.prune(everything(PruneDoing::Remove)).await.unwrap();
    assert_eq!(removed.runs, planned.runs);

    while watching.next().await.is_some() {}
    let retried = host.engine.retry(&run, None, "ann").await;
    assert!(matches!(retried, Err(Error::UnknownRun(_))), "{retried:?}");
    assert!(host.engine.prune(everything(PruneDoing::Remove)).await.unwrap().runs.is_empty());
}

#[tokio::test]
async fn a_run_that_waits_stays() {
    let host = Host::start(&[GATED]).await;
    host.stages.set("first", Behavior::Ask(vec!["one".to_owned()]));
    let run = host.submit("gated").await;
    host.reaches(&run, Status::WaitingApproval).await;
    assert!(host.engine.prune(everything(PruneDoing::Remove)).await.unwrap().runs.is_empty());
    assert!(host.engine.store().run(&run).await.unwrap().is_some());
}

#[tokio::test]
async fn a_run_whose_removal_breaks_off_is_gone_for_whoever_has_it_open() {
    let host = Host::start(&[SINGLE]).await;
    host.stages.set("first", Behavior::Ask(vec!["one".to_owned()]));
    let run = host.submit("single").await;
    host.reaches(&run, Status::Completed).await;
    let mut watching = host.engine.subscribe(&run);
    // Its rows can be removed, and its files cannot.
    host.engine.store().write_run_files(&run).await.unwrap();
    let runs = host.folder.path().join("runs");
    std::fs::rename(&runs, host.folder.path().join("elsewhere")).unwrap();
    std::fs::write(&runs, "no folder").unwrap();

    let removed = host.engine.prune(everything(PruneDoing::Remove)).await;
    assert!(matches!(removed, Err(Error::Store(_))), "{removed:?}");
    while watching.next().await.is_some() {}
    let retried = host.engine.retry(&run, None, "ann").await;
    assert!(matches!(retried, Err(Error::UnknownRun(_))), "{retried:?}");
}
