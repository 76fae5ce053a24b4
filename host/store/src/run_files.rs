//! Files that a person may open: `runs/<run_id>/`, made from the database.
//!
//! Each file is replaced as a whole, and only if it differs. Nothing is read back from here, so a person may look at,
//! copy or delete everything; what is missing is written again. Links are not followed: a link in the place of a folder
//! is an error, one in the place of a file is replaced.
mod content;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::{RunId, StageKey};
use rusqlite::Connection;

use crate::folder::{create_private_dir, replace_file};
use crate::{Error, artifacts, calls, events, runs, stages};

const RUNS: &str = "runs";
const PLAN: &str = "plan.json";
const OUTPUT: &str = "output.json";
const MANIFEST: &str = "manifest.json";

/// Writes the files of a run; gives the version that they are of. `None` if there is no such run.
pub(crate) fn write(db: &Connection, data_dir: &Path, run: &RunId) -> Result<Option<u64>, Error> {
    // One moment of the database, however many statements read it.
    let db = db.unchecked_transaction()?;
    let Some(snapshot) = content::Snapshot::read(&db, run)? else { return Ok(None) };
    let folder = data_dir.join(RUNS);
    real_dir(&folder)?;
    let folder = folder.join(run.as_str());
    real_dir(&folder)?;
    write_if_changed(&folder.join(PLAN), &snapshot.plan_file()?)?;
    for idx in 0..snapshot.stages.len() {
        write_stage(&db, &snapshot, idx, &folder)?;
    }
    // Last, because its presence says that the rest was written at least once.
    write_if_changed(&folder.join(MANIFEST), &snapshot.manifest()?)?;
    Ok(Some(snapshot.run.version))
}

fn write_stage(
    db: &Connection,
    snapshot: &content::Snapshot,
    idx: usize,
    run_folder: &Path,
) -> Result<(), Error> {
    let Some(stage) = snapshot.stages.get(idx).filter(|stage| stage.row.attempt > 0) else {
        return Ok(());
    };
    let folder = run_folder.join(folder_name(stage.row.position, &stage.row.key));
    real_dir(&folder)?;
    for artifact in &stage.artifacts {
        let path = folder.join(artifact.name.as_str());
        if artifact.current {
            let text = artifacts::body(db, &artifact.digest)?;
            write_if_changed(&path, text.as_bytes())?;
        } else if !stage.has_current(&artifact.name) {
            remove(&path)?;
        }
    }
    write_if_changed(&folder.join(OUTPUT), &snapshot.output(stage)?)?;
    write_if_changed(&folder.join(MANIFEST), &snapshot.stage_manifest(stage)?)
}

/// The folder of a stage within that of its run, e.g. `01-research`.
fn folder_name(position: u16, key: &StageKey) -> String {
    format!("{:02}-{key}", position + 1)
}

/// Runs whose files are older than their log, or missing.
pub(crate) fn stale(db: &Connection, data_dir: &Path) -> Result<Vec<RunId>, Error> {
    let mut stale = runs::with_stale_files(db)?;
    let folder = data_dir.join(RUNS);
    let is_there = |path: PathBuf| path.symlink_metadata().is_ok_and(|found| found.is_file());
    for run in runs::all(db)? {
        let folder = folder.join(run.as_str());
        if !is_there(folder.join(PLAN)) || !is_there(folder.join(MANIFEST)) {
            stale.push(run);
        }
    }
    stale.sort();
    stale.dedup();
    Ok(stale)
}

/// Makes a folder if it is not there, and makes sure that it is one.
fn real_dir(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => {
            let error = io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder");
            Err(Error::io(path, error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_private_dir(path),
        Err(error) => Err(Error::io(path, error)),
    }
}

fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), Error> {
    let same_size = path
        .symlink_metadata()
        .is_ok_and(|found| found.is_file() && found.len() == content.len() as u64);
    if same_size && fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    replace_file(path, content)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
