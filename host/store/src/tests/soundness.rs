//! Damage: that it is found, that it is told with its file and a cure, and that nothing is made worse. And what is no
//! damage: a write-ahead log that ends anywhere, and a disk that is full at any page.
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use domain::run::{Recorded, Verdict};

use super::scene::{
    Scene, answered, body, completion, creation, digest, retry, run_id, stage_call,
};
use crate::{Append, Depth, Error, Options, Store};

const DATABASE: &str = "stagewright.db";
const LOG: &str = "stagewright.db-wal";

/// Large enough that no test comes near.
const AT_ONCE: u64 = 1 << 30;

/// A run with some of everything, whose database has been closed once.
async fn used() -> Scene {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let call = stage_call(1, scene.run.id(), 1, 1);
    scene.store.keep_answer(answered(call, Ok(completion("x", Some(5))))).await.unwrap();
    scene.finish(0, &"Bees like light. ".repeat(2_000)).await;
    scene.store.close();
    scene.store = Store::open(scene.folder.path()).unwrap();
    scene
}

/// What the disk has at this moment, as after `kill -9`.
fn left_behind(scene: &Scene) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [DATABASE, LOG] {
        fs::copy(scene.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    assert!(copy.path().join(LOG).metadata().unwrap().len() > 0);
    copy
}

/// Overwrites the page at which the table of texts begins.
async fn wreck_texts(store: &Store, folder: &Path) {
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'bodies'";
    let page: u64 =
        store.look(move |db| Ok(db.query_row(root, [], |row| row.get(0))?)).await.unwrap();
    let mut file = OpenOptions::new().write(true).open(folder.join(DATABASE)).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4_096)).unwrap();
    file.write_all(&[0xA5; 4_096]).unwrap();
}

fn bytes(folder: &Path) -> [Vec<u8>; 2] {
    [DATABASE, LOG].map(|name| fs::read(folder.join(name)).unwrap_or_default())
}

#[tokio::test]
async fn damage_after_an_end_without_a_close_is_found_at_the_start_and_nothing_is_written() {
    let mut scene = used().await;
    scene.decide(Verdict::Granted).await;
    let copy = left_behind(&scene);
    wreck_texts(&scene.store, copy.path()).await;
    let before = bytes(copy.path());
    let error = Store::open(copy.path()).unwrap_err();
    let path = copy.path().join(DATABASE);
    assert!(matches!(&error, Error::Damaged { path: told, .. } if *told == path), "{error:?}");
    assert!(error.hint().contains("stagewright restore"), "{}", error.hint());
    assert_eq!(bytes(copy.path()), before);
    assert_eq!(Store::owner_of(copy.path()).unwrap(), None);
}

#[tokio::test]
async fn a_large_database_is_checked_while_the_host_works_and_damage_ends_all_writing() {
    let mut scene = used().await;
    scene.decide(Verdict::Granted).await;
    let copy = left_behind(&scene);
    wreck_texts(&scene.store, copy.path()).await;
    let open = || Store::open_checking(copy.path(), Options::default(), 0).unwrap();
    let store = open();
    store.wait_for_check();
    assert!(matches!(store.damage(), Some(Error::Damaged { .. })), "{:?}", store.damage());
    let refused = store.append(creation(2)).await;
    assert!(matches!(&refused, Err(Error::Damaged { path, .. }) if path.is_absolute()));
    assert!(store.run(scene.run.id()).await.unwrap().is_some(), "what can be read is read");
    store.close();
    let store = open();
    store.wait_for_check();
    assert!(store.damage().is_some(), "the next start finds it again");
}

#[tokio::test]
async fn a_sound_database_is_checked_and_written_to() {
    let mut scene = used().await;
    scene.decide(Verdict::Granted).await;
    let copy = left_behind(&scene);
    for at_once_bytes_max in [0, AT_ONCE] {
        let store =
            Store::open_checking(copy.path(), Options::default(), at_once_bytes_max).unwrap();
        store.wait_for_check();
        assert!(store.damage().is_none());
        let number = 2 + u32::from(at_once_bytes_max == 0);
        store.append(creation(number)).await.unwrap();
        // The next start finds it as this one did.
        let log = fs::read(copy.path().join(LOG)).unwrap();
        let database = fs::read(copy.path().join(DATABASE)).unwrap();
        store.close();
        fs::write(copy.path().join(DATABASE), database).unwrap();
        fs::write(copy.path().join(LOG), log).unwrap();
    }
}

