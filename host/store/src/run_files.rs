//! Files that a person may open: `runs/<run_id>/`, made from the database.
//!
//! Each file is replaced as a whole, and only if it differs. Nothing is read back from here, so a person may look at,
//! copy or delete everything. A start finds what is missing, an artifact that has another size, and a JSON file that is
//! empty; it does not read the files, so what else a person changed stays until the run's files are written the next
//! time. Links are not followed: a link in the place of a folder is an error, one in the place of a file is replaced.
mod content;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::{RunId, StageKey};
use rusqlite::{Connection, Row};

use crate::column::parsed;
use crate::folder::{create_private_dir, replace_file};
use crate::{Error, artifacts, calls, events, runs, stages};

const RUNS: &str = "runs";
const PLAN: &str = "plan.json";
const OUTPUT: &str = "output.json";
const MANIFEST: &str = "manifest.json";

/// A row for each artifact that holds, each begun stage without one, and each run without a begun stage; those of a run
/// together.
pub(crate) const EXPECTED: &str = "SELECT r.run_id, r.files_version < r.version AS is_old,
    s.position, s.stage_key, a.name, a.size_bytes
    FROM runs r
    LEFT JOIN stages s ON s.run_id = r.run_id AND s.attempt > 0
    LEFT JOIN artifacts a
        ON a.run_id = s.run_id AND a.position = s.position AND a.current = 1
    ORDER BY r.run_id, s.position, a.name";

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

/// Runs whose files are older than their log, missing, or not of the size that they should have; in the order of their
/// identifiers.
pub(crate) fn stale(db: &Connection, data_dir: &Path) -> Result<Vec<RunId>, Error> {
    let mut statement = db.prepare_cached(EXPECTED)?;
    let mut rows = statement.query([])?;
    let mut check = Check { runs: data_dir.join(RUNS), run: None, stage: None, stale: Vec::new() };
    while let Some(row) = rows.next()? {
        check.row(row)?;
    }
    Ok(check.stale)
}

/// Goes through the rows of [`EXPECTED`], and looks at each file once.
struct Check {
    runs: PathBuf,
    /// The run of the last row.
    run: Option<RunId>,
    /// The stage of the last row, and its folder.
    stage: Option<(u16, PathBuf)>,
    stale: Vec<RunId>,
}

impl Check {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let run: RunId = parsed(row, "run_id")?;
        if self.stale.last() != Some(&run) && !self.is_as_it_should_be(row, &run)? {
            self.stale.push(run);
        }
        Ok(())
    }

    fn is_as_it_should_be(&mut self, row: &Row<'_>, run: &RunId) -> Result<bool, Error> {
        if self.run.as_ref() != Some(run) {
            let folder = self.runs.join(run.as_str());
            let is_right = !row.get::<_, bool>("is_old")?
                && has_content(&folder.join(PLAN))
                && has_content(&folder.join(MANIFEST));
            self.run = Some(run.clone());
            self.stage = None;
            if !is_right {
                return Ok(false);
            }
        }
        let Some(position) = row.get::<_, Option<u16>>("position")? else { return Ok(true) };
        if self.stage.as_ref().is_none_or(|(last, _)| *last != position) {
            let key: StageKey = parsed(row, "stage_key")?;
            let folder = self.runs.join(run.as_str()).join(folder_name(position, &key));
            let is_right = has_content(&folder.join(OUTPUT)) && has_content(&folder.join(MANIFEST));
            self.stage = Some((position, folder));
            if !is_right {
                return Ok(false);
            }
        }
        let Some((_, folder)) = &self.stage else { return Ok(true) };
        let Some(name) = row.get::<_, Option<String>>("name")? else { return Ok(true) };
        let size_bytes: u64 = row.get("size_bytes")?;
        Ok(size_of_file(&folder.join(name)) == Some(size_bytes))
    }
}

fn has_content(path: &Path) -> bool {
    size_of_file(path).is_some_and(|size_bytes| size_bytes > 0)
}

/// `None` if there is no file, or something else in its place.
fn size_of_file(path: &Path) -> Option<u64> {
    path.symlink_metadata().ok().filter(fs::Metadata::is_file).map(|found| found.len())
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
    let same_size = size_of_file(path) == Some(content.len() as u64);
    if same_size && fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    replace_file(path, content)
}

/// Removes the files of a run that does not exist any more.
pub(crate) fn remove_all(db: &Connection, data_dir: &Path, run: &RunId) -> Result<(), Error> {
    // It may have come back from an archive.
    if runs::one(db, run)?.is_some() {
        return Ok(());
    }
    let folder = data_dir.join(RUNS).join(run.as_str());
    let removed = match folder.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&folder),
        Ok(_) => fs::remove_file(&folder),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(&folder, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
