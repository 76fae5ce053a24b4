//! Files that are needed for a moment: archives on their way in or out, and copies of the database.
//!
//! They lie in the folder `spool` of the data folder, for its user alone. What a process leaves behind that dies is
//! removed by the next start.
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::Error;
use crate::folder::create_private_dir;

const SPOOL: &str = "spool";

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join(SPOOL)
}

/// Removes what an earlier process left behind.
pub(crate) fn clear(data_dir: &Path) -> Result<(), Error> {
    let folder = folder(data_dir);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(&folder, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A file without a name: it is gone with its last handle.
pub(crate) fn nameless(data_dir: &Path) -> Result<File, Error> {
    let folder = folder(data_dir);
    create_private_dir(&folder)?;
    tempfile::tempfile_in(&folder).map_err(|error| Error::io(&folder, error))
}

/// A file with a name, which is gone when the handle is.
pub(crate) fn named(data_dir: &Path) -> Result<NamedTempFile, Error> {
    let folder = folder(data_dir);
    create_private_dir(&folder)?;
    NamedTempFile::new_in(&folder).map_err(|error| Error::io(&folder, error))
}