#[tokio::test]
async fn a_check_that_is_under_way_does_not_keep_the_store_from_closing() {
    let mut scene = used().await;
    scene.decide(Verdict::Granted).await;
    let copy = left_behind(&scene);
    for _ in 0..5 {
        let store = Store::open_checking(copy.path(), Options::default(), 0).unwrap();
        drop(store.check(Depth::Deep));
        store.close();
        assert!(store.damage().is_none(), "a check that is called off says nothing");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_or_something_else_is_told_before_it_is_opened() {
    let scene = used().await;
    scene.store.close();
    let path = scene.folder.path().join(DATABASE);
    let whole = fs::read(&path).unwrap();
    for (content, says) in [
        (&whole[..whole.len() - 4_096], "cut off"),
        (&whole[..50], "shorter than the header"),
        (&[0; 8_192][..], "does not begin as a database"),
    ] {
        fs::write(&path, content).unwrap();
        let error = Store::open(scene.folder.path()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(bytes(scene.folder.path()), [content.to_vec(), Vec::new()]);
    }
    fs::write(&path, whole).unwrap();
    Store::open(scene.folder.path()).unwrap();
}

#[tokio::test]
async fn a_deep_check_finds_what_no_longer_says_the_same() {
    let scene = used().await;
    scene.store.append(creation(2)).await.unwrap();
    assert_eq!(scene.store.check(Depth::Quick).await.unwrap(), []);
    assert_eq!(scene.store.check(Depth::Deep).await.unwrap(), []);
    let cases: [(&str, &str, &str); 6] = [
        ("UPDATE bodies SET text = 'else' WHERE rowid = 1", "text `sha256:", "sha256"),
        ("UPDATE runs SET title = 'else' WHERE run_id LIKE '%2'", "2`: ", "table `runs`"),
        ("UPDATE usage_days SET calls = calls + 1", "sums of usage: ", "1 rows"),
        ("UPDATE runs SET version = 9 WHERE run_id LIKE '%2'", "2`: ", "version 9"),
        ("UPDATE events SET version = 7 WHERE version = 2", "1`: ", "version 7"),
        ("UPDATE events SET payload = '{}' WHERE run_id LIKE '%2'", "2`: ", ""),
    ];
    for (sql, part, says) in cases {
        let db = rusqlite::Connection::open(scene.folder.path().join(DATABASE)).unwrap();
        db.execute_batch("BEGIN").unwrap();
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
        db.execute_batch("COMMIT").unwrap();
        drop(db);
        let found = scene.store.check(Depth::Deep).await.unwrap();
        let told = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(told.contains(part) && told.contains(says), "{sql}: {told}");
    }
    assert_ne!(scene.store.check(Depth::Quick).await.unwrap(), []);
}

/// Pseudo-random numbers that are the same in every test run (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Places at which the log is cut. Each is tried in three ways.
const CUT_COUNT: usize = 16;
/// A page in the log, with what stands before it.
const FRAME_BYTES: u64 = 4_096 + 24;
const LOG_HEADER_BYTES: u64 = 32;

#[tokio::test]
async fn a_log_that_ends_anywhere_keeps_what_was_whole_before() {
    let mut scene = used().await;
    for text in ["second", "third", "fourth"] {
        scene.decide(Verdict::Rejected).await;
        scene.give(retry(None)).await;
        scene.start(0).await;
        scene.finish(0, text).await;
    }
    let whole = scene.store.events_after(scene.run.id(), 0, 1_000).await.unwrap();
    let copy = left_behind(&scene);
    let [database, log] = bytes(copy.path());
    let (len, mut numbers, mut kept_counts) = (log.len() as u64, Numbers(7), Vec::new());
    for idx in 0..CUT_COUNT {
        // Every other cut is at the border of two pages, where nothing but a checksum tells.
        let frame = numbers.below((len - LOG_HEADER_BYTES) / FRAME_BYTES);
        let border = LOG_HEADER_BYTES + frame * FRAME_BYTES;
        let cut = if idx % 2 == 0 { border } else { numbers.below(len) };
        let cut = usize::try_from(cut).unwrap();
        let mut zeroed = log.clone();
        zeroed[cut..].fill(0);
        let mut flipped = log.clone();
        flipped[cut] ^= 0x40;
        for spoiled in [&log[..cut], &zeroed, &flipped] {
            fs::write(copy.path().join(DATABASE), &database).unwrap();
            fs::write(copy.path().join(LOG), spoiled).unwrap();
            kept_counts.push(check_prefix(copy.path(), &whole).await);
        }
    }
    kept_counts.sort_unstable();
    kept_counts.dedup();
    assert!(kept_counts.len() > 3, "the cuts were not spread: {kept_counts:?}");
}

/// Opens what is there; gives the number of events, which are those that came first.
async fn check_prefix(folder: &Path, whole: &[Recorded]) -> usize {
    let store = Store::open(folder).unwrap();
    let kept = store.events_after(&run_id(1), 0, 1_000).await.unwrap();
    assert_eq!(kept, whole[..kept.len()]);
    assert_eq!(store.projections_equal_replay(&run_id(1)).await.unwrap(), Ok(()));
    store.append(creation(9)).await.unwrap();
    store.close();
    kept.len()
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_page_takes_nothing_by_halves() {
    /// More pages than the append needs.
    const PAGE_COUNT_MAX: usize = 200;
    let mut scene = used().await;
    // SQLite takes the size that the file has as the least.
    let shut = |db: &rusqlite::Connection| db.pragma_update(None, "max_page_count", 1).unwrap();
    let grow = |db: &rusqlite::Connection| {
        let pages: i64 = db.pragma_query_value(None, "max_page_count", |row| row.get(0)).unwrap();
        db.pragma_update(None, "max_page_count", pages + 1).unwrap();
    };
    scene.store.tamper(shut).await.unwrap();
    let texts: Vec<String> = (0..5).map(|idx| format!("{idx}").repeat(20_000)).collect();
    let large = || Append { beside: texts.iter().map(|text| body(text)).collect(), ..creation(2) };
    let mut refused_count = 0;
    for _ in 0..PAGE_COUNT_MAX {
        let Err(error) = scene.store.append(large()).await else { break };
        assert!(matches!(error, Error::Full { .. }), "{error:?}");
        refused_count += 1;
        assert_eq!(scene.store.run(&run_id(2)).await.unwrap(), None);
        assert_eq!(scene.store.events_after(&run_id(2), 0, 1).await.unwrap(), []);
        assert!(scene.store.bodies(vec![digest(&texts[0])]).await.is_err());
        scene.store.tamper(grow).await.unwrap();
    }
    assert!((10..PAGE_COUNT_MAX).contains(&refused_count), "{refused_count}");
    assert_eq!(scene.store.check(Depth::Deep).await.unwrap(), []);
    assert!(scene.store.run(&run_id(2)).await.unwrap().is_some());
    scene.store.tamper(grow).await.unwrap();
    scene.decide(Verdict::Granted).await;
}
