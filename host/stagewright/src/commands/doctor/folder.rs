//! The data folder: whether it can be written, how much room there is, who has it, whether its log can be read, and,
//! if that was asked for, whether everything in it is sound.
use std::path::{Path, PathBuf};
use std::time::Instant;

use store::{Depth, Owner, Store};

use super::Check;
use crate::client::{Client, Remote, Transport};
use crate::config::Config;
use crate::error::Error;
use crate::render;

const FOLDER: &str = "data folder";
const SPACE: &str = "free space";
const LOG: &str = "log";
const INTEGRITY: &str = "integrity";
/// Free space below which a hint is due, in bytes: some ten thousand runs.
const SPACE_LOW_BYTES: u64 = 1 << 30;
/// Free space below which runs are about to stop, in bytes.
const SPACE_OUT_BYTES: u64 = 64 << 20;

pub(super) async fn checks(config: &Config, depth: Depth) -> Vec<Check> {
    let folder = &config.data_dir;
    let existing = nearest_existing(folder);
    let mut checks = vec![writable(folder, &existing)];
    checks.extend(space(&existing));
    match Store::owner_of(folder) {
        Ok(Some(owner)) => {
            checks.push(owned(config, &owner).await);
            checks.extend((depth == Depth::Deep).then(|| not_looked_into(&owner)));
        }
        Ok(None) if folder.exists() => checks.extend(log(folder, depth).await),
        Ok(None) => checks.push(Check::ok(LOG, "there are no runs yet")),
        Err(error) => checks.push(Check::failed(LOG, &Error::Store(error))),
    }
    checks
}

fn nearest_existing(folder: &Path) -> PathBuf {
    let existing = folder.ancestors().find(|path| !path.as_os_str().is_empty() && path.exists());
    existing.unwrap_or(Path::new(".")).to_owned()
}

/// Tries it: rights, read-only disks and quotas are all told only by a write.
fn writable(folder: &Path, existing: &Path) -> Check {
    let shown = folder.display();
    let probe = existing.join(format!(".stagewright-doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"may be removed");
    std::fs::remove_file(&probe).ok();
    match written {
        Ok(()) if folder.exists() => Check::ok(FOLDER, format!("`{shown}` can be written")),
        Ok(()) => {
            Check::ok(FOLDER, format!("`{shown}` does not exist yet; it is made at its first use"))
        }
        Err(error) => Check::bad(
            FOLDER,
            format!("`{}` cannot be written: {error}", existing.display()),
            Some(
                "give this user the right to write there, or choose another `--data-dir`"
                    .to_owned(),
            ),
        ),
    }
}

#[cfg(unix)]
fn space(existing: &Path) -> Option<Check> {
    let disk = rustix::fs::statvfs(existing).ok()?;
    // A file system without blocks, such as `/proc`, says nothing about room.
    (disk.f_blocks > 0).then(|| space_check(disk.f_bavail.saturating_mul(disk.f_frsize)))
}

#[cfg(not(unix))]
fn space(_existing: &Path) -> Option<Check> {
    None
}

fn space_check(free_bytes: u64) -> Check {
    let detail = render::size(free_bytes);
    let cure = "make room on the disk, or choose another `--data-dir`";
    match free_bytes {
        0..SPACE_OUT_BYTES => Check::bad(SPACE, detail, Some(cure.to_owned())),
        SPACE_OUT_BYTES..SPACE_LOW_BYTES => Check::warning(SPACE, detail, cure),
        _ => Check::ok(SPACE, detail),
    }
}

async fn owned(config: &Config, owner: &Owner) -> Check {
    let Some(url) = &owner.url else {
        return Check::ok(LOG, format!("process {} works on it at the moment", owner.pid));
    };
    let remote = match Remote::new(url, config.token.as_ref()) {
        Ok(remote) => remote,
        Err(error) => return Check::failed(LOG, &error),
    };
    match Client::new(Transport::Remote(Box::new(remote))).ready().await {
        Ok(ready) if ready.status == "ready" => Check::ok(
            LOG,
            format!("served by process {} at {url}, version {}", owner.pid, ready.version),
        ),
        Ok(ready) => {
            let details = [ready.store, ready.plugins, ready.providers];
            let bad = details.into_iter().filter(|check| !check.ok).map(|check| check.detail);
            Check::bad(
                LOG,
                format!("the server at {url}: {}", bad.collect::<Vec<_>>().join("; ")),
                None,
            )
        }
        Err(error) => Check::failed(LOG, &error),
    }
}

/// Everything that is kept belongs to whoever works on it.
fn not_looked_into(owner: &Owner) -> Check {
    Check::warning(
        INTEGRITY,
        format!("process {} works on the data folder: what is kept was not looked into", owner.pid),
        "end it, then ask again",
    )
}

/// Opens the log as a command would, and closes it again.
async fn log(folder: &Path, depth: Depth) -> Vec<Check> {
    let store = match Store::open(folder) {
        Ok(store) => store,
        Err(error) => return vec![Check::failed(LOG, &Error::Store(error))],
    };
    let mut checks = vec![readable(&store).await];
    if depth == Depth::Deep {
        checks.extend(integrity(&store).await);
    }
    store.close();
    checks
}

async fn readable(store: &Store) -> Check {
    match store.active_runs().await {
        Ok(runs) if runs.is_empty() => {
            Check::ok(LOG, "it can be read; no run goes on at the next start")
        }
        Ok(runs) => {
            let count = render::counted(runs.len() as u64, "run goes", "runs go");
            Check::ok(LOG, format!("it can be read; {count} on at the next start"))
        }
        Err(error) => Check::failed(LOG, &Error::Store(error)),
    }
}

/// Reads all that is kept, and compares what is shown of runs with their logs.
async fn integrity(store: &Store) -> Vec<Check> {
    let begun = Instant::now();
    let findings = match store.check(Depth::Deep).await {
        Ok(findings) => findings,
        Err(error) => return vec![Check::failed(INTEGRITY, &Error::Store(error))],
    };
    if findings.is_empty() {
        let time = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let detail = format!(
            "pages, texts, logs and what is shown of them are sound; looked at in {}",
            render::duration(time)
        );
        return vec![Check::ok(INTEGRITY, detail)];
    }
    let cure = "restore a backup with `stagewright restore`, and keep this folder for a look";
    let mut checks: Vec<Check> =
        findings.iter().map(|finding| Check::bad(INTEGRITY, finding.to_string(), None)).collect();
    // Said once, with the last: it is the same for all of them.
    if let Some(last) = checks.last_mut() {
        last.cure = Some(cure.to_owned());
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::State;

    #[test]
    fn little_room_is_told_before_it_is_gone() {
        assert_eq!(space_check(10 << 30).state, State::Ok);
        assert_eq!(space_check(500 << 20).state, State::Warning);
        assert_eq!(space_check(1 << 20).state, State::Bad);
    }

    #[test]
    fn a_folder_that_is_not_there_is_looked_for_further_up() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(nearest_existing(&folder.path().join("a/b")), folder.path());
        assert_eq!(nearest_existing(Path::new("not-there-at-all")), Path::new("."));
    }
}
