//! Keys under which runs were started: the table `start_keys`.
use domain::{Digest, RunId};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Error;
use crate::column::parsed;

/// What a start key has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedWith {
    pub run: RunId,
    /// Digest of the request that came with the key.
    pub request_digest: Digest,
}

const INSERT: &str =
    "INSERT OR IGNORE INTO start_keys (start_key, run_id, request_digest) VALUES (?1, ?2, ?3)";
const FIND: &str = "SELECT run_id, request_digest FROM start_keys WHERE start_key = ?1";

/// # Errors
/// [`Error::StartKeyTaken`] if the key started a run before.
pub(crate) fn insert(
    db: &Connection,
    key: &str,
    run: &RunId,
    request_digest: &Digest,
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(INSERT)?;
    if statement.execute(params![key, run.as_str(), request_digest.as_str()])? == 1 {
        return Ok(());
    }
    match find(db, key)? {
        Some(StartedWith { run, request_digest }) => {
            Err(Error::StartKeyTaken { run, request_digest })
        }
        None => Err(Error::database("a start key was neither written nor found")),
    }
}

pub(crate) fn find(db: &Connection, key: &str) -> Result<Option<StartedWith>, Error> {
    let mut statement = db.prepare_cached(FIND)?;
    let found = statement.query_row([key], |row| {
        Ok(StartedWith {
            run: parsed(row, "run_id")?,
            request_digest: parsed(row, "request_digest")?,
        })
    });
    Ok(found.optional()?)
}
