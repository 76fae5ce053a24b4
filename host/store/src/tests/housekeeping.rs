//! Runs that go, runs that travel, and copies of a whole folder.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;

use domain::plan::PluginRef;
use domain::port::{KnownPlugin, PluginCatalog, PluginError};
use domain::run::{Command, Run, Verdict};
use domain::upload::{Added, NewPlugin, UploadError, UploadedPlugin};
use domain::{Digest, RunId};

use super::scene::{self, Scene, at, run_id};
use crate::archive::{Entries, Packing};
use crate::{
    ArchiveError, KeepRule, PruneWish, Removal, Secrets, Store, UsageFilter, UsageKey,
    check_archive, prune, restore, spool,
};

/// Has the bytes of every plugin: its name.
pub(super) struct Names;

impl PluginCatalog for Names {
    fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        (Vec::new(), Vec::new())
    }

    fn find(&self, reference: &PluginRef, _: Option<&str>) -> Result<KnownPlugin, PluginError> {
        Err(PluginError::Unknown { asked: reference.to_string(), known: Vec::new() })
    }

    fn pin(&self, _: &Digest) -> Result<(), PluginError> {
        Ok(())
    }

    fn read(&self, digest: &Digest) -> Result<Vec<u8>, PluginError> {
        let is_it = |name: &&str| scene::digest(name) == *digest;
        let found = ["research", "voice"].into_iter().find(is_it);
        let unknown = || PluginError::Unknown { asked: digest.to_string(), known: Vec::new() };
        found.map(|name| name.as_bytes().to_vec()).ok_or_else(unknown)
    }

    fn keep(&self, _: &Digest, _: &[u8]) -> Result<(), PluginError> {
        Ok(())
    }

    fn add(
        &self,
        _: &mut (dyn Read + Send),
        _: &NewPlugin,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Result<Added, UploadError> {
        Err(UploadError::CalledOff)
    }

    fn uploaded(&self, reference: &PluginRef) -> Result<UploadedPlugin, UploadError> {
        let asked = reference.to_string();
        Err(PluginError::Unknown { asked, known: Vec::new() }.into())
    }

    fn remove(&self, digest: &Digest) -> Result<(), UploadError> {
        let asked = digest.to_string();
        Err(PluginError::Unknown { asked, known: Vec::new() }.into())
    }
}

/// Numbers that say only where a row is, and what is written beside it.
const PLACES: [&str; 4] = ["seq", "before_seq", "call_seq", "files_version"];
/// Tables in which a run has rows.
const OF_RUN: [&str; 14] = [
    "events",
    "http_requests",
    "llm_calls",
    "llm_calls_before",
    "attempts",
    "start_keys",
    "runs",
    "requests",
    "run_modes",
    "stages",
    "approvals",
    "approval_grants",
    "variables",
    "artifacts",
];

/// All rows of a run, table by table.
pub(super) async fn rows(store: &Store, run: &RunId) -> BTreeMap<&'static str, Vec<String>> {
    let run = run.clone();
    store
        .look(move |db| {
            let dump = |table: &'static str| {
                let sql = format!("SELECT * FROM {table} WHERE run_id = ?1");
                let mut statement = db.prepare(&sql).unwrap();
                let names: Vec<String> =
                    statement.column_names().into_iter().map(str::to_owned).collect();
                let line = |row: &rusqlite::Row<'_>| {
                    let shown = names.iter().filter(|name| !PLACES.contains(&name.as_str()));
                    let cell = |name: &String| format!("{name}={:?}", row.get_ref(name.as_str()));
                    Ok(shown.map(cell).collect::<Vec<_>>().join(" "))
                };
                let rows = statement.query_map([run.as_str()], line).unwrap();
                let mut rows: Vec<String> = rows.map(Result::unwrap).collect();
                rows.sort();
                (table, rows)
            };
            Ok(OF_RUN.into_iter().map(dump).collect())
        })
        .await
        .unwrap()
}

pub(super) async fn count(store: &Store, sql: &'static str) -> u64 {
    store.look(move |db| Ok(db.query_row(sql, [], |row| row.get(0)).unwrap())).await.unwrap()
}

