//! Data folders of every released schema, and of one that is not released yet.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use domain::run::{Command, Decision, Run, Status, Verdict};
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::scene::{Scene, at, run_id};
use crate::database::SCHEMA_KNOWN;
use crate::{
    Append, ApprovalFilter, ApprovalStatus, Depth, Error, Page, Removal, RunFilter, Store,
    UsageFilter, prune, record, upgrade,
};

/// A database as a program wrote it that knew no newer schema.
struct Fixture {
    schema: u32,
    sql: &'static str,
    /// Runs by their state.
    runs: &'static [(Status, usize)],
}

/// One for each schema that was released. The tests hold for each; a new one is a new row.
const FIXTURES: [Fixture; 1] = [Fixture {
    schema: 1,
    sql: include_str!("../../../../tests/fixtures/data-folders/schema-1.sql"),
    runs: &[
        (Status::Running, 1),
        (Status::WaitingApproval, 2),
        (Status::Paused, 1),
        (Status::Completed, 1),
        (Status::Failed, 2),
        (Status::Canceled, 1),
    ],
}];

const DATABASE: &str = "stagewright.db";

/// What must not change, whatever is done to the tables.
const KEPT: &str = "SELECT (SELECT COUNT(*) FROM events), (SELECT COUNT(*) FROM llm_calls),
    (SELECT COUNT(*) FROM llm_requests), (SELECT COUNT(*) FROM llm_answers),
    (SELECT COUNT(*) FROM bodies), (SELECT COUNT(*) FROM attempts),
    (SELECT COUNT(*) FROM start_keys), (SELECT COUNT(*) FROM artifacts),
    (SELECT TOTAL(length(payload)) FROM events), (SELECT TOTAL(length(text)) FROM bodies)";
const USED: &str = "SELECT SUM(calls), SUM(input_tokens), SUM(output_tokens), SUM(cost_nano_usd)
    FROM usage_days";

fn kept(db: &Connection) -> Vec<String> {
    let mut statement = db.prepare(KEPT).unwrap();
    let columns = statement.column_count();
    let row = statement.query_row([], |row| {
        (0..columns).map(|idx| Ok(format!("{:?}", row.get_ref(idx)?))).collect()
    });
    row.unwrap()
}

fn used(db: &Connection) -> (u64, u64, u64, u64) {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    db.query_row(USED, [], row).unwrap()
}

fn user_version(db: &Connection) -> u32 {
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

impl Fixture {
    /// A data folder with it, and a connection that can be dropped before anybody opens it.
    fn folder(&self) -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let db = Connection::open(folder.path().join(DATABASE)).unwrap();
        db.execute_batch(self.sql).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        assert_eq!(user_version(&db), self.schema);
        (folder, db)
    }
}

/// Every file of a folder with its bytes, but for the shared memory, which says nothing once nobody has it open.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let named = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), entry.path());
    let files = fs::read_dir(folder).unwrap().map(|entry| named(entry.unwrap()));
    let kept = files.filter(|(name, _)| name.starts_with(DATABASE) && !name.ends_with("-shm"));
    kept.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn the_database_of_every_released_schema_is_brought_up_to_date_and_nothing_is_lost() {
    for fixture in FIXTURES {
        let (folder, db) = fixture.folder();
        let (kept_before, used_before) = (kept(&db), used(&db));
        drop(db);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.check(Depth::Deep).await.unwrap(), []);
        assert_eq!(store.look(|db| Ok(user_version(db))).await.unwrap(), SCHEMA_KNOWN);
        assert_eq!(store.look(|db| Ok(kept(db))).await.unwrap(), kept_before);
        let sum = store.usage_by(UsageFilter::default(), Vec::new()).await.unwrap().remove(0).sum;
        let used = (sum.calls, sum.input_tokens, sum.output_tokens, sum.cost_nano_usd.unwrap());
        assert_eq!(used, used_before);
        let runs = store.runs(RunFilter::default(), Page::first(100)).await.unwrap().items;
        for (status, count) in fixture.runs {
            let found = runs.iter().filter(|run| run.status == *status).count();
            assert_eq!(found, *count, "{}", status.as_str());
        }
        for run in &runs {
            store.write_run_files(&run.id).await.unwrap();
        }
        store.rebuild_projections().await.unwrap();
        assert_eq!(store.check(Depth::Deep).await.unwrap(), []);
    }
}

