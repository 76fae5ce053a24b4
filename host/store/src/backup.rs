//! A copy of a data folder as one file, made while it is in use, and put back into an empty folder.
//!
//! The file is a gzip-compressed tar (ustar): `stagewright.db`, a copy of the database as of one moment; the files below
//! `pinned/`, `plugins/` and `profiles/`; if it is wished for, `secrets.vault`, which is encrypted, and never its key; and
//! at the end `manifest.json` with the digest of each. What a data folder has beside that is made again (files of runs,
//! compiled code), or means nothing elsewhere (locks).
//!
//! The copy is taken before the components are read: no run in it names one that came later. That none goes between the
//! two is for the caller to see to, who may remove the copies of components that no run needs any more.
mod restore;

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

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

/// How often it is looked whether a copy of the database is still wanted.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Whether nobody wants the backup any more: it takes minutes for a large database, and a program that ends has seconds.
pub(crate) type CalledOff<'a> = &'a (dyn Fn() -> bool + Sync);

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

/// Writes the backup of a data folder. The connection may be one that only reads. Fails soon after it is called off.
pub(crate) fn write(
    db: &Connection,
    data_dir: &Path,
    secrets: Secrets,
    at: Timestamp,
    is_called_off: CalledOff<'_>,
) -> Result<File, ArchiveError> {
    let copy = spool::named(data_dir)?;
    copy_database(db, copy.path(), is_called_off)?;
    let packing = Packing::into_file(spool::nameless(data_dir)?);
    let mut writing = Writing { packing, files: Vec::new(), is_called_off };
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
    let Writing { mut packing, files, .. } = writing;
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
fn copy_database(db: &Connection, into: &Path, is_called_off: CalledOff<'_>) -> Result<(), Error> {
    let Some(into) = into.to_str() else {
        return Err(Error::database("the path of the data folder is no text"));
    };
    let (interrupt, is_done) = (db.get_interrupt_handle(), AtomicBool::new(false));
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                if is_called_off() {
                    interrupt.interrupt();
                }
                thread::park_timeout(LOOK_PAUSE);
            }
        });
        let copied = db.execute("VACUUM INTO ?1", [into]);
        is_done.store(true, Ordering::Relaxed);
        watching.thread().unpark();
        copied.map(drop).map_err(Error::from)
    })
}

/// What is read for a backup that somebody may call off.
struct Watched<'a, R> {
    inner: R,
    is_called_off: CalledOff<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.is_called_off)() {
            return Err(io::Error::other("the backup was called off"));
        }
        self.inner.read(buffer)
    }
}

struct Writing<'a> {
    packing: Packing,
    files: Vec<FileLine>,
    is_called_off: CalledOff<'a>,
}

impl Writing<'_> {
    fn add(&mut self, name: &str, path: &Path) -> Result<(), ArchiveError> {
        let failed = |error| Error::io(path, error);
        let mut file = match File::open(path) {
            Ok(file) => file,
            // It was there for a moment: what a component, or a text in an editor, is written to before it has its name. Or
            // somebody removed it, such as an upload: the runs that are bound to it have copies of their own.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error).into()),
        };
        let size_bytes = file.metadata().map_err(failed)?.len();
        file.rewind().map_err(failed)?;
        let watched = Watched { inner: file.take(size_bytes), is_called_off: self.is_called_off };
        let mut content = Hashing::new(watched);
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
            left_out(&path, "its name is no Unicode");
            continue;
        };
        let name = format!("{name}/{file_name}");
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth_max > 0 {
            found.extend(files_below(&name, &path, depth_max - 1)?);
        } else if kind.is_file() {
            found.push((name, path));
        } else {
            left_out(&path, "it is neither a file nor a folder that is not too deep");
        }
    }
    found.sort();
    Ok(found)
}

fn left_out(path: &Path, cause: &str) {
    let path = path.display();
    tracing::warn!("`{path}` is left out of the backup: {cause}");
}
