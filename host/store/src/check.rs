//! Whether what is stored is sound.
//!
//! After an end without a close, a start looks at the database quickly ([`crate::Depth::Quick`]): at once if it is small,
//! else on a thread of its own while the host works. `doctor` can look at everything. Nothing is written and nothing is
//! repaired here.
mod deep;
mod thread;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use domain::{Digest, RunId};
use rusqlite::Connection;

use crate::Error;

pub(crate) use thread::Checking;

/// Most findings of one check: whoever reads that many restores a backup.
pub const FINDING_COUNT_MAX: usize = 100;

/// How thoroughly a data folder is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The structure of the database, and that each run is at the version of its log: as fast as the file can be read.
    Quick,
    /// Also every index, that each text has its digest, that the projections of each run are what its log says, that the
    /// sums of usage are those of the journal, and that no outcome of an HTTP request is missing: some milliseconds for
    /// each run.
    Deep,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub part: Part,
    pub detail: String,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The file as a whole.
    Database,
    Run(RunId),
    /// A text by the digest that it should have.
    Text(Digest),
    /// The sums of usage by day.
    Usage,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Database => write!(out, "database: {}", self.detail),
            Part::Run(run) => write!(out, "run `{run}`: {}", self.detail),
            Part::Text(digest) => write!(out, "text `{digest}`: {}", self.detail),
            Part::Usage => write!(out, "sums of usage: {}", self.detail),
        }
    }
}

/// What a check in the background found, for whoever wants to write.
#[derive(Debug, Default)]
pub(crate) struct Damage(OnceLock<Error>);

impl Damage {
    pub(crate) fn found(&self, error: Error) {
        // The first says why; it is not made better by a second.
        let _ = self.0.set(error);
    }

    pub(crate) fn get(&self) -> Option<&Error> {
        self.0.get()
    }
}

/// One line for each fault; `ok` is the only one of a sound database.
const QUICK_CHECK: &str = "PRAGMA quick_check(100)";
const FULL_CHECK: &str = "PRAGMA integrity_check(100)";
/// The log and the row are written together, so that they differ only where something was lost.
pub(crate) const VERSIONS: &str = "SELECT run_id, version, logged FROM (
        SELECT r.run_id, r.version,
            (SELECT MAX(e.version) FROM events e WHERE e.run_id = r.run_id) AS logged
        FROM runs r)
    WHERE logged IS NOT version LIMIT 100";

/// Looks at everything that the depth says. Ends early, with what it has, when it is called off.
pub(crate) fn look(
    db: &Connection,
    depth: Depth,
    is_called_off: &AtomicBool,
) -> Result<Vec<Finding>, Error> {
    match depth {
        Depth::Quick => quick(db),
        Depth::Deep => deep::look(db, is_called_off),
    }
}

/// The structure of the database, and that each run is at the version of its log.
pub(crate) fn quick(db: &Connection) -> Result<Vec<Finding>, Error> {
    let findings = structure(db, QUICK_CHECK)?;
    // In a broken file the rest says nothing more.
    if findings.is_empty() { versions(db) } else { Ok(findings) }
}

fn structure(db: &Connection, sql: &str) -> Result<Vec<Finding>, Error> {
    let about = |detail| Finding { part: Part::Database, detail };
    match lines(db, sql) {
        Ok(lines) => Ok(lines.into_iter().filter(|line| line != "ok").map(about).collect()),
        Err(Error::Damaged { detail, .. }) => Ok(vec![about(detail)]),
        Err(error) => Err(error),
    }
}

fn lines(db: &Connection, sql: &str) -> Result<Vec<String>, Error> {
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn versions(db: &Connection) -> Result<Vec<Finding>, Error> {
    let mut statement = db.prepare(VERSIONS)?;
    let rows = statement.query_map([], |row| {
        let run = crate::column::parsed(row, "run_id")?;
        let (version, logged): (i64, Option<i64>) = (row.get("version")?, row.get("logged")?);
        let logged = logged.unwrap_or(0);
        let detail = format!("its row is of version {version}, and its log of version {logged}");
        Ok(Finding { part: Part::Run(run), detail })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The findings as an error; there is at least one.
pub(crate) fn damage_of(findings: &[Finding]) -> Error {
    let first = findings.first().map_or_else(String::new, ToString::to_string);
    Error::damaged(match findings.len() {
        0 | 1 => first,
        count => format!("{first}, and {} more", count - 1),
    })
}
