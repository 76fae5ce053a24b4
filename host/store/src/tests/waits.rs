//! Attempts that are tried again later, and runs that wait for time. `Scene` compares the projections with a replay after
//! each step.
use std::time::Duration;

use domain::Plan;
use domain::plan::{RetryOn, RetryPolicy, WhenSpent};
use domain::run::Status;

use super::scene::{Scene, at, cancel, creation, pause, plan, planned, resume, retry, run_id};
use crate::{StageStatus, Store};

fn retried(attempt_count_max: u32, when_spent: WhenSpent) -> Plan {
    let retry = RetryPolicy {
        attempt_count_max,
        wait: Duration::from_millis(500),
        wait_max: Duration::from_millis(800),
        on: RetryOn::Retryable,
        when_spent,
    };
    let mut plan = plan();
    plan.stages = vec![planned("research", false), planned("voice", false)];
    plan.stages[1].retry = retry;
    plan
}

/// A run whose second stage has failed once, at 30 ms.
async fn backing_off(plan: Plan) -> Scene {
    let mut scene = Scene::of(plan).await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    scene.fail(1).await;
    scene
}

impl Scene {
    async fn second(&self) -> crate::StageRow {
        self.store.stages(self.run.id()).await.unwrap().remove(1)
    }

    async fn wake(&self) -> Option<i64> {
        let wakes = self.store.wakes(None, 10).await.unwrap();
        wakes.into_iter().map(|wake| wake.at.as_unix_ms()).next()
    }

    async fn is_active(&self) -> bool {
        !self.store.active_runs().await.unwrap().is_empty()
    }
}

#[tokio::test]
async fn a_stage_that_backs_off_is_begun_again_when_its_time_comes() {
    let mut scene = backing_off(retried(3, WhenSpent::Fail)).await;
    let (row, stage) = (scene.row().await, scene.second().await);
    assert_eq!((row.status, row.wakes_at), (Status::Running, Some(at(530))));
    assert_eq!(row.fault, None, "the run has not failed");
    assert_eq!((stage.status, stage.retry_at), (StageStatus::BackingOff, Some(at(530))));
    assert_eq!(stage.fault.unwrap().code, "model_rate_limited");
    assert!(!scene.is_active().await, "it waits as a row");
    scene.store.rebuild_projections().await.unwrap();
    scene.check().await;
    scene.pass_to(530).await;
    assert_eq!((scene.wake().await, scene.is_active().await), (None, true));
    assert_eq!(scene.second().await.status, StageStatus::Pending);
    scene.start(1).await;
    assert_eq!(scene.second().await.fault, None);
    scene.fail(1).await;
    assert_eq!(scene.wake().await, Some(scene.now + 800), "twice as long, and no longer than that");
    let until = scene.now + 800;
    scene.pass_to(until).await;
    scene.start(1).await;
    scene.fail(1).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.fault.unwrap().retryable), (Status::Failed, true));
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=1 queue=10 work=10 model=0 human=0
    voice failed attempt=3 queue=20 work=30 model=0 human=0
    ");
}

#[tokio::test]
async fn a_pause_ends_the_wait_and_the_stage_is_begun_with_the_run() {
    let mut scene = backing_off(retried(3, WhenSpent::Fail)).await;
    scene.give(pause()).await;
    let stage = scene.second().await;
    assert_eq!(
        (scene.wake().await, stage.status, stage.retry_at),
        (None, StageStatus::Failed, None)
    );
    scene.now += 1_000;
    scene.give(resume()).await;
    assert_eq!((scene.status().await, scene.is_active().await), (Status::Running, true));
    assert_eq!(scene.second().await.status, StageStatus::Pending);
    scene.start(1).await;
    // A pause that is asked for during an attempt holds when the attempt fails.
    scene.give(pause()).await;
    scene.fail(1).await;
    assert_eq!((scene.status().await, scene.wake().await), (Status::Paused, None));
    assert_eq!(scene.second().await.status, StageStatus::Failed);
    scene.give(resume()).await;
    scene.start(1).await;
    scene.finish(1, "voice").await;
    assert_eq!(scene.status().await, Status::Completed);
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=1 queue=10 work=10 model=0 human=0
    voice done attempt=3 queue=20 work=40 model=0 human=0
    ");
}

