//! The data folder: whose it is, who may read it, and what is wrong with it.
use std::fs;
use std::path::Path;

use super::scene::{Scene, creation};
use crate::{Error, Owner, Store};

#[test]
fn a_second_process_is_told_who_works_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Store::owner_of(folder.path()).unwrap(), None);
    let store = Store::open(folder.path()).unwrap();
    let owner = Owner { pid: std::process::id(), url: Some("http://127.0.0.1:8766".to_owned()) };
    store.announce(&owner).unwrap();
    let Err(Error::Locked { owner: Some(told), .. }) = Store::open(folder.path()) else {
        panic!("the folder was opened twice");
    };
    assert_eq!(told, owner);
    assert_eq!(Store::owner_of(folder.path()).unwrap(), Some(owner));
    drop(store);
    assert_eq!(Store::owner_of(folder.path()).unwrap(), None);
    Store::open(folder.path()).unwrap();
}

#[test]
fn what_a_dead_process_left_behind_means_nothing() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap();
    fs::write(folder.path().join("owner.json"), r#"{"pid": 1, "url": "http://127.0.0.1:1"}"#)
        .unwrap();
    assert_eq!(Store::owner_of(folder.path()).unwrap(), None);
    let store = Store::open(folder.path()).unwrap();
    let owner = Store::owner_of(folder.path()).unwrap().unwrap();
    assert_eq!(owner, Owner { pid: std::process::id(), url: None });
    store.close();
    assert_eq!(Store::owner_of(folder.path()).unwrap(), None);
}

#[test]
fn who_asks_for_the_owner_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    assert_eq!(Store::owner_of(&missing).unwrap(), None);
    assert!(!missing.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn everything_is_for_this_user_only() {
    use std::os::unix::fs::PermissionsExt;
    fn check(path: &Path) {
        let found = path.symlink_metadata().unwrap();
        let wanted = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, wanted, "{}", path.display());
        if found.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| check(&entry.unwrap().path()));
        }
    }
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    scene.store.write_run_files(scene.run.id()).await.unwrap();
    // A folder that somebody made keeps the rights that they gave it; what is in it is ours.
    fs::read_dir(scene.folder.path()).unwrap().for_each(|entry| check(&entry.unwrap().path()));
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    let _store = Store::open(&deep).unwrap();
    check(&deep);
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Store::open(&path.join("data")).unwrap_err();
    assert!(matches!(&error, Error::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("file/data"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_says_so() {
    // Nobody can make a folder there, not even the superuser that tests may run as.
    let error = Store::open(Path::new("/sys/stagewright-test")).unwrap_err();
    assert!(matches!(&error, Error::ReadOnly { .. }), "{error:?}");
    assert!(error.hint().starts_with("give this user the right"));
}

#[test]
fn a_damaged_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stagewright.db");
    fs::write(&path, "this is no database, however long it may be. ".repeat(100)).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Damaged { path: told, .. } if *told == path), "{error:?}");
    assert_eq!(Store::owner_of(folder.path()).unwrap(), None);
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap();
    let db = rusqlite::Connection::open(folder.path().join("stagewright.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Newer { .. }), "{error:?}");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_damage() {
    let scene = Scene::new().await;
    let spoil = |db: &rusqlite::Connection| {
        db.execute("UPDATE events SET payload = '{\"run_flown\":{}}'", []).unwrap();
    };
    scene.store.tamper(spoil).await.unwrap();
    let error = scene.store.events_after(scene.run.id(), 0, 10).await.unwrap_err();
    assert!(matches!(&error, Error::Damaged { path, .. } if path.is_absolute()), "{error:?}");
    // Other runs are not concerned.
    scene.store.append(creation(2)).await.unwrap();
}

#[tokio::test]
async fn a_store_that_was_closed_opens_with_all_it_had() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.store.close();
    scene.store = Store::open(scene.folder.path()).unwrap();
    scene.finish(0, "draft").await;
    assert!(!scene.folder.path().join("stagewright.db").symlink_metadata().unwrap().is_symlink());
}
