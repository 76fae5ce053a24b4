//! Appends: together, against each other, and against a disk that refuses.
use domain::run::{Command, Event, Status, Verdict};
use domain::{StageIdx, StageKey};
use tokio::task::JoinSet;

use super::scene::{Scene, at, body, creation, digest, run_id};
use crate::{Append, Beside, Error, Store};

#[tokio::test]
async fn what_was_appended_is_read_back() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    scene.decide(Verdict::Granted).await;
    let run = scene.run.id();
    let events = scene.store.events_after(run, 0, 100).await.unwrap();
    let replayed =
        domain::run::Run::replay(run.clone(), events.iter().map(|recorded| &recorded.event));
    assert_eq!(replayed.as_ref(), Some(&scene.run));
    let versions: Vec<u64> = events.iter().map(|recorded| recorded.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    let some = scene.store.events_after(run, 2, 2).await.unwrap();
    assert_eq!(some, events[2..4]);
    assert_eq!(scene.store.events_after(&run_id(9), 0, 10).await.unwrap(), []);
    assert_eq!(*scene.store.plan(run).await.unwrap().unwrap(), *scene.run.plan());
}

#[tokio::test]
async fn of_two_deciders_one_wins() {
    let scene = Scene::new().await;
    let append = || Append {
        run: run_id(1),
        expected_version: 1,
        at: at(5),
        events: vec![Event::StageStarted { stage: StageIdx(0), attempt: 1 }],
        beside: vec![body("a text that only the winner keeps")],
    };
    let (first, second) = tokio::join!(scene.store.append(append()), scene.store.append(append()));
    assert!(first.is_ok());
    assert!(matches!(second, Err(Error::Conflict { expected: 1, actual: 2, .. })), "{second:?}");
    let again = scene.store.append(creation(1)).await;
    assert!(matches!(again, Err(Error::Conflict { expected: 0, actual: 2, .. })));
    let unknown = scene.store.append(Append { run: run_id(7), ..append() }).await;
    assert!(matches!(unknown, Err(Error::Conflict { expected: 1, actual: 0, .. })));
    scene.check().await;
}

#[tokio::test]
async fn many_appends_at_once_are_all_stored_and_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        let store = store.clone();
        // Every eighth loses against the one before it, and must not take its batch along.
        let append = creation(if number % 8 == 7 { number - 1 } else { number });
        tasks.spawn(async move { store.append(append).await });
    }
    let outcomes = tasks.join_all().await;
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Conflict { .. })));
    assert_eq!(refused.count(), 8);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 56);
    assert_eq!(store.active_runs().await.unwrap().len(), 56);
    for number in (0..64).filter(|number| number % 8 != 7) {
        let compared = store.projections_equal_replay(&run_id(number)).await.unwrap();
        assert_eq!(compared, Ok(()));
    }
}

#[tokio::test]
async fn a_start_key_starts_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let keyed = |run| {
        let key = Beside::StartKey { key: "k".to_owned(), request_digest: digest("request") };
        Append { beside: vec![key], ..creation(run) }
    };
    store.append(keyed(1)).await.unwrap();
    let Err(Error::StartKeyTaken { run, request_digest }) = store.append(keyed(2)).await else {
        panic!("the key was taken twice");
    };
    assert_eq!((run, request_digest), (run_id(1), digest("request")));
    assert_eq!(store.run(&run_id(2)).await.unwrap(), None);
    assert_eq!(store.events_after(&run_id(2), 0, 1).await.unwrap(), []);
    assert_eq!(store.started_with("k").await.unwrap().unwrap().run, run_id(1));
    assert_eq!(store.started_with("other").await.unwrap(), None);
}

