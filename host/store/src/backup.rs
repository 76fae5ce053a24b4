//! A copy of a data folder as one file, made while it is in use, and put back into an empty folder.
//!
//! The file is a gzip-compressed tar (ustar): `stagewright.db`, a copy of the database as of one moment; the files below
//! `pinned/`, `plugins/` and `profiles/`; if it is wished for, `secrets.vault`, which is encrypted, and never its key; and
//! at the end `manifest.json` with the digest of each. What a data folder has beside that is made again (files of runs,
//! compiled code), or means nothing elsewhere (locks).
//!
//! The copy is taken before the components are read, so that no run in it names one that is missing.
mod restore;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use domain::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::archive::pack::Hashing;
use crate::archive::{ArchiveError, Packing};
use crate::database::DATABASE_FILE;
use crate::{Error, spool};

pub use restore::{Restored, restore};

/// What the manifest calls the format.
const FORMAT: &str = "stagewright-backup";
/// The version of the format that is written, and the highest that is read.
const FORMAT_VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// Folders that are copied with everything below them.
const FOLDERS: [&str; 3] = ["pinned", "plugins", "profiles"];
/// The encrypted keys of providers.
const VAULT: &str = "secrets.vault";
/// Deepest folder below one that is copied: a person who nests deeper has put something else there.
const DEPTH_MAX: u32 = 16;

/// Whether the encrypted keys of providers go into a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They do not.
    LeftOut,
    /// The encrypted file does. What opens it does not.
    Encrypted,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: String,
    version: u32,
    created_at: i64,
    files: Vec<FileLine>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct FileLine {
    name: String,
    size_bytes: u64,
    sha256: String,
}

/// Writes the backup of a data folder. The connection may be one that only reads.
pub(crate) fn write(
    db: &Connection,
    data_dir: &Path,
    secrets: Secrets,
    at: Timestamp,
) -> Result<File, ArchiveError> {
    let copy = spool::named(data_dir)?;
    copy_database(db, copy.path())?;
    let mut writing =
        Writing { packing: Packing::into_file(spool::nameless(data_dir)?), files: Vec::new() };
    writing.add(DATABASE_FILE, copy.path())?;
    for folder in FOLDERS {
        for (name, path) in files_below(folder, &data_dir.join(folder), DEPTH_MAX)? {
            writing.add(&name, &path)?;
        }
    }
    let vault = data_dir.join(VAULT);
    if secrets == Secrets::Encrypted && is_plain_file(&vault) {
        writing.add(VAULT, &vault)?;
    }
    let Writing { mut packing, files } = writing;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: FORMAT_VERSION,
        created_at: at.as_unix_ms(),
        files,
    };
    let manifest =
        serde_json::to_vec(&manifest).map_err(|error| Error::database(error.to_string()))?;
    packing.add_bytes(MANIFEST, &manifest)?;
    packing.finish()
}

/// A whole and compact copy. Others read and write meanwhile; it is as of the moment at which it begins.
fn copy_database(db: &Connection, into: &Path) -> Result<(), Error> {
    let Some(into) = into.to_str() else {
        return Err(Error::database("the path of the data folder is no text"));
    };
    db.execute("VACUUM INTO ?1", [into])?;
    Ok(())
}

struct Writing {
    packing: Packing,
    files: Vec<FileLine>,
}

impl Writing {
    fn add(&mut self, name: &str, path: &Path) -> Result<(), ArchiveError> {
        let failed = |error| Error::io(path, error);
        let mut file = File::open(path).map_err(failed)?;
        let size_bytes = file.metadata().map_err(failed)?.len();
        file.rewind().map_err(failed)?;
        let mut content = Hashing::new(file.take(size_bytes));
        self.packing.add(name, size_bytes, &mut content)?;
        let sha256 = content.hex();
        self.files.push(FileLine { name: name.to_owned(), size_bytes, sha256 });
        Ok(())
    }
}

fn is_plain_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

/// The plain files of a folder and of those below it, with their names in the backup. Links are not followed.
fn files_below(name: &str, folder: &Path, depth_max: u32) -> Result<Vec<(String, PathBuf)>, Error> {
    let failed = |error| Error::io(folder, error);
    if !folder.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let Some(file_name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        let name = format!("{name}/{file_name}");
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth_max > 0 {
            found.extend(files_below(&name, &path, depth_max - 1)?);
        } else if kind.is_file() {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}
