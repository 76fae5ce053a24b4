//! The data folder: private to its user, and owned by one process at a time.
//!
//! The lock is the operating system's, on the file `lock`: it is gone when its process is, however that ended. Who has
//! it stands in `owner.json` beside it, which means nothing while the lock is free.
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

const LOCK_FILE: &str = "lock";
const OWNER_FILE: &str = "owner.json";

/// How often a taken lock is tried. Whoever asks [`owner_of`] holds it for an instant and must not keep a start away.
const LOCK_TRY_COUNT: u32 = 4;
/// Pause between two tries: far longer than a question for the owner takes.
const LOCK_TRY_PAUSE: Duration = Duration::from_millis(15);

/// The process that works in a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its process id; 0 if it did not get round to saying.
    pub pid: u32,
    /// Where it listens, if it serves.
    pub url: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct OwnerRecord {
    pid: u32,
    url: Option<String>,
}

/// Holds the folder until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    data_dir: PathBuf,
    _file: File,
}

impl FolderLock {
    /// Takes the folder for this process.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(LOCK_FILE);
        let file = private_file(OpenOptions::new().read(true).write(true).create(true))
            .open(&path)
            .map_err(|error| Error::io(&path, error))?;
        for tried in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tried < LOCK_TRY_COUNT => {
                    thread::sleep(LOCK_TRY_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let owner = read_owner(data_dir);
                    return Err(Error::Locked { data_dir: data_dir.to_owned(), owner });
                }
                Err(TryLockError::Error(error)) => return Err(Error::io(&path, error)),
            }
        }
        let lock = Self { data_dir: data_dir.to_owned(), _file: file };
        lock.announce(&Owner { pid: std::process::id(), url: None })?;
        Ok(lock)
    }

    /// Says who has the folder.
    pub(crate) fn announce(&self, owner: &Owner) -> Result<(), Error> {
        let record = OwnerRecord { pid: owner.pid, url: owner.url.clone() };
        let text =
            serde_json::to_vec(&record).map_err(|error| Error::database(error.to_string()))?;
        replace_file(&self.data_dir.join(OWNER_FILE), &text)
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Before the lock is released, or it could be the next owner's file. If it stays, nobody believes it.
        let _ = fs::remove_file(self.data_dir.join(OWNER_FILE));
    }
}

/// Who has the folder now.
pub(crate) fn owner_of(data_dir: &Path) -> Result<Option<Owner>, Error> {
    let path = data_dir.join(LOCK_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(&path, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            Ok(Some(read_owner(data_dir).unwrap_or(Owner { pid: 0, url: None })))
        }
        Err(TryLockError::Error(error)) => Err(Error::io(&path, error)),
    }
}

fn read_owner(data_dir: &Path) -> Option<Owner> {
    let text = fs::read(data_dir.join(OWNER_FILE)).ok()?;
    let record: OwnerRecord = serde_json::from_slice(&text).ok()?;
    Some(Owner { pid: record.pid, url: record.url })
}

/// Makes the folder and those above it, for this user only.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::io(path, error))
}

/// Lets a file that is created be read and written by this user only.
pub(crate) fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Puts a file in place as a whole: readers see the old content or the new.
///
/// The file is not synced. What a power cut takes or leaves empty or short is made again: the start finds files of runs
/// that are missing, empty or of another size, and the owner's file is written anew by each owner.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> Result<(), Error> {
    // No artifact's name starts with a dot.
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    write_fresh(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| Error::io(path, error))
}

fn write_fresh(path: &Path, content: &[u8]) -> io::Result<()> {
    let create = || private_file(OpenOptions::new().write(true).create_new(true)).open(path);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A rest of an earlier crash, or a link that somebody put there: removed rather than followed.
            fs::remove_file(path)?;
            create()?
        }
        created => created?,
    };
    file.write_all(content)
}
