//! Lists: their order, their filters, their pages, and the indexes that serve them.
use domain::Timestamp;
use domain::run::{Event, Status};

use super::scene::{Scene, at, created, creation, creation_of, plan, run_id};
use crate::{Append, ApprovalFilter, ApprovalStatus, Error, Page, RunFilter, Store};
use crate::{approvals, attempts, calls, events, http_requests, run_files, runs, store};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

async fn numbers(store: &Store, filter: RunFilter) -> Vec<i64> {
    let listed = store.runs(filter, Page::first(100)).await.unwrap();
    listed.items.iter().map(|run| run.created_at.as_unix_ms()).collect()
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_runs_are_added() {
    let (_folder, store) = store();
    for number in 1..=5 {
        store.append(creation(number)).await.unwrap();
    }
    // Two runs of one millisecond are told apart by their identifiers.
    store.append(creation_of(run_id(6), 5, created(plan()))).await.unwrap();
    let mut seen = Vec::new();
    let mut page = Page::first(2);
    loop {
        let listed = store.runs(RunFilter::default(), page.clone()).await.unwrap();
        seen.extend(listed.items.iter().map(|run| run.id.clone()));
        store.append(creation(100 + seen.len() as u32)).await.unwrap();
        page.cursor = listed.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1].map(run_id));
}

#[tokio::test]
async fn each_filter_and_all_together_choose_runs() {
    let (_folder, store) = store();
    for number in 1..=3 {
        let mut created = created(plan());
        created.belonging.thread_id = Some(format!("thread-{number}"));
        if number == 3 {
            created.plan.requested_mode = created.plan.effective_mode.clone();
        }
        let run = creation_of(run_id(number), i64::from(number), created);
        store.append(run).await.unwrap();
    }
    let canceled = Append {
        run: run_id(2),
        expected_version: 1,
        at: at(9),
        events: vec![Event::RunCanceled { actor: "ann".to_owned(), reason: None }],
        beside: Vec::new(),
    };
    store.append(canceled).await.unwrap();
    let all = RunFilter::default;
    assert_eq!(numbers(&store, all()).await, [3, 2, 1]);
    let status = Some(Status::Queued);
    assert_eq!(numbers(&store, RunFilter { status, ..all() }).await, [3, 1]);
    let thread_id = Some("thread-2".to_owned());
    assert_eq!(numbers(&store, RunFilter { thread_id: thread_id.clone(), ..all() }).await, [2]);
    let mode = |word: &str| RunFilter { mode: Some(word.to_owned()), ..all() };
    assert_eq!(numbers(&store, mode("fancy")).await, [2, 1]);
    assert_eq!(numbers(&store, mode("foundation_stack")).await, [3, 2, 1]);
    let since = Some(Timestamp::from_unix_ms(2));
    assert_eq!(numbers(&store, RunFilter { since, ..all() }).await, [3, 2]);
    assert_eq!(numbers(&store, RunFilter { since, ..mode("fancy") }).await, [2]);
    assert_eq!(numbers(&store, RunFilter { status, thread_id, ..all() }).await, [] as [i64; 0]);
    assert_eq!(numbers(&store, RunFilter { status, since, ..mode("foundation_stack") }).await, [3]);
    assert_eq!(numbers(&store, RunFilter { waiting: Some(false), ..all() }).await, [3, 2, 1]);
    assert_eq!(numbers(&store, RunFilter { waiting: Some(true), ..all() }).await, [] as [i64; 0]);
}