#[tokio::test]
async fn a_full_disk_refuses_everything_in_the_batch_and_room_heals_it() {
    let mut scene = Scene::new().await;
    let shut = |db: &rusqlite::Connection| {
        // SQLite takes the size that the file has as the least.
        db.pragma_update(None, "max_page_count", 1).unwrap();
    };
    let open = |db: &rusqlite::Connection| {
        db.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    };
    scene.store.tamper(shut).await.unwrap();
    let large = || Append { beside: vec![body(&"x".repeat(200_000))], ..creation(2) };
    let (first, second) =
        tokio::join!(scene.store.append(large()), scene.store.append(creation(3)));
    let Err(error) = first else { panic!("the disk took it") };
    assert!(matches!(&error, Error::Full { path } if path.is_absolute()), "{error:?}");
    assert_eq!(error.hint(), "make room on the disk, then try again; nothing was lost");
    if second.is_err() {
        assert_eq!(scene.store.run(&run_id(3)).await.unwrap(), None);
    }
    assert_eq!(scene.store.run(&run_id(2)).await.unwrap(), None);
    assert!(scene.store.bodies(vec![digest(&"x".repeat(200_000))]).await.is_err());
    scene.store.tamper(open).await.unwrap();
    scene.store.append(large()).await.unwrap();
    assert_eq!(scene.store.run(&run_id(2)).await.unwrap().unwrap().status, Status::Queued);
    scene.start(0).await;
}

#[tokio::test]
async fn a_job_that_cannot_be_undone_takes_its_whole_transaction_back() {
    let mut scene = Scene::new().await;
    // Without its savepoint, what the job did can be neither closed nor undone alone.
    let spoil = |db: &rusqlite::Connection| {
        db.execute_batch("RELEASE job; DELETE FROM events; DELETE FROM runs").unwrap();
    };
    let (spoiled, beside) =
        tokio::join!(scene.store.tamper(spoil), scene.store.append(creation(2)));
    assert!(matches!(spoiled, Err(Error::Database { .. })), "{spoiled:?}");
    assert_eq!(scene.store.run(&run_id(2)).await.unwrap().is_some(), beside.is_ok());
    assert_eq!(scene.store.events_after(scene.run.id(), 0, 10).await.unwrap().len(), 1);
    let lose = |db: &rusqlite::Connection| db.execute_batch("DELETE FROM runs; ROLLBACK").unwrap();
    assert!(scene.store.tamper(lose).await.is_err());
    scene.start(0).await;
}

#[tokio::test]
async fn a_panic_takes_one_job_with_it_and_not_the_writer() {
    let mut scene = Scene::new().await;
    let fall = |db: &rusqlite::Connection| {
        db.execute_batch("DELETE FROM events").unwrap();
        panic!("on purpose");
    };
    let (fallen, beside) = tokio::join!(scene.store.tamper(fall), scene.store.append(creation(2)));
    let Err(error) = fallen else { panic!("the job was done") };
    assert!(matches!(&error, Error::Database { path, .. } if path.is_absolute()), "{error:?}");
    assert!(beside.is_ok(), "{beside:?}");
    assert_eq!(scene.store.events_after(scene.run.id(), 0, 10).await.unwrap().len(), 1);
    scene.start(0).await;
}

#[tokio::test]
async fn a_database_that_the_process_left_in_the_middle_opens() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    // What the disk has while the process lives is what it has after `kill -9`.
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(scene.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let store = Store::open(copy.path()).unwrap();
    let events = store.events_after(scene.run.id(), 0, 100).await.unwrap();
    assert_eq!(events.len() as u64, scene.version);
    assert_eq!(store.projections_equal_replay(scene.run.id()).await.unwrap(), Ok(()));
    assert_eq!(store.bodies(vec![digest("draft")]).await.unwrap(), ["draft"]);
}

#[tokio::test]
async fn a_half_written_log_ends_at_its_last_commit() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let copy = tempfile::tempdir().unwrap();
    let (from, to) = (scene.folder.path(), copy.path());
    for file in ["stagewright.db", "stagewright.db-wal"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    // The last page of the last commit is torn.
    let wal = std::fs::OpenOptions::new().write(true).open(to.join("stagewright.db-wal")).unwrap();
    wal.set_len(wal.metadata().unwrap().len() - 100).unwrap();
    let store = Store::open(to).unwrap();
    assert_eq!(store.events_after(scene.run.id(), 0, 100).await.unwrap().len(), 1);
    assert_eq!(store.projections_equal_replay(scene.run.id()).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let mut scene = Scene::new().await;
    scene.store.close();
    scene.store.close();
    let command = Command::StartStage { stage: StageIdx(0) };
    assert!(matches!(scene.give_with(command, Vec::new()).await, Err(Error::Closed)));
    assert!(matches!(scene.store.run(&run_id(1)).await, Err(Error::Closed)));
    let stage: StageKey = super::scene::key("research");
    assert!(scene.store.attempt_logs(&run_id(1), Some(&stage)).await.is_err());
}
