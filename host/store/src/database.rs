//! Connections: how the file is opened, migrated and set up.
//!
//! Write-ahead log, `synchronous = FULL`: a commit waits for one `fdatasync` of the log. Checkpoints, which wait for
//! more, are made by the writer when nobody waits for it.
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ffi};
use rusqlite_migration::{M, Migrations};

use crate::folder::private_file;
use crate::{Error, upgrade};

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

/// What SQLite says where memory cannot be shared through a file.
const SHARED_MEMORY_FAILURES: [i32; 3] =
    [ffi::SQLITE_IOERR_SHMOPEN, ffi::SQLITE_IOERR_SHMLOCK, ffi::SQLITE_IOERR_SHMMAP];

/// Never changed, only added to: data folders of every released version are brought up to date with them.
const STEPS: &[M<'static>] = &[
    M::up(include_str!("../migrations/0001_log_journal_and_projections.sql")),
    M::up(include_str!("../migrations/0002_gate_policies_and_retries.sql")),
    M::up(include_str!("../migrations/0003_housekeeping.sql")),
    M::up(include_str!("../migrations/0004_http_requests.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// The schema that the steps lead to. A database that says a higher one was written by a later version.
pub(crate) const SCHEMA_KNOWN: u32 = STEPS.len() as u32;

/// What becomes of the bytes of what is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    /// They stay in the file until something else is written there.
    Forgotten,
    /// They are overwritten with zeros, in the database. The write-ahead log has them until it is begun anew.
    Overwritten,
}

/// Opens the database for writing, and makes or migrates it.
pub(crate) fn open_writer(data_dir: &Path, deleted: Deleted) -> Result<Connection, Error> {
    let path = data_dir.join(DATABASE_FILE);
    // SQLite would make it readable by everybody, and gives its log the rights that the database has.
    private_file(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(&path)
        .map_err(|error| Error::io(&path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&path, flags)?;
    db.busy_timeout(BUSY_WAIT)?;
    use_write_ahead_log(&db, &path)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Where `fsync` leaves what is written in the disk's own cache, as on macOS, this waits for the disk itself.
    db.pragma_update(None, "fullfsync", "ON")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGE_COUNT)?;
    set_up(&db, WRITER_CACHE_KIB)?;
    // Said either way, because the library may have been built with another default.
    let secure_delete = deleted == Deleted::Overwritten;
    db.pragma_update_and_check(None, "secure_delete", secure_delete, |_| Ok(()))?;
    upgrade::to_latest(&mut db, data_dir, &MIGRATIONS)?;
    Ok(db)
}

/// SQLite goes on with another journal, without an error, where it cannot have a write-ahead log.
fn use_write_ahead_log(db: &Connection, path: &Path) -> Result<(), Error> {
    let set =
        db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
    match set {
        Ok(mode) if mode.eq_ignore_ascii_case("wal") => Ok(()),
        Ok(_) => Err(no_shared_memory(path)),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if SHARED_MEMORY_FAILURES.contains(&failure.extended_code) =>
        {
            Err(no_shared_memory(path))
        }
        Err(error) => Err(error.into()),
    }
}

fn no_shared_memory(path: &Path) -> Error {
    let cause = "the file system has no shared memory, which the write-ahead log of the database needs; \
        put the data folder on a local disk, or name another one with `--data-dir`";
    Error::io(path, io::Error::new(io::ErrorKind::Unsupported, cause))
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
    upgrade::migrate(&mut db, &MIGRATIONS)?;
    Ok(db)
}

/// Lets a database grow no further than this; what would is [`Error::Full`].
pub(crate) fn bound_size(db: &Connection, bytes_max: u64) -> Result<(), Error> {
    let page_bytes: u64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let page_count = bytes_max / page_bytes;
    Ok(db.pragma_update_and_check(None, "max_page_count", page_count as i64, |_| Ok(()))?)
}

fn set_up(db: &Connection, cache_kib: i64) -> Result<(), Error> {
    // A negative size means KiB rather than pages.
    db.pragma_update(None, "cache_size", -cache_kib)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(STATEMENT_COUNT_MAX);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_sound() {
        MIGRATIONS.validate().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_shared_memory_is_named_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE_FILE);
        // Locks by files, as for file systems that can do no better; it shares no memory.
        let db = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), "unix-dotfile");
        let error = use_write_ahead_log(&db.unwrap(), &path).unwrap_err();
        assert!(matches!(&error, Error::Io { path: told, .. } if *told == path), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("no shared memory") && said.contains("local disk"), "{said}");
    }

    #[test]
    fn the_writer_waits_for_the_disk_itself() {
        let folder = tempfile::tempdir().unwrap();
        let db = open_writer(folder.path(), Deleted::Forgotten).unwrap();
        let says = |pragma| db.pragma_query_value(None, pragma, |row| row.get(0));
        assert_eq!((says("fullfsync"), says("synchronous")), (Ok(1), Ok(2)));
    }
}
