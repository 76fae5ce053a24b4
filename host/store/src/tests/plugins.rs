//! What runs need of the plugins.
use std::collections::BTreeSet;

use domain::Digest;
use domain::run::Status;

use super::housekeeping::{completed, waiting};
use super::scene::{self, Scene, at, digest, run_id};
use crate::{Removal, Store, prune};

/// A store whose only run, with two plugins, has this status.
async fn with(status: Status) -> Scene {
    let mut scene = match status {
        Status::Completed => completed().await,
        Status::WaitingApproval => waiting().await,
        Status::Queued | Status::Running | Status::Paused | Status::Failed | Status::Canceled => {
            Scene::new().await
        }
    };
    match status {
        Status::Queued | Status::WaitingApproval | Status::Completed => {}
        Status::Running => scene.start(0).await,
        Status::Paused => scene.give(scene::pause()).await,
        Status::Canceled => scene.give(scene::cancel()).await,
        Status::Failed => {
            scene.start(0).await;
            scene.fail(0).await;
        }
    }
    assert_eq!(scene.status().await, status);
    scene
}

fn digests(names: &[&str]) -> BTreeSet<Digest> {
    names.iter().map(|name| digest(name)).collect()
}

async fn bound(store: &Store) -> BTreeSet<Digest> {
    store.bound_plugins().await.unwrap()
}

async fn needed(store: &Store) -> BTreeSet<Digest> {
    store.needed_plugins().await.unwrap()
}

#[tokio::test]
async fn every_run_is_bound_to_its_plugins_and_one_that_has_not_ended_needs_them() {
    for status in Status::ALL {
        let scene = with(status).await;
        let (store, both) = (&scene.store, digests(&["research", "voice"]));
        assert_eq!(bound(store).await, both, "{status:?}");
        let expected = if status.is_final() { digests(&[]) } else { both };
        assert_eq!(needed(store).await, expected, "{status:?}");
        for plugin in ["research", "voice", "another"] {
            let runs = store.runs_that_need(&digest(plugin), 9).await.unwrap();
            assert_eq!(!runs.is_empty(), expected.contains(&digest(plugin)), "{status:?} {plugin}");
        }
    }
}

#[tokio::test]
async fn what_several_runs_are_bound_to_counts_until_the_last_of_them_goes() {
    let scene = completed().await;
    let store = &scene.store;
    let mut plan = scene::plan();
    plan.stages[1] = scene::planned("tone", false);
    store.append(scene::creation_of(run_id(2), 5, scene::created(plan))).await.unwrap();
    assert_eq!(bound(store).await, digests(&["research", "voice", "tone"]));
    assert_eq!(needed(store).await, digests(&["research", "tone"]));

    // From the first moment of its removal, when its log is still there.
    let hide = |db: &rusqlite::Connection| {
        assert_eq!(prune::hide(db, &run_id(1), at(1)).unwrap(), Removal::Gone);
    };
    store.tamper(hide).await.unwrap();
    assert!(!store.events_after(&run_id(1), 0, 1).await.unwrap().is_empty());
    assert_eq!(bound(store).await, digests(&["research", "tone"]));
}
