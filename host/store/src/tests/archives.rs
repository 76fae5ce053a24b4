//! Archives and backups that are not what an export or a quiet folder gives.
use std::fs;
use std::io;

use super::housekeeping::{
    all, changed, completed, count, exported, replaced, rows, usage, waiting,
};
use super::scene::{self, Scene, at, run_id};
use crate::archive::{Packing, check_bounded};
use crate::{ArchiveError, Depth, Secrets, Store, check_archive, restore, spool};

/// What is said of an archive in which one entry has other text.
fn refusal_of(scene: &Scene, entry: &'static str, from: &str, to: &str) -> String {
    let file = changed(scene, &exported(scene), |name, bytes| {
        let bytes = if name.starts_with(entry) { replaced(bytes, from, to) } else { bytes };
        Some((name.to_owned(), bytes))
    });
    match check_archive(file) {
        Err(error) => error.to_string(),
        Ok(_) => format!("taken: {from} -> {to}"),
    }
}

#[tokio::test]
async fn a_call_that_no_list_could_show_is_refused() {
    let scene = waiting().await;
    let refused = |from, to| refusal_of(&scene, "calls.jsonl", from, to);
    let said = [
        refused(r#""usage_source":"provider""#, r#""usage_source":"a guess""#),
        refused(r#""input_tokens":"#, r#""input_tokens":-"#),
        refused(r#""conversation_ordinal":"#, r#""conversation_ordinal":-"#),
        refused(r#""total_ms":"#, r#""total_ms":-1"#),
        refused(r#""error_code":null"#, r#""error_code":"model_tired""#),
        refused(r#""tries":1"#, r#""tries":99999999999"#),
    ];
    for said in said {
        assert!(said.contains("`calls.jsonl`"), "{said}");
    }
    let attempt = r#"{"stage_key":"voice","attempt":1,"log":"{\"lines\":[]}","cpu_time_us":1,"memory_bytes":-1,"queue_ms":1,"started_at":1,"ended_at":1}"#;
    let file = changed(&scene, &exported(&scene), |name, bytes| match name {
        "manifest.json" => {
            let (from, to) = (r#""attempt_count":0"#, r#""attempt_count":1"#);
            Some((name.to_owned(), replaced(bytes, from, to)))
        }
        "attempts.jsonl" => Some((name.to_owned(), format!("{attempt}\n").into_bytes())),
        _ => Some((name.to_owned(), bytes)),
    });
    let said = check_archive(file).unwrap_err().to_string();
    assert!(said.contains("`attempts.jsonl`"), "{said}");
}

#[tokio::test]
async fn an_archive_that_would_fill_the_memory_is_refused() {
    let scene = waiting().await;
    let archive = exported(&scene);
    // Each line is a log of an attempt that is mostly air: it compresses to nothing.
    let log = " ".repeat(1 << 20);
    let file = changed(&scene, &archive, |name, bytes| {
        if name != "attempts.jsonl" {
            return Some((name.to_owned(), bytes));
        }
        let line = |number: u32| {
            format!(
                "{{\"stage_key\":\"voice\",\"attempt\":{number},\"log\":\"{{\\\"lines\\\":[]}}{log}\",\"cpu_time_us\":1,\
                 \"memory_bytes\":1,\"queue_ms\":1,\"started_at\":1,\"ended_at\":1}}\n"
            )
        };
        Some((name.to_owned(), (1..=6).map(line).collect::<String>().into_bytes()))
    });
    let said = check_bounded(file, 4 << 20).unwrap_err().to_string();
    assert!(said.contains("`attempts.jsonl`") && said.contains("more than 4 MiB"), "{said}");
}

#[tokio::test]
async fn usage_is_right_when_a_run_comes_back_with_other_calls() {
    let mut scene = completed().await;
    scene.give(scene::retry(Some(1))).await;
    scene.start(1).await;
    let run = run_id(1);
    let more = scene::answered(
        scene::stage_call(7, &run, 2, 1),
        Ok(scene::completion("Once more.", Some(3))),
    );
    scene.store.keep_answer(more).await.unwrap();
    scene.finish(1, "Calmer and brighter.").await;
    let (longer, expected) = (exported(&scene), usage(&scene.store).await);

    // The same run as it was before it was retried elsewhere.
    let here = completed().await;
    here.store.remove_run(&run, at(2_000)).await.unwrap();
    here.store.import_run(check_archive(longer).unwrap(), Vec::new(), at(6_000)).await.unwrap();
    assert_eq!(here.store.check(Depth::Deep).await.unwrap(), []);
    assert_eq!(usage(&here.store).await, expected);
}

#[test]
fn an_entry_that_ends_before_its_announced_size_makes_no_archive() {
    let folder = tempfile::tempdir().unwrap();
    let mut packing = Packing::into_file(spool::nameless(folder.path()).unwrap());
    let error = packing.add("profiles/p.yaml", 10, io::Cursor::new(b"short")).unwrap_err();
    assert!(error.to_string().contains("profiles/p.yaml"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn every_backup_that_is_made_can_be_restored() {
    let scene = completed().await;
    let profiles = scene.folder.path().join("profiles");
    fs::create_dir(&profiles).unwrap();
    let names = ["a:b.yaml", "back\\slash.yaml", "two words.yaml", "ünï.yaml"];
    for name in names {
        fs::write(profiles.join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("/etc/hostname", profiles.join("link.yaml")).unwrap();
    let backup = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    restore(&backup, &target).unwrap();
    for name in names {
        assert_eq!(fs::read_to_string(target.join("profiles").join(name)).unwrap(), name);
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&target.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    let long = "l".repeat(180);
    fs::write(profiles.join(&long), "").unwrap();
    let error = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap_err().to_string();
    assert!(error.contains(&long) && error.contains("too long"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_goes_into_the_folder_that_a_link_names() {
    let scene = completed().await;
    let backup = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    restore(&backup, &link).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    let store = Store::open(&link).unwrap();
    assert!(store.run(&run_id(1)).await.unwrap().is_some());
    assert_eq!(store.data_dir(), link);
    drop(store);

    let nowhere = folder.path().join("nowhere");
    std::os::unix::fs::symlink(folder.path().join("absent"), &nowhere).unwrap();
    let error = restore(&backup, &nowhere).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_replaced_is_filled() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let scene = completed().await;
    let backup = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("volume");
    fs::create_dir(&target).unwrap();
    // As a volume is one that is mounted there: it is filled, and stays the folder that it is.
    let is_same = target.metadata().unwrap().ino();
    restore(&backup, &target).unwrap();
    assert_eq!(target.metadata().unwrap().ino(), is_same);
    let mode = target.join("stagewright.db").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut names: Vec<_> =
        fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["stagewright.db"]);
}

#[tokio::test]
async fn a_call_or_an_approval_of_another_run_is_not_taken_over() {
    let mut scene = waiting().await;
    let (run, other) = (run_id(1).to_string(), run_id(2).to_string());
    let file = changed(&scene, &exported(&scene), |name, bytes| {
        let bytes = if name.ends_with("json") || name.ends_with("jsonl") {
            replaced(bytes, &run, &other)
        } else {
            bytes
        };
        Some((name.to_owned(), bytes))
    });
    let before = rows(&scene.store, &run_id(1)).await;
    let checked = check_archive(file).unwrap();
    let taken = scene.store.import_run(checked, Vec::new(), at(6_000)).await;
    assert!(matches!(&taken, Err(ArchiveError::Bad { .. })), "{taken:?}");
    assert_eq!(rows(&scene.store, &run_id(1)).await, before);
    assert!(rows(&scene.store, &run_id(2)).await.values().all(Vec::is_empty));
    let bodies = "SELECT COUNT(*) FROM body_owners";
    assert_eq!(count(&scene.store, bodies).await, 0);
    scene.give(scene::cancel()).await;
    assert_eq!(scene.store.prunable(all()).await.unwrap().runs.len(), 1);
}

#[tokio::test]
async fn a_backup_that_is_called_off_ends_soon_and_leaves_nothing() {
    let scene = completed().await;
    for looks_before in [0, 1, 2] {
        let looks = std::sync::atomic::AtomicU32::new(0);
        let is_called_off =
            || looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= looks_before;
        let backup = scene.store.backup(Secrets::LeftOut, at(9), &is_called_off);
        assert!(backup.is_err(), "{looks_before}");
    }
    assert_eq!(fs::read_dir(scene.folder.path().join("spool")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_archive_of_a_run_and_a_backup_are_not_taken_for_each_other() {
    let scene = waiting().await;
    let to = scene.folder.path().join("restored");
    let said = restore(&exported(&scene), &to).unwrap_err().to_string();
    assert!(said.contains("it is a `stagewright-run`, and not a `stagewright-backup`"), "{said}");

    let backup = scene.store.backup(Secrets::LeftOut, at(9), &|| false).unwrap();
    let said = check_archive(backup).unwrap_err().to_string();
    assert!(said.contains("a backup has it"), "{said}");
}
