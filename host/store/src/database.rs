//! Connections: how the file is opened, migrated and set up.
//!
//! Write-ahead log, `synchronous = FULL`: a commit waits for one `fdatasync` of the log. Checkpoints, which wait for
//! more, are made by the writer when nobody waits for it.
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, MigrationDefinitionError, Migrations};

use crate::Error;
use crate::folder::private_file;

/// Name of the database in the data folder.
pub(crate) const DATABASE_FILE: &str = "stagewright.db";

/// Statements that a connection keeps prepared: more than this crate has, so that none is prepared twice.
const STATEMENT_COUNT_MAX: usize = 128;

/// How long a connection waits for another. The writer is alone and readers do not wait in WAL mode, so this passes only
/// while a person looks into the file with another program.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Page cache of the writer, in KiB: the upper pages of the indexes of some million events.
const WRITER_CACHE_KIB: i64 = 16 << 10;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i64 = 8 << 10;

/// Pages (4 KiB) in the write-ahead log after which a commit makes a checkpoint itself: 32 MiB, which a writer that is
/// never idle reaches in seconds. An idle writer makes one long before.
const CHECKPOINT_PAGE_COUNT: i64 = 8_000;

const STEPS: &[M<'static>] =
    &[M::up(include_str!("../migrations/0001_log_journal_and_projections.sql"))];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// Opens the database for writing, and makes or migrates it.
pub(crate) fn open_writer(data_dir: &Path) -> Result<Connection, Error> {
    let path = data_dir.join(DATABASE_FILE);
    // SQLite would make it readable by everybody, and gives its log the rights that the database has.
    private_file(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(&path)
        .map_err(|error| Error::io(&path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&path, flags)?;
    db.busy_timeout(BUSY_WAIT)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGE_COUNT)?;
    set_up(&db, WRITER_CACHE_KIB)?;
    migrate(&mut db)?;
    Ok(db)
}

/// Opens the database for reading. It exists, and is migrated.
pub(crate) fn open_reader(data_dir: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(data_dir.join(DATABASE_FILE), flags)?;
    db.busy_timeout(BUSY_WAIT)?;
    set_up(&db, READER_CACHE_KIB)?;
    Ok(db)
}

/// An empty database of the same layout, in memory.
pub(crate) fn open_scratch() -> Result<Connection, Error> {
    let mut db = Connection::open_in_memory()?;
    set_up(&db, READER_CACHE_KIB)?;
    migrate(&mut db)?;
    Ok(db)
}

fn set_up(db: &Connection, cache_kib: i64) -> Result<(), Error> {
    // A negative size means KiB rather than pages.
    db.pragma_update(None, "cache_size", -cache_kib)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(STATEMENT_COUNT_MAX);
    Ok(())
}

fn migrate(db: &mut Connection) -> Result<(), Error> {
    use rusqlite_migration::Error as Failure;
    MIGRATIONS.to_latest(db).map_err(|error| match error {
        Failure::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            Error::Newer { path: PathBuf::from(DATABASE_FILE) }
        }
        Failure::RusqliteError { err, .. } => err.into(),
        other => Error::database(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_sound() {
        MIGRATIONS.validate().unwrap();
    }
}
