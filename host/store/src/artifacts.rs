//! Artifacts and other texts: the tables `artifacts` and `bodies`.
//!
//! A text is kept once, under the digest of its bytes. Versions of an artifact are kept, never overwritten: a retry only
//! takes the mark away that says which one holds.
use domain::{ArtifactName, ArtifactRef, Digest, RunId, StageIdx, StageKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::Error;
use crate::column::{parsed, time};
use crate::project::Entry;

/// One version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRow {
    pub stage: StageKey,
    /// The attempt that made it, or whose result was edited.
    pub attempt: u32,
    /// 1 for the first version of this name in this stage.
    pub version: u32,
    pub name: ArtifactName,
    pub media_type: String,
    pub digest: Digest,
    pub size_bytes: u64,
    pub at: Timestamp,
    /// Whether it belongs to the result that holds.
    pub current: bool,
    /// The reviewer who put it in place of the stage's own.
    pub edited_by: Option<String>,
}

const INSERT_BODY: &str = "INSERT OR IGNORE INTO bodies (digest, text, run_id) VALUES (?1, ?2, ?3)";
/// A text that is there already has one run more.
const SHARE_BODY: &str = "INSERT OR IGNORE INTO body_owners (digest, run_id)
    SELECT digest, ?2 FROM bodies WHERE digest = ?1 AND run_id IS NOT ?2";
const BODY: &str = "SELECT text FROM bodies WHERE digest = ?1";

const INSERT: &str = "INSERT INTO artifacts
    (run_id, position, name, version, attempt, media_type, digest, size_bytes, at, current)
    SELECT ?1, ?2, ?3, COALESCE(MAX(version), 0) + 1, ?4, ?5, ?6, ?7, ?8, 1 FROM artifacts
    WHERE run_id = ?1 AND position = ?2 AND name = ?3";
const RETRIED: &str =
    "UPDATE artifacts SET current = 0 WHERE run_id = ?1 AND position >= ?2 AND current = 1";
const EDITED: &str = "INSERT INTO artifacts
    (run_id, position, name, version, attempt, media_type, digest, size_bytes, at, current, edited_by)
    SELECT ?1, ?2, ?3, MAX(version) + 1, MAX(attempt), ?4, ?5, ?6, ?7, 1, ?8 FROM artifacts
    WHERE run_id = ?1 AND position = ?2 AND name = ?3";
const REPLACED: &str = "UPDATE artifacts SET current = 0
    WHERE run_id = ?1 AND position = ?2 AND name = ?3 AND current = 1";
const LIST: &str = "SELECT a.*, s.stage_key FROM artifacts a
    JOIN stages s ON s.run_id = a.run_id AND s.position = a.position
    WHERE a.run_id = ?1 ORDER BY a.position, a.name, a.version";
/// The newest version, or the one that is named.
const ONE: &str = "SELECT a.*, s.stage_key FROM stages s
    JOIN artifacts a ON a.run_id = s.run_id AND a.position = s.position
    WHERE s.run_id = ?1 AND s.stage_key = ?2 AND a.name = ?3 AND (?4 IS NULL OR a.version = ?4)
    ORDER BY a.version DESC LIMIT 1";

/// Keeps a text of a run.
pub(crate) fn insert_body(
    db: &Connection,
    run: &RunId,
    digest: &Digest,
    text: &str,
) -> Result<(), Error> {
    let inserted =
        db.prepare_cached(INSERT_BODY)?.execute(params![digest.as_str(), text, run.as_str()])?;
    if inserted == 0 {
        db.prepare_cached(SHARE_BODY)?.execute(params![digest.as_str(), run.as_str()])?;
    }
    Ok(())
}

/// The text with this digest.
///
/// # Errors
/// [`Error::Damaged`] if there is none: whoever knows a digest has it from an event, beside which the text was kept.
pub(crate) fn body(db: &Connection, digest: &Digest) -> Result<String, Error> {
    let mut statement = db.prepare_cached(BODY)?;
    let text = statement.query_row([digest.as_str()], |row| row.get(0)).optional()?;
    text.ok_or_else(|| Error::damaged(format!("no text with the digest `{digest}`")))
}

pub(crate) fn made(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    attempt: u32,
    artifacts: &[ArtifactRef],
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(INSERT)?;
    for artifact in artifacts {
        statement.execute(params![
            entry.run_id(),
            stage.0,
            artifact.name.as_str(),
            attempt,
            artifact.media_type,
            artifact.digest.as_str(),
            artifact.size_bytes,
            entry.at_ms(),
        ])?;
    }
    Ok(())
}

/// Puts artifacts in place of those of the same names.
pub(crate) fn edited(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    actor: &str,
    artifacts: &[ArtifactRef],
) -> Result<(), Error> {
    let mut replaced = db.prepare_cached(REPLACED)?;
    let mut edited = db.prepare_cached(EDITED)?;
    for artifact in artifacts {
        replaced.execute(params![entry.run_id(), stage.0, artifact.name.as_str()])?;
        edited.execute(params![
            entry.run_id(),
            stage.0,
            artifact.name.as_str(),
            artifact.media_type,
            artifact.digest.as_str(),
            artifact.size_bytes,
            entry.at_ms(),
            actor,
        ])?;
    }
    Ok(())
}

pub(crate) fn retried(db: &Connection, entry: Entry<'_>, from: StageIdx) -> Result<(), Error> {
    db.prepare_cached(RETRIED)?.execute(params![entry.run_id(), from.0])?;
    Ok(())
}

/// Every version of every artifact, in the order of the plan.
pub(crate) fn list(db: &Connection, run: &RunId) -> Result<Vec<ArtifactRow>, Error> {
    let mut statement = db.prepare_cached(LIST)?;
    let rows = statement.query_map([run.as_str()], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn one(
    db: &Connection,
    run: &RunId,
    stage: &StageKey,
    name: &ArtifactName,
    version: Option<u32>,
) -> Result<Option<(ArtifactRow, String)>, Error> {
    let mut statement = db.prepare_cached(ONE)?;
    let key = params![run.as_str(), stage.as_str(), name.as_str(), version];
    let Some(row) = statement.query_row(key, read).optional()? else { return Ok(None) };
    let text = body(db, &row.digest)?;
    Ok(Some((row, text)))
}

fn read(row: &Row<'_>) -> rusqlite::Result<ArtifactRow> {
    Ok(ArtifactRow {
        stage: parsed(row, "stage_key")?,
        attempt: row.get("attempt")?,
        version: row.get("version")?,
        name: parsed(row, "name")?,
        media_type: row.get("media_type")?,
        digest: parsed(row, "digest")?,
        size_bytes: row.get("size_bytes")?,
        at: time(row, "at")?,
        current: row.get("current")?,
        edited_by: row.get("edited_by")?,
    })
}
