//! Why something was not stored or not read.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{Digest, RunId};

use crate::Owner;
use crate::database::{DATABASE_FILE, SCHEMA_KNOWN};

/// Why something was not stored or not read. Nothing was half done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another process, or another handle of this one, works in the folder.
    #[error("the data folder `{}` is in use{}", data_dir.display(), by(owner.as_ref()))]
    Locked { data_dir: PathBuf, owner: Option<Owner> },
    /// The folder or the disk cannot be written.
    #[error("cannot write: `{}`", path.display())]
    ReadOnly { path: PathBuf },
    /// No room.
    #[error("the disk is full: cannot write `{}`", path.display())]
    Full { path: PathBuf },
    /// Somebody else's events came first.
    #[error("run `{run}` is at version {actual}, not at {expected}")]
    Conflict { run: RunId, expected: u64, actual: u64 },
    /// The key already started a run.
    #[error("the start key already started run `{run}`")]
    StartKeyTaken { run: RunId, request_digest: Digest },
    /// The text is not a cursor of this list.
    #[error("the cursor is not one of this list")]
    BadCursor,
    /// What is there cannot be understood.
    #[error("damaged: `{}`: {detail}", path.display())]
    Damaged { path: PathBuf, detail: String },
    /// A later version of the program has changed the layout.
    #[error(
        "the database was written by a later version of the program: `{}` has schema {schema}, and this version knows schemas up to {SCHEMA_KNOWN}",
        path.display()
    )]
    Newer { path: PathBuf, schema: u32 },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The operating system refused.
    #[error("`{}`: {source}", path.display())]
    Io { path: PathBuf, source: Arc<io::Error> },
    /// The database refused; a fault of this program.
    #[error("database: `{}`: {detail}", path.display())]
    Database { path: PathBuf, detail: String },
}

fn by(owner: Option<&Owner>) -> String {
    match owner {
        Some(Owner { pid, url: Some(url) }) => format!(" by process {pid}, which listens on {url}"),
        Some(Owner { pid, url: None }) => format!(" by process {pid}"),
        None => String::new(),
    }
}

impl Error {
    /// What to do about it, as one imperative sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::Locked { .. } => {
                "let the commands talk to that process, stop it, or name another folder with `--data-dir`"
            }
            Error::ReadOnly { .. } => {
                "give this user the right to write there, or name another folder with `--data-dir`"
            }
            Error::Full { .. } => "make room on the disk, then try again; nothing was lost",
            Error::Conflict { .. } => "read the run again, then decide anew",
            Error::StartKeyTaken { .. } => "use the run that the key has started, or a fresh key",
            Error::BadCursor => "use the `next_cursor` of an earlier answer of the same list",
            Error::Damaged { .. } => {
                "restore a backup with `stagewright restore`, or name another folder with `--data-dir`"
            }
            Error::Newer { .. } => {
                "use the version that wrote it, or a later one; nothing was changed"
            }
            Error::Closed => "start the program again",
            Error::Io { .. } => "look at the path and the disk, then try again",
            Error::Database { .. } => "report it, with the log",
        }
    }

    /// Tells apart what the operating system says.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Error::ReadOnly { path }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { path },
            _ => Error::Io { path, source: Arc::new(source) },
        }
    }

    /// A stored text that is not what it should be.
    pub(crate) fn damaged(detail: impl Into<String>) -> Self {
        Error::Damaged { path: PathBuf::from(DATABASE_FILE), detail: detail.into() }
    }

    /// Something that only a fault of this program leads to.
    pub(crate) fn database(detail: impl Into<String>) -> Self {
        Error::Database { path: PathBuf::from(DATABASE_FILE), detail: detail.into() }
    }

    /// Says in which folder the database lies; the code next to SQLite does not know.
    pub(crate) fn in_folder(mut self, data_dir: &Path) -> Self {
        match &mut self {
            Error::ReadOnly { path }
            | Error::Full { path }
            | Error::Damaged { path, .. }
            | Error::Newer { path, .. }
            | Error::Io { path, .. }
            | Error::Database { path, .. }
                if path.is_relative() =>
            {
                *path = data_dir.join(&*path);
            }
            _ => {}
        }
        self
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = PathBuf::from(DATABASE_FILE);
        let detail = error.to_string();
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            // A value that no column can hold: to try again would not help.
            | rusqlite::Error::ToSqlConversionFailure(..) => Error::Damaged { path, detail },
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => Error::Full { path },
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Error::ReadOnly { path },
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                    Error::Damaged { path, detail }
                }
                ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => {
                    Error::Io { path, source: Arc::new(io::Error::other(detail)) }
                }
                _ => Error::Database { path, detail },
            },
            _ => Error::Database { path, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_that_a_person_can_remove_are_told_apart() {
        let path = Path::new("/data/lock");
        let said = |kind: io::ErrorKind| Error::io(path, io::Error::from(kind)).to_string();
        assert_eq!(said(io::ErrorKind::PermissionDenied), "cannot write: `/data/lock`");
        assert_eq!(said(io::ErrorKind::ReadOnlyFilesystem), "cannot write: `/data/lock`");
        assert_eq!(said(io::ErrorKind::StorageFull), "the disk is full: cannot write `/data/lock`");
        assert_eq!(
            said(io::ErrorKind::NotADirectory),
            "`/data/lock`: not a directory",
            "the rest keeps the words of the operating system"
        );
    }
}