#[tokio::test]
async fn what_waits_is_found_by_run_and_by_approval() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    scene.store.append(creation(2)).await.unwrap();
    let waiting = RunFilter { waiting: Some(true), ..RunFilter::default() };
    assert_eq!(numbers(&scene.store, waiting).await, [0]);
    let filter = |status, run| ApprovalFilter { status, run };
    for (filter, count) in [
        (filter(None, None), 1),
        (filter(Some(ApprovalStatus::Pending), None), 1),
        (filter(Some(ApprovalStatus::Granted), None), 0),
        (filter(Some(ApprovalStatus::Pending), Some(run_id(1))), 1),
        (filter(None, Some(run_id(2))), 0),
    ] {
        let listed = scene.store.approvals(filter, Page::first(5)).await.unwrap();
        assert_eq!(listed.items.len(), count);
    }
    let id = scene.row().await.open_approval.unwrap();
    let approval = scene.store.approval(&id).await.unwrap().unwrap();
    assert_eq!(approval.request_text, "A lamp for bees");
    assert_eq!(approval.stage.as_str(), "research");
}

#[tokio::test]
async fn a_cursor_of_nowhere_is_refused() {
    let (_folder, store) = store();
    let page = || Page { cursor: Some("beef".to_owned()), limit: 1 };
    let listed = store.runs(RunFilter::default(), page()).await;
    assert!(matches!(listed, Err(Error::BadCursor)));
    let listed = store.approvals(ApprovalFilter::default(), page()).await;
    assert!(matches!(listed, Err(Error::BadCursor)));
    assert!(matches!(store.calls(Default::default(), page()).await, Err(Error::BadCursor)));
}

#[tokio::test]
async fn every_list_is_served_by_an_index_and_none_sorts() {
    let (_folder, store) = store();
    let mut lists: Vec<(String, &'static str)> = Vec::new();
    for (list, variants) in [
        ("runs", runs::LISTS.as_slice()),
        ("approvals", approvals::LISTS.as_slice()),
        ("calls", calls::lists().as_slice()),
    ] {
        lists.extend(variants.iter().map(|(name, sql)| (format!("{list} {name}"), *sql)));
    }
    lists.push(("events".to_owned(), events::AFTER));
    lists.push(("active".to_owned(), runs::ACTIVE));
    lists.push(("wakes".to_owned(), runs::WAKES));
    for (name, sql) in lists {
        let plan = store.look(move |db| Ok(explain(db, sql))).await.unwrap();
        assert!(!plan.contains("TEMP B-TREE"), "{name} sorts:\n{plan}");
        assert!(!plan.contains("SCAN"), "{name} scans:\n{plan}");
        if name.starts_with("calls by") {
            // A range of times is a range of the index: neither what is older nor what is newer is looked at.
            assert!(plan.contains("asked_at>? AND asked_at<?"), "{name}:\n{plan}");
        }
    }
    // The start looks at all runs: one pass, and each part found by its key.
    let plan = store.look(|db| Ok(explain(db, run_files::EXPECTED))).await.unwrap();
    assert!(!plan.contains("TEMP B-TREE") && plan.matches("SCAN").count() == 1, "{plan}");
}

#[tokio::test]
async fn a_call_is_found_by_a_key_however_many_there_are() {
    let (_folder, store) = store();
    for sql in calls::lookups().chain(http_requests::lookups()).chain([attempts::TIMES]) {
        let plan = store.look(move |db| Ok(explain(db, sql))).await.unwrap();
        for scan in ["SCAN llm_calls", "SCAN c", "SCAN usage_days", "SCAN a", "SCAN runs"] {
            assert!(!plan.contains(scan), "{sql}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn the_plugins_of_runs_are_found_by_their_first_events_alone() {
    let (_folder, store) = store();
    for sql in store::LOOKUPS {
        let plan = store.look(move |db| Ok(explain(db, sql))).await.unwrap();
        let by_key = "SEARCH e USING INDEX events_by_run (run_id=? AND version=?)";
        assert!(plan.contains(by_key) && !plan.contains("SCAN e"), "{sql}:\n{plan}");
        // Those that have not ended are few.
        let by_status = "SEARCH r USING COVERING INDEX runs_by_status (status=?)";
        assert_eq!(plan.contains(by_status), sql.contains("r.status"), "{sql}:\n{plan}");
    }
}

fn explain(db: &rusqlite::Connection, sql: &str) -> String {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    for idx in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(idx, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get::<_, String>("detail").unwrap());
    }
    lines.join("\n")
}