#[tokio::test]
async fn every_gate_that_waited_in_an_earlier_schema_can_be_granted() {
    for fixture in FIXTURES {
        let (folder, db) = fixture.folder();
        drop(db);
        let store = Store::open(folder.path()).unwrap();
        let filter = || ApprovalFilter {
            status: Some(ApprovalStatus::Pending),
            ..ApprovalFilter::default()
        };
        let waiting = store.approvals(filter(), Page::first(100)).await.unwrap().items;
        assert!(!waiting.is_empty());
        for approval in waiting {
            let log = store.events_after(&approval.run, 0, 1_000).await.unwrap();
            let events = log.iter().map(|recorded| &recorded.event);
            let run = Run::replay(approval.run.clone(), events).unwrap();
            let decision = Decision { actor: "ann".to_owned(), comment: None };
            let decided = run.decide(Command::DecideGate {
                approval: approval.id.clone(),
                verdict: Verdict::Granted,
                decision,
                groups: Vec::new(),
                content_hash: Some(approval.content_hash),
                edit: None,
            });
            let append = Append {
                run: approval.run.clone(),
                expected_version: log.len() as u64,
                at: at(log.last().unwrap().at.as_unix_ms() + 1),
                events: decided.unwrap(),
                beside: Vec::new(),
            };
            store.append(append).await.unwrap();
            let row = store.approval(&approval.id).await.unwrap().unwrap();
            assert_eq!(row.status, ApprovalStatus::Granted);
            assert_eq!(store.projections_equal_replay(&approval.run).await.unwrap(), Ok(()));
        }
        assert_eq!(store.approvals(filter(), Page::first(1)).await.unwrap().items, []);
    }
}

