//! Data folders of earlier versions are brought up to date when they are opened.
//!
//! All steps are one transaction: one that fails leaves the database as it was. Before the first, a copy is kept beside
//! the database, as `stagewright.db.schema-1.bak` for schema 1: whoever wants to go back to the version of the program
//! that wrote it puts that in place of the database. It is for this user only, replaces an earlier one of the same
//! schema, and is left to the user to delete. Where the disk has no room for it, the log says so, and the upgrade goes on.
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite_migration::{MigrationDefinitionError, Migrations};

use crate::Error;
use crate::database::DATABASE_FILE;
use crate::folder::private_file;

/// Brings the database of a data folder up to date.
///
/// # Errors
/// [`Error::Newer`], or what the disk says. Nothing was changed then.
pub(crate) fn to_latest(
    db: &mut Connection,
    data_dir: &Path,
    migrations: &Migrations<'_>,
) -> Result<(), Error> {
    let schema: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_behind = migrations.pending_migrations(db).is_ok_and(|count| count > 0);
    // 0 is a database in which nothing has been stored.
    if schema > 0 && is_behind {
        keep_copy(db, data_dir, schema)?;
    }
    migrate(db, migrations)?;
    if schema > 0 && is_behind {
        let path = data_dir.join(DATABASE_FILE);
        let path = path.display();
        tracing::info!(schema, "the database `{path}` was brought up to date from schema {schema}");
    }
    Ok(())
}

/// The steps alone.
pub(crate) fn migrate(db: &mut Connection, migrations: &Migrations<'_>) -> Result<(), Error> {
    use rusqlite_migration::Error as Failure;
    let schema = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    migrations.to_latest(db).map_err(|error| match error {
        Failure::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            Error::Newer { path: PathBuf::from(DATABASE_FILE), schema }
        }
        Failure::RusqliteError { err, .. } => err.into(),
        other => Error::database(other.to_string()),
    })
}

/// Where the copy of a database of this schema is kept.
fn copy_path(data_dir: &Path, schema: u32) -> PathBuf {
    data_dir.join(format!("{DATABASE_FILE}.schema-{schema}.bak"))
}

fn keep_copy(db: &Connection, data_dir: &Path, schema: u32) -> Result<(), Error> {
    let path = copy_path(data_dir, schema);
    let temporary = data_dir.join(format!(".{DATABASE_FILE}.schema-{schema}.tmp"));
    let copied = write_copy(db, &temporary)
        .and_then(|()| fs::rename(&temporary, &path).map_err(|error| Error::io(&path, error)));
    match copied {
        Ok(()) => {
            let path = path.display();
            tracing::info!(schema, "a copy of the database as it was is kept: `{path}`");
            Ok(())
        }
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            if !matches!(error, Error::Full { .. }) {
                return Err(error);
            }
            tracing::warn!(schema, %error, "no copy of the database as it was is kept: the disk has no room for it");
            Ok(())
        }
    }
}

/// A file of its own that is whole, and on the disk.
fn write_copy(db: &Connection, path: &Path) -> Result<(), Error> {
    let located = |error| Error::io(path, error);
    // SQLite takes an empty file, and would make one that everybody can read.
    private_file(OpenOptions::new().write(true).create(true).truncate(true))
        .open(path)
        .map_err(located)?;
    let name = path.to_str().ok_or_else(|| {
        let cause = "the path is no Unicode, which SQLite needs to write a copy there";
        located(std::io::Error::new(std::io::ErrorKind::InvalidFilename, cause))
    })?;
    db.execute("VACUUM INTO ?1", [name])?;
    File::open(path).and_then(|file| file.sync_all()).map_err(located)
}