#[tokio::test]
async fn a_run_that_backs_off_is_called_off_and_begun_again() {
    let mut scene = backing_off(retried(2, WhenSpent::Fail)).await;
    scene.give(cancel()).await;
    let stage = scene.second().await;
    assert_eq!((scene.status().await, scene.wake().await), (Status::Canceled, None));
    assert_eq!((stage.status, stage.retry_at), (StageStatus::Canceled, None));
    scene.give(retry(None)).await;
    assert_eq!(scene.second().await.fault, None);
    scene.start(1).await;
    scene.fail(1).await;
    assert!(scene.wake().await.is_some(), "its tries are counted anew");
}

#[tokio::test]
async fn spent_retries_pause_the_run_with_the_fault_and_a_resume_begins_anew() {
    let mut scene = backing_off(retried(2, WhenSpent::Pause)).await;
    scene.pass_to(530).await;
    scene.start(1).await;
    scene.fail(1).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.wakes_at, row.ended_at), (Status::Paused, None, None));
    assert_eq!(row.fault.unwrap().code, "model_rate_limited");
    assert_eq!(scene.second().await.status, StageStatus::Failed);
    scene.store.rebuild_projections().await.unwrap();
    scene.check().await;
    scene.give(resume()).await;
    assert_eq!((scene.status().await, scene.row().await.fault), (Status::Running, None));
    scene.start(1).await;
    scene.fail(1).await;
    assert!(scene.wake().await.is_some(), "it gets as many again");
}

#[tokio::test]
async fn a_run_with_spent_retries_is_called_off_or_begun_from_an_earlier_stage() {
    for from in [None, Some(1), Some(0)] {
        let mut scene = backing_off(retried(1, WhenSpent::Pause)).await;
        assert_eq!(scene.status().await, Status::Paused);
        scene.give(retry(from)).await;
        let row = scene.row().await;
        assert_eq!((row.status, row.fault, row.open_approval), (Status::Running, None, None));
        assert_eq!(row.stages_done, u32::from(from.unwrap_or(1)));
        assert_eq!(scene.second().await.status, StageStatus::Pending);
    }
    let mut scene = backing_off(retried(1, WhenSpent::Pause)).await;
    scene.give(cancel()).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.fault), (Status::Canceled, None));
    assert_eq!(scene.second().await.status, StageStatus::Failed, "its attempt had ended");
}

/// As many as wait on a machine that is well used; the later they were made, the earlier they are due. By hand, because
/// only these columns matter, and ten thousand commits take seconds.
const TEN_THOUSAND_WAIT: &str = "INSERT INTO runs (run_id, version, status, requested_mode,
    effective_mode, profile_version, title, created_at, updated_at, stage_count, wakes_at)
    WITH RECURSIVE numbers(number) AS
        (SELECT 2 UNION ALL SELECT number + 1 FROM numbers WHERE number <= 10000)
    SELECT printf('run_%032x', number), 3, CASE WHEN number % 2 THEN 'running' ELSE 'waiting_approval' END,
        'pair', 'pair', '1', 'A pair', number, number, 2, 20000 - number FROM numbers";

#[tokio::test]
async fn what_is_due_next_is_found_among_ten_thousand_that_wait_without_looking_at_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.append(creation(1)).await.unwrap();
    let fill =
        |db: &rusqlite::Connection| assert_eq!(db.execute(TEN_THOUSAND_WAIT, []).unwrap(), 10_000);
    store.tamper(fill).await.unwrap();
    let first = store.wakes(None, 3).await.unwrap();
    let second = store.wakes(first.last().cloned(), 2).await.unwrap();
    let due = first.into_iter().chain(second).map(|wake| (wake.run, wake.at.as_unix_ms()));
    let expected =
        (9_997..=10_001).rev().map(|number| (run_id(number), 20_000 - i64::from(number)));
    assert!(due.eq(expected));
    // An index that is read from where it was left steps over three rows, however many there are.
    let steps = store.look(|db| {
        let mut statement = db.prepare(crate::runs::WAKES)?;
        assert_eq!(statement.query_map((15_000, "", 3), |_| Ok(()))?.count(), 3);
        Ok(statement.get_status(rusqlite::StatementStatus::VmStep))
    });
    assert!(steps.await.unwrap() < 300, "it looks at many rows");
    assert_eq!(store.active_runs().await.unwrap(), [run_id(1)]);
}