#[tokio::test]
async fn a_copy_of_the_database_as_it_was_is_kept_once() {
    for fixture in FIXTURES {
        let (folder, db) = fixture.folder();
        let before = kept(&db);
        drop(db);
        Store::open(folder.path()).unwrap();
        let path = folder.path().join(format!("{DATABASE}.schema-{}.bak", fixture.schema));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let copy = Connection::open(&path).unwrap();
        assert_eq!((user_version(&copy), kept(&copy)), (fixture.schema, before.clone()));
        drop(copy);
        fs::remove_file(&path).unwrap();
        Store::open(folder.path()).unwrap();
        assert!(!path.exists(), "a database that is up to date is not copied");
        let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains(".tmp")).collect();
        assert_eq!(left, [""; 0]);
    }
    let fresh = tempfile::tempdir().unwrap();
    Store::open(fresh.path()).unwrap();
    let names = bytes(fresh.path()).into_keys().collect::<Vec<_>>();
    assert_eq!(names, [DATABASE], "there is nothing to copy in a fresh folder");
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let (folder, mut db) = FIXTURES[0].folder();
    let before = kept(&db);
    let steps = [
        M::up("SELECT 1"),
        M::up("CREATE TABLE half (id INTEGER); DELETE FROM events;"),
        M::up("ALTER TABLE events ADD COLUMN more TEXT; INSERT INTO nowhere VALUES (1);"),
    ];
    let migrations = Migrations::from_slice(&steps);
    let failed = upgrade::to_latest(&mut db, folder.path(), &migrations);
    assert!(matches!(failed, Err(Error::Database { .. })), "{failed:?}");
    assert_eq!((user_version(&db), kept(&db)), (1, before));
    assert!(db.prepare("SELECT * FROM half").is_err());
    drop(db);
    Store::open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_keeps_every_byte() {
    // Closed, and left behind in the middle with the later schema in the write-ahead log alone.
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.store.close();
    let path = scene.folder.path().join(DATABASE);
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    let left = tempfile::tempdir().unwrap();
    for name in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
        fs::copy(scene.folder.path().join(&name), left.path().join(&name)).unwrap();
    }
    drop(db);
    assert!(bytes(left.path()).len() == 2 && bytes(scene.folder.path()).len() == 1);
    for folder in [scene.folder.path(), left.path()] {
        let before = bytes(folder);
        let error = Store::open(folder).unwrap_err();
        assert!(matches!(error, Error::Newer { schema: 99, .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("schema 99") && said.contains(DATABASE), "{said}");
        assert!(error.hint().contains("the version that wrote it"));
        assert_eq!(bytes(folder), before);
        assert_eq!(Store::owner_of(folder).unwrap(), None);
    }
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", SCHEMA_KNOWN).unwrap();
    drop(db);
    let store = Store::open(scene.folder.path()).unwrap();
    assert_eq!(store.events_after(&run_id(1), 0, 10).await.unwrap().len(), 2);
}

/// Texts that events name and that are not there, and texts that no event names.
async fn texts_astray(store: &Store) -> (Vec<domain::Digest>, u64) {
    let look = |db: &Connection| {
        let mut statement = db.prepare("SELECT payload FROM events").unwrap();
        let payloads = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let named: BTreeSet<domain::Digest> = payloads
            .flat_map(|payload| {
                let event = record::decode_event(&payload.unwrap()).unwrap();
                prune::bodies_of(&event).into_iter().cloned().collect::<Vec<_>>()
            })
            .collect();
        let is_there = |digest: &&domain::Digest| {
            let sql = "SELECT 1 FROM bodies WHERE digest = ?1";
            db.prepare(sql).unwrap().exists([digest.as_str()]).unwrap()
        };
        let missing = named.iter().filter(|digest| !is_there(digest)).cloned().collect();
        let body_count: u64 =
            db.query_row("SELECT COUNT(*) FROM bodies", [], |row| row.get(0)).unwrap();
        Ok((missing, body_count - named.iter().filter(is_there).count() as u64))
    };
    store.look(look).await.unwrap()
}

#[tokio::test]
async fn runs_of_an_earlier_schema_are_removed_without_a_text_that_another_needs() {
    // What lies between two released schemas is a folder of its own: somebody may have worked with it.
    for steps in [vec![], vec![include_str!("../../migrations/0002_gate_policies_and_retries.sql")]]
    {
        let (folder, db) = FIXTURES[0].folder();
        for (schema, step) in (2..).zip(steps) {
            db.execute_batch(step).unwrap();
            db.pragma_update(None, "user_version", schema).unwrap();
        }
        drop(db);
        let store = Store::open(folder.path()).unwrap();
        let runs = store.runs(RunFilter::default(), Page::first(100)).await.unwrap().items;
        let ended: Vec<_> = runs.iter().filter(|run| run.status.is_final()).collect();
        assert!(ended.len() >= 2 && ended.len() < runs.len());
        for run in ended {
            assert_eq!(store.remove_run(&run.id, at(9)).await.unwrap(), Removal::Gone);
            assert_eq!(texts_astray(&store).await, (Vec::new(), 0));
        }
        assert_eq!(store.check(Depth::Deep).await.unwrap(), []);
        for run in runs.iter().filter(|run| !run.status.is_final()) {
            store.write_run_files(&run.id).await.unwrap();
            let log = store.events_after(&run.id, 0, 1_000).await.unwrap();
            let replayed = Run::replay(run.id.clone(), log.iter().map(|one| &one.event)).unwrap();
            let append = Append {
                run: run.id.clone(),
                expected_version: log.len() as u64,
                at: at(log.last().unwrap().at.as_unix_ms() + 1),
                events: replayed.decide(super::scene::cancel()).unwrap(),
                beside: Vec::new(),
            };
            store.append(append).await.unwrap();
            assert_eq!(store.remove_run(&run.id, at(9)).await.unwrap(), Removal::Gone);
            assert_eq!(texts_astray(&store).await, (Vec::new(), 0));
        }
        let left = "SELECT (SELECT COUNT(*) FROM bodies) + (SELECT COUNT(*) FROM body_owners)
            + (SELECT COUNT(*) FROM events)";
        let left =
            store.look(move |db| Ok(db.query_row(left, [], |row| row.get::<_, u64>(0)).unwrap()));
        assert_eq!(left.await.unwrap(), 0);
    }
}
