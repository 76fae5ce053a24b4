//! Runs that are removed while somebody works with them.
use std::collections::BTreeSet;
use std::fs::File;
use std::pin::Pin;
use std::task::{Context, Waker};

use domain::run::Status;
use domain::{RunId, StageIdx};
use store::{KeepRule, Secrets};

use super::support::{Behavior, GATED, Host, SINGLE};
use crate::{Error, Prune, PruneDoing, Retention};

fn nothing_stays() -> Retention {
    let usual = KeepRule { within_ms: Some(0), newest_count: None };
    Retention { usual, ..Retention::default() }
}

fn everything(doing: PruneDoing) -> Prune {
    Prune { retention: nothing_stays(), only_modes: Vec::new(), doing }
}

/// A run that has ended.
async fn completed(host: &Host) -> RunId {
    let run = host.submit("single").await;
    host.reaches(&run, Status::Completed).await;
    run
}

/// A backup that has begun and does not end before it is waited for.
fn begun_backup(host: &Host) -> Pin<Box<impl Future<Output = Result<File, Error>>>> {
    for _ in 0..100 {
        let mut backup = Box::pin(host.engine.backup(Secrets::LeftOut));
        // One that is made by the time of the first look is of no use here.
        if backup.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            return backup;
        }
    }
    panic!("every backup was made at the first look");
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

#[tokio::test]
async fn copies_of_plugins_stay_while_a_backup_is_made() {
    let host = Host::start(&[SINGLE]).await;
    completed(&host).await;
    let backup = begun_backup(&host);
    let removed = host.engine.prune(everything(PruneDoing::Remove)).await.unwrap();
    assert_eq!(removed.runs.len(), 1, "a backup keeps no run from its removal");
    assert!(host.stages.released().is_empty(), "the backup has the run, and needs its plugin");

    backup.await.unwrap();
    host.engine.prune(everything(PruneDoing::Plan)).await.unwrap();
    assert!(host.stages.released().is_empty(), "a plan removes nothing");
    host.engine.prune(everything(PruneDoing::Remove)).await.unwrap();
    assert_eq!(host.stages.released(), [BTreeSet::new()]);
}

#[tokio::test]
async fn copies_of_plugins_are_looked_at_once_however_many_runs_go() {
    let host = Host::start(&[GATED, SINGLE]).await;
    let waiting = host.submit("gated").await;
    host.reaches(&waiting, Status::WaitingApproval).await;
    let runs = [completed(&host).await, completed(&host).await, completed(&host).await];
    host.engine.0.prune_all(&nothing_stays(), 1).await;
    for run in runs {
        assert!(host.engine.store().run(&run).await.unwrap().is_none());
    }
    let bound = ["first", "second"].map(|name| store::digest_of(name.as_bytes()));
    assert_eq!(host.stages.released(), [BTreeSet::from(bound)]);
}

#[tokio::test]
async fn a_run_that_was_removed_while_somebody_looked_at_its_log_is_unknown() {
    let host = Host::start(&[SINGLE]).await;
    let run = completed(&host).await;
    let begun = host.engine.0.run_at(&run, StageIdx(0), 1).await.unwrap();
    assert_eq!(begun.status(), Status::Running);
    host.engine.prune(everything(PruneDoing::Remove)).await.unwrap();
    let removed = host.engine.0.run_at(&run, StageIdx(0), 1).await;
    assert!(matches!(&removed, Err(Error::UnknownRun(unknown)) if *unknown == run), "{removed:?}");
}
