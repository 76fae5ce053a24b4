//! The log: the table `events`.
use domain::run::{Event, Recorded};
use domain::{RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{Error, record};

const INSERT: &str =
    "INSERT INTO events (run_id, version, at, kind, payload) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(crate) const AFTER: &str = "SELECT seq, version, at, payload FROM events
    WHERE run_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3";

const FIRST: &str = "SELECT payload FROM events WHERE run_id = ?1 AND version = 1";

/// An event with its stored form, which is made before the writer is asked.
pub(crate) struct Encoded {
    pub(crate) event: Event,
    pub(crate) payload: String,
}

impl Encoded {
    pub(crate) fn all(events: Vec<Event>) -> Result<Vec<Self>, Error> {
        let encoded = |event: Event| {
            let payload = record::encode_event(&event)?;
            Ok(Self { event, payload })
        };
        events.into_iter().map(encoded).collect()
    }
}

/// Adds an event to the log; gives its place.
pub(crate) fn insert(
    db: &Connection,
    run: &RunId,
    version: u64,
    at: Timestamp,
    encoded: &Encoded,
) -> Result<i64, Error> {
    let kind = encoded.event.kind();
    let payload = &encoded.payload;
    db.prepare_cached(INSERT)?.execute(params![
        run.as_str(),
        version,
        at.as_unix_ms(),
        kind,
        payload
    ])?;
    Ok(db.last_insert_rowid())
}

/// Events behind a version, oldest first.
pub(crate) fn after(
    db: &Connection,
    run: &RunId,
    version: u64,
    limit: usize,
) -> Result<Vec<Recorded>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // A version that the database cannot count to has nothing behind it.
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(AFTER)?;
    let mut rows = statement.query(params![run.as_str(), version, limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let payload = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        events.push(Recorded {
            seq: row.get(0)?,
            version: row.get(1)?,
            at: Timestamp::from_unix_ms(row.get(2)?),
            event: record::decode_event(payload)?,
        });
    }
    Ok(events)
}

/// The creation of a run.
pub(crate) fn first(db: &Connection, run: &RunId) -> Result<Option<Event>, Error> {
    let payload: Option<String> =
        db.prepare_cached(FIRST)?.query_row([run.as_str()], |row| row.get(0)).optional()?;
    payload.map(|payload| record::decode_event(&payload)).transpose()
}