pub(super) async fn usage(store: &Store) -> Vec<crate::UsageRow> {
    let keys = vec![UsageKey::Day, UsageKey::Model, UsageKey::Stage, UsageKey::Mode];
    store.usage_by(UsageFilter::default(), keys).await.unwrap()
}

/// A run with answered, canceled and repeated calls, that waits at its gate.
pub(super) async fn waiting() -> Scene {
    let mut scene = Scene::new().await;
    let run = run_id(1);
    scene.start(0).await;
    let canceled = scene::canceled(scene::stage_call(1, &run, 1, 1), 50, Some(7));
    scene.store.keep_answer(canceled).await.unwrap();
    let mut again = scene::stage_call(1, &run, 1, 1);
    again.at = at(900);
    let answer = scene::answered(again, Ok(scene::completion("Light.\nAnd warmth.", Some(11))));
    scene.store.keep_answer(answer).await.unwrap();
    scene.finish(0, "Bees like light.").await;
    scene
}

/// The same, finished.
pub(super) async fn completed() -> Scene {
    let mut scene = waiting().await;
    scene.decide(Verdict::Granted).await;
    scene.start(1).await;
    scene.finish(1, "Calm and bright.").await;
    scene
}

pub(super) fn all() -> PruneWish {
    PruneWish {
        now: at(1_000_000),
        usual: KeepRule { within_ms: Some(0), newest_count: None },
        by_mode: BTreeMap::new(),
        only_modes: Vec::new(),
        run_count_max: 100,
    }
}

#[tokio::test]
async fn a_removed_run_leaves_nothing_but_its_sums() {
    let scene = completed().await;
    let (store, run) = (&scene.store, run_id(1));
    let other = scene::creation_of(run_id(2), 5, scene::created(scene::plan()));
    let beside = vec![scene::body("Bees like light.")];
    store.append(crate::Append { beside, ..other }).await.unwrap();
    store.write_run_files(&run).await.unwrap();
    let before = usage(store).await;
    let others = rows(store, &run_id(2)).await;

    assert_eq!(store.prunable(all()).await.unwrap().runs.len(), 1);
    assert_eq!(store.remove_run(&run, at(2_000)).await.unwrap(), Removal::Gone);

    assert!(rows(store, &run).await.values().all(Vec::is_empty));
    assert_eq!(rows(store, &run_id(2)).await, others);
    assert_eq!(count(store, "SELECT COUNT(*) FROM bodies").await, 1, "the one that is shared");
    assert_eq!(count(store, "SELECT COUNT(*) FROM llm_requests").await, 0);
    assert_eq!(count(store, "SELECT COUNT(*) FROM llm_answers").await, 0);
    assert!(!scene.folder.path().join("runs").join(run.as_str()).exists());
    assert_eq!(usage(store).await, before);
    store.rebuild_projections().await.unwrap();
    assert_eq!(usage(store).await, before, "also when they are made again");
    assert_eq!(store.remove_run(&run, at(2_000)).await.unwrap(), Removal::Unknown);
}

#[tokio::test]
async fn a_text_goes_with_the_last_run_that_has_it() {
    let scene = completed().await;
    let store = &scene.store;
    for number in [2, 3] {
        let other = scene::creation_of(run_id(number), 5, scene::created(scene::plan()));
        let beside = vec![scene::body("Bees like light."), scene::body("Bees like light.")];
        store.append(crate::Append { beside, ..other }).await.unwrap();
    }
    store.remove_run(&run_id(1), at(1)).await.unwrap();
    let digest = scene::digest("Bees like light.");
    assert_eq!(store.bodies(vec![digest]).await.unwrap(), ["Bees like light."]);
    let owners = "SELECT COUNT(*) FROM body_owners";
    assert_eq!(count(store, owners).await, 2, "each run once");
}

#[tokio::test]
async fn a_run_that_has_not_ended_is_not_removed() {
    let scene = waiting().await;
    assert!(scene.store.prunable(all()).await.unwrap().runs.is_empty());
    let removal = scene.store.remove_run(&run_id(1), at(1)).await.unwrap();
    assert_eq!(removal, Removal::NotEnded);
    scene.check().await;
}

#[tokio::test]
async fn a_start_goes_on_with_a_removal_that_was_broken_off() {
    let scene = completed().await;
    let before = usage(&scene.store).await;
    scene.store.write_run_files(&run_id(1)).await.unwrap();
    scene
        .store
        .tamper(|db| {
            prune::hide(db, &run_id(1), at(1)).unwrap();
        })
        .await
        .unwrap();
    assert_eq!(
        scene.store.run(&run_id(1)).await.unwrap(),
        None,
        "it is gone from the first moment"
    );
    scene.store.close();

    let store = Store::open(scene.folder.path()).unwrap();
    assert!(rows(&store, &run_id(1)).await.values().all(Vec::is_empty));
    assert_eq!(usage(&store).await, before);
    store.remove_left_files().await.unwrap();
    assert!(!scene.folder.path().join("runs").join(run_id(1).as_str()).exists());
    assert_eq!(count(&store, "SELECT COUNT(*) FROM pruned_runs WHERE rest IS NOT NULL").await, 0);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_keeps_neither_a_removal_nor_a_start_from_its_end() {
    let scene = completed().await;
    let spoil = |db: &rusqlite::Connection| {
        let sql = "UPDATE events SET payload = 'no event' WHERE version = 2";
        assert_eq!(db.execute(sql, []).unwrap(), 1);
        prune::hide(db, &run_id(1), at(1)).unwrap();
    };
    scene.store.tamper(spoil).await.unwrap();
    scene.store.close();
    let store = Store::open(scene.folder.path()).unwrap();
    assert!(rows(&store, &run_id(1)).await.values().all(Vec::is_empty));
}

#[tokio::test]
async fn a_run_stays_if_it_is_young_or_among_the_newest() {
    let scene = Scene::new().await;
    for number in 2..=6 {
        scene.store.append(scene::creation(number)).await.unwrap();
        let run = Run::create(run_id(number), scene::created(scene::plan()).into());
        let events = run.decide(scene::cancel()).unwrap();
        let (run, now) = (run_id(number), at(i64::from(number) * 1_000));
        let append =
            crate::Append { run, expected_version: 1, at: now, events, beside: Vec::new() };
        scene.store.append(append).await.unwrap();
    }
    let gone = async |rule: KeepRule, mode: Option<&str>| {
        let only_modes = mode.iter().map(|mode| (*mode).to_owned()).collect();
        let wish = PruneWish { now: at(7_000), usual: rule, only_modes, ..all() };
        let plan = scene.store.prunable(wish).await.unwrap();
        plan.runs.iter().map(|run| run.ended_at.as_unix_ms() / 1_000).collect::<Vec<_>>()
    };
    let rule = |within_ms, newest_count| KeepRule { within_ms, newest_count };
    assert_eq!(gone(rule(Some(3_000), None), None).await, [2, 3, 4]);
    assert_eq!(gone(rule(None, Some(2)), None).await, [2, 3, 4]);
    assert_eq!(gone(rule(Some(3_000), Some(4)), None).await, [2], "both have to let it go");
    assert_eq!(gone(rule(None, None), None).await, Vec::<i64>::new(), "no rule keeps all");
    assert_eq!(gone(rule(Some(0), None), Some("fancy")).await, Vec::<i64>::new());
    assert_eq!(gone(rule(Some(0), None), Some("foundation_stack")).await.len(), 5);
    let by_mode = BTreeMap::from([("foundation_stack".to_owned(), rule(None, Some(4)))]);
    let wish = PruneWish { by_mode, ..all() };
    assert_eq!(scene.store.prunable(wish).await.unwrap().runs.len(), 1);
    let few = scene.store.prunable(PruneWish { run_count_max: 3, ..all() }).await.unwrap();
    assert_eq!((few.runs.len(), few.is_more), (3, true));
    assert!(few.runs.iter().all(|run| run.size_bytes > 0));
}

pub(super) fn exported(scene: &Scene) -> File {
    let exported = scene.store.export_run(&run_id(1), &Names, at(5_000)).unwrap();
    exported.unwrap()
}

#[tokio::test]
async fn a_run_is_the_same_in_another_folder() {
    let scene = completed().await;
    let checked = check_archive(exported(&scene)).unwrap();
    assert!(!checked.has_plugin(&scene::digest("voice")), "a completed run needs none");
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.import_run(checked, Vec::new(), at(6_000)).await.unwrap();

    assert_eq!(rows(&store, &run_id(1)).await, rows(&scene.store, &run_id(1)).await);
    assert_eq!(store.projections_equal_replay(&run_id(1)).await.unwrap(), Ok(()));
    assert_eq!(usage(&store).await, usage(&scene.store).await);
    let row = scene.store.run(&run_id(1)).await.unwrap();
    assert_eq!(store.run(&run_id(1)).await.unwrap(), row);
    let call = scene.store.call(&scene::call_id(1)).await.unwrap();
    assert_eq!(store.call(&scene::call_id(1)).await.unwrap(), call);
    let told = store.usage(&run_id(1)).await.unwrap();
    assert_eq!(told, scene.store.usage(&run_id(1)).await.unwrap());
    for (store, folder) in [(&store, folder.path()), (&scene.store, scene.folder.path())] {
        store.write_run_files(&run_id(1)).await.unwrap();
        assert!(folder.join("runs").join(run_id(1).as_str()).join("plan.json").exists());
    }
    let before = usage(&store).await;
    store.rebuild_projections().await.unwrap();
    assert_eq!(usage(&store).await, before);
    let again = store.import_run(check_archive(exported(&scene)).unwrap(), Vec::new(), at(6_000));
    assert!(matches!(again.await, Err(ArchiveError::RunExists(_))));
}

#[tokio::test]
async fn a_run_that_comes_back_is_counted_once() {
    let scene = completed().await;
    let (store, before) = (&scene.store, usage(&scene.store).await);
    let checked = check_archive(exported(&scene)).unwrap();
    let was = rows(store, &run_id(1)).await;
    store.remove_run(&run_id(1), at(2_000)).await.unwrap();
    store.import_run(checked, Vec::new(), at(6_000)).await.unwrap();
    assert_eq!(rows(store, &run_id(1)).await, was);
    assert_eq!(usage(store).await, before);
    store.rebuild_projections().await.unwrap();
    assert_eq!(usage(store).await, before);
}

#[tokio::test]
async fn an_unfinished_run_takes_its_components_along_and_is_paused() {
    let scene = waiting().await;
    let checked = check_archive(exported(&scene)).unwrap();
    let plugin = checked.plugin(&scene::digest("voice")).unwrap();
    assert_eq!(plugin, b"voice");
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let pause = Command::Pause { actor: "stagewright:import".to_owned() };
    let following = checked.run().decide(pause).unwrap();
    let recorded = store.import_run(checked, following.clone(), at(6_000)).await.unwrap();
    assert_eq!(recorded.len(), following.len());
    let row = store.run(&run_id(1)).await.unwrap().unwrap();
    assert_eq!(row.status.as_str(), "paused");
    assert_eq!(store.projections_equal_replay(&run_id(1)).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_run_that_goes_on_by_itself_is_not_exported() {
    let mut scene = Scene::new().await;
    let error = scene.store.export_run(&run_id(1), &Names, at(1)).unwrap_err();
    assert!(matches!(error, ArchiveError::RunActive { .. }), "{error}");
    scene.start(0).await;
    let error = scene.store.export_run(&run_id(1), &Names, at(1)).unwrap_err();
    assert!(error.to_string().contains("running") && error.hint().contains("pause"), "{error}");
    assert!(scene.store.export_run(&run_id(9), &Names, at(1)).unwrap().is_none());
}

/// The archive with its entries changed: a new name and content, or left out.
pub(super) fn changed(
    scene: &Scene,
    archive: &File,
    change: impl Fn(&str, Vec<u8>) -> Option<(String, Vec<u8>)>,
) -> File {
    let folder = scene.folder.path();
    let mut packing = Packing::into_file(spool::nameless(folder).unwrap());
    Entries::of(archive)
        .unwrap()
        .each(|entry| {
            let name = entry.name().to_owned();
            if let Some((name, bytes)) = change(&name, entry.bytes(u64::MAX)?) {
                packing.add_bytes(&name, &bytes)?;
            }
            Ok(())
        })
        .unwrap();
    packing.finish().unwrap()
}

pub(super) fn replaced(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(bytes).unwrap().replace(from, to).into_bytes()
}

#[tokio::test]
async fn what_is_wrong_with_an_archive_is_named_by_its_entry() {
    let scene = waiting().await;
    let archive = exported(&scene);
    let entry_of = |file: File| match check_archive(file) {
        Err(ArchiveError::Bad { entry, detail }) => {
            format!("{}: {detail}", entry.split('/').next().unwrap())
        }
        other => panic!("{other:?}"),
    };
    let with = |wanted: &'static str, from: &'static str, to: &'static str| {
        entry_of(changed(&scene, &archive, |name, bytes| {
            let is_wanted = name.starts_with(wanted);
            let bytes = if is_wanted { replaced(bytes, from, to) } else { bytes };
            Some((name.to_owned(), bytes))
        }))
    };
    let said = [
        with("manifest.json", r#""version":1"#, r#""version":3"#),
        with("manifest.json", "stagewright-run", "something-else"),
        with("manifest.json", r#""event_count":4"#, r#""event_count":5"#),
        with("events.jsonl", r#"{"version":2"#, r#"{"version":7"#),
        with("events.jsonl", "stage_started", "stage_exploded"),
        with("calls.jsonl", r#""status":"answered""#, r#""status":"lost""#),
        with("bodies/", "Bees", "Wasps"),
        entry_of(changed(&scene, &archive, |name, bytes| {
            (name != "calls.jsonl").then(|| (name.to_owned(), bytes))
        })),
        entry_of(changed(&scene, &archive, |name, bytes| {
            (!name.starts_with("bodies/")).then(|| (name.to_owned(), bytes))
        })),
        entry_of(changed(&scene, &archive, |name, bytes| {
            Some((name.replace("bodies/", "elsewhere/"), bytes))
        })),
    ];
    let places = ["manifest.json", "events.jsonl", "calls.jsonl", "bodies", "elsewhere"];
    for said in &said {
        assert!(places.iter().any(|place| said.starts_with(place)), "{said}");
    }
    let shown = said[..6].iter().map(|said| said.split(", expected").next().unwrap());
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r"
    manifest.json: the format has version 3, and this program reads 1 to 2
    manifest.json: it is a `something-else`, and not a `stagewright-run`
    events.jsonl: there are 4, and the manifest tells of 5
    events.jsonl: line 2: it is event 7, and not 2
    events.jsonl: line 2: unknown variant `stage_exploded`
    calls.jsonl: line 1: `status` cannot be `lost`
    ");
}

#[tokio::test]
async fn a_cut_archive_is_refused_wherever_it_was_cut() {
    let scene = waiting().await;
    let mut archive = exported(&scene);
    let mut whole = Vec::new();
    std::io::Read::read_to_end(&mut archive, &mut whole).unwrap();
    for tenth in 0..10 {
        let file = spool::nameless(scene.folder.path()).unwrap();
        std::io::Write::write_all(&mut &file, &whole[..whole.len() * tenth / 10]).unwrap();
        let checked = check_archive(file);
        assert!(matches!(checked, Err(ArchiveError::Bad { .. })), "{tenth}: {checked:?}");
    }
}

#[tokio::test]
async fn a_backup_is_restored_into_an_empty_folder_alone() {
    let scene = completed().await;
    let data = scene.folder.path();
    for (name, text) in [("pinned/a.wasm", "a"), ("profiles/deep/p.yaml", "p"), ("x/y", "no")] {
        fs::create_dir_all(data.join(name).parent().unwrap()).unwrap();
        fs::write(data.join(name), text).unwrap();
    }
    fs::write(data.join("secrets.vault"), "sealed").unwrap();
    fs::write(data.join("vault.key"), "key").unwrap();
    let backup = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap();
    let with_secrets = scene.store.backup(Secrets::Encrypted, at(9), &|| false).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new/data");
    let restored = restore(&backup, &target).unwrap();
    assert_eq!((restored.run_count, restored.unfinished_run_count), (1, 0));
    assert!(!restored.has_secrets && !target.join("secrets.vault").exists());
    assert_eq!(fs::read_to_string(target.join("profiles/deep/p.yaml")).unwrap(), "p");
    assert!(!target.join("x").exists());
    let store = Store::open(&target).unwrap();
    assert_eq!(rows(&store, &run_id(1)).await, rows(&scene.store, &run_id(1)).await);
    assert_eq!(usage(&store).await, usage(&scene.store).await);
    store.close();

    let again = restore(&backup, &target);
    assert!(matches!(again, Err(ArchiveError::FolderNotEmpty(_))), "{again:?}");
    let second = folder.path().join("second");
    fs::create_dir_all(second.join("cache/compiled")).unwrap();
    assert!(restore(&with_secrets, &second).unwrap().has_secrets);
    assert!(!second.join("vault.key").exists(), "never what opens it");
    assert!(second.join("cache/compiled").is_dir(), "what was compiled stays");
}

#[tokio::test]
async fn a_backup_in_which_anything_differs_is_not_restored() {
    let scene = completed().await;
    fs::create_dir(scene.folder.path().join("profiles")).unwrap();
    fs::write(scene.folder.path().join("profiles/p.yaml"), "profile").unwrap();
    let backup = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    let refused = |file: File| {
        let error = restore(&file, &target).unwrap_err();
        assert!(!target.exists(), "nothing is left of it");
        error.to_string()
    };
    let said = [
        refused(changed(&scene, &backup, |name, bytes| {
            let bytes =
                if name.ends_with(".yaml") { replaced(bytes, "prof", "PROF") } else { bytes };
            Some((name.to_owned(), bytes))
        })),
        refused(changed(&scene, &backup, |name, bytes| {
            (!name.ends_with(".yaml")).then(|| (name.to_owned(), bytes))
        })),
        refused(changed(&scene, &backup, |name, bytes| {
            (name != "manifest.json").then(|| (name.to_owned(), bytes))
        })),
        refused(changed(&scene, &backup, |name, bytes| {
            Some((name.replace("profiles/", "elsewhere/"), bytes))
        })),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    the archive cannot be used: `profiles/p.yaml`: its content is not that of which the manifest has the digest
    the archive cannot be used: `profiles/p.yaml`: it is missing
    the archive cannot be used: `manifest.json`: it is missing
    the archive cannot be used: `elsewhere/p.yaml`: a backup has no such file
    ");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_backup_that_is_cut_or_damaged_is_no_fault_of_the_disk() {
    let scene = completed().await;
    let component = scene.folder.path().join("pinned/a.wasm");
    fs::create_dir_all(component.parent().unwrap()).unwrap();
    // Digits of which compression makes half at most, so that the middle of the archive is of this file.
    let digits = |number: u64| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    fs::write(&component, (1..=64_000).map(digits).collect::<String>()).unwrap();
    let mut backup = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap();
    let mut whole = Vec::new();
    std::io::Read::read_to_end(&mut backup, &mut whole).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| {
        let file = spool::nameless(scene.folder.path()).unwrap();
        std::io::Write::write_all(&mut &file, bytes).unwrap();
        let error = restore(&file, &folder.path().join("data")).unwrap_err();
        assert!(matches!(error, ArchiveError::Bad { .. }), "{error:?}");
        error.to_string()
    };
    let damaged = |from: usize| [&whole[..from], &[0xff; 4096], &whole[from + 4096..]].concat();
    refused(&damaged(whole.len() / 2));
    let said = [&whole[..whole.len() / 2], &damaged(10), b"no archive"].map(refused);
    insta::assert_snapshot!(said.join("\n"), @r"
    the archive cannot be used: `pinned/a.wasm`: the archive is cut off: incomplete deflate stream
    the archive cannot be used: `the archive`: the archive is damaged, or none: corrupt deflate stream
    the archive cannot be used: `the archive`: the archive is damaged, or none: invalid gzip header
    ");
    for tenth in 0..10 {
        refused(&whole[..whole.len() * tenth / 10]);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_told_late_of_a_removed_run_is_not_kept() {
    let mut scene = waiting().await;
    scene.give(scene::cancel()).await;
    scene.store.remove_run(&run_id(1), at(1)).await.unwrap();
    let late = scene::canceled(scene::stage_call(8, &run_id(1), 1, 2), 5, None);
    scene.store.note_call_started(scene::stage_call(9, &run_id(1), 1, 3));
    scene.store.append(scene::creation(4)).await.unwrap();
    scene.store.keep_answer(late).await.unwrap();
    assert_eq!(count(&scene.store, "SELECT COUNT(*) FROM llm_calls").await, 0);
}
