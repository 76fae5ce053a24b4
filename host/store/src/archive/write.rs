//! Makes the archive of a run.
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use domain::http::masked_url;
use domain::port::PluginCatalog;
use domain::run::{Event, Run, Status};
use domain::{Digest, RunId, Timestamp};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::record::{
    AttemptColumns, BeforeColumns, CallColumns, CallLine, EventLine, HttpColumns, HttpLine,
};
use super::{
    ATTEMPTS, ArchiveError, CALLS, EVENTS, FORMAT, FORMAT_VERSION, HTTP_REQUESTS, MANIFEST,
    Manifest, Packing, body_entry, plugin_entry,
};
use crate::{Error, artifacts, events, prune, record, runs, spool};

const ALL_ATTEMPTS: &str =
    "SELECT * FROM attempts WHERE run_id = ?1 ORDER BY started_at, stage_key, attempt";
const ALL_CALLS: &str = "SELECT c.*, q.request, a.answer FROM llm_calls c
    LEFT JOIN llm_requests q ON q.seq = c.seq
    LEFT JOIN llm_answers a ON a.seq = c.seq
    WHERE c.run_id = ?1 ORDER BY c.seq";
const ALL_HTTP_REQUESTS: &str = "SELECT h.*, q.request, a.answer FROM http_requests h
    LEFT JOIN http_request_texts q ON q.seq = h.seq
    LEFT JOIN http_answer_texts a ON a.seq = h.seq
    WHERE h.run_id = ?1 ORDER BY +h.seq";
const BEFORE: &str = "SELECT * FROM llm_calls_before
    WHERE run_id = ?1 AND call_seq = ?2 ORDER BY before_seq";

/// The version of the format in which a run without HTTP requests is written.
const VERSION_WITHOUT_HTTP: u32 = 1;

/// Writes the archive of a run, which is as of one moment; `None` if there is no such run. Components come from the
/// catalog.
///
/// # Errors
/// [`ArchiveError::RunActive`] if the run goes on by itself.
pub(crate) fn write(
    db: &Connection,
    data_dir: &Path,
    run: &RunId,
    catalog: &dyn PluginCatalog,
    at: Timestamp,
) -> Result<Option<File>, ArchiveError> {
    // One moment of the database, however many statements read it.
    let db = db.unchecked_transaction().map_err(Error::from)?;
    let Some(row) = runs::one(&db, run)? else { return Ok(None) };
    if matches!(row.status, Status::Queued | Status::Running) {
        return Err(ArchiveError::RunActive { run: run.clone(), status: row.status });
    }
    let log = events::after(&db, run, 0, usize::MAX)?;
    let named: Vec<Event> = log.iter().map(|recorded| recorded.event.clone()).collect();
    let bodies: BTreeSet<&Digest> = named.iter().flat_map(prune::bodies_of).collect();
    let plugins = plugins_of(run, row.status, &named);
    let mut lines = Lines::open(data_dir)?;
    for recorded in &log {
        lines.add(&EventLine {
            version: recorded.version,
            at: recorded.at.as_unix_ms(),
            event: record::encode_event(&recorded.event)?,
        })?;
    }
    let events = lines.done()?;
    let attempts = attempts(&db, data_dir, run)?;
    let calls = calls(&db, data_dir, run)?;
    let requests = http_requests(&db, data_dir, run)?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: if requests.1 == 0 { VERSION_WITHOUT_HTTP } else { FORMAT_VERSION },
        run_id: run.to_string(),
        status: row.status.as_str().to_owned(),
        exported_at: at.as_unix_ms(),
        event_count: events.1,
        attempt_count: attempts.1,
        call_count: calls.1,
        http_request_count: requests.1,
        body_count: bodies.len() as u64,
        plugins: plugins.iter().map(ToString::to_string).collect(),
    };
    let mut packing = Packing::into_file(spool::nameless(data_dir)?);
    packing.add_bytes(MANIFEST, &json(&manifest)?)?;
    packing.add_file(EVENTS, events.0)?;
    packing.add_file(ATTEMPTS, attempts.0)?;
    packing.add_file(CALLS, calls.0)?;
    if requests.1 > 0 {
        packing.add_file(HTTP_REQUESTS, requests.0)?;
    }
    for digest in bodies {
        packing.add_bytes(&body_entry(digest), artifacts::body(&db, digest)?.as_bytes())?;
    }
    for digest in &plugins {
        let name = plugin_entry(digest);
        let bytes = catalog.read(digest).map_err(|error| ArchiveError::bad(&name, error))?;
        packing.add_bytes(&name, &bytes)?;
    }
    packing.finish().map(Some)
}

/// The components that a run may still need: a failed or a canceled one can be retried.
fn plugins_of(run: &RunId, status: Status, log: &[Event]) -> BTreeSet<Digest> {
    match (status, Run::replay(run.clone(), log)) {
        (Status::Completed, _) | (_, None) => BTreeSet::new(),
        (_, Some(run)) => {
            run.plan().stages.iter().map(|stage| stage.plugin.digest.clone()).collect()
        }
    }
}

fn attempts(db: &Connection, data_dir: &Path, run: &RunId) -> Result<(File, u64), ArchiveError> {
    let mut lines = Lines::open(data_dir)?;
    let mut statement = db.prepare(ALL_ATTEMPTS).map_err(Error::from)?;
    let rows = statement.query_map([run.as_str()], AttemptColumns::read).map_err(Error::from)?;
    for attempt in rows {
        lines.add(&attempt.map_err(Error::from)?)?;
    }
    lines.done()
}

fn calls(db: &Connection, data_dir: &Path, run: &RunId) -> Result<(File, u64), ArchiveError> {
    let mut lines = Lines::open(data_dir)?;
    let mut before = db.prepare(BEFORE).map_err(Error::from)?;
    let mut statement = db.prepare(ALL_CALLS).map_err(Error::from)?;
    let mut rows = statement.query([run.as_str()]).map_err(Error::from)?;
    while let Some(row) = rows.next().map_err(Error::from)? {
        let seq: i64 = row.get("seq").map_err(Error::from)?;
        let used = before
            .query_map(params![run.as_str(), seq], BeforeColumns::read)
            .and_then(Iterator::collect)
            .map_err(Error::from)?;
        lines.add(&CallLine {
            call: CallColumns::read(row).map_err(Error::from)?,
            request: row.get("request").map_err(Error::from)?,
            answer: row.get("answer").map_err(Error::from)?,
            before: used,
        })?;
    }
    lines.done()
}

fn http_requests(
    db: &Connection,
    data_dir: &Path,
    run: &RunId,
) -> Result<(File, u64), ArchiveError> {
    let mut lines = Lines::open(data_dir)?;
    let mut statement = db.prepare(ALL_HTTP_REQUESTS).map_err(Error::from)?;
    let mut rows = statement.query([run.as_str()]).map_err(Error::from)?;
    while let Some(row) = rows.next().map_err(Error::from)? {
        let mut sent = HttpColumns::read(row).map_err(Error::from)?;
        // A row that an older host wrote has it as it was sent.
        sent.url = masked_url(&sent.url);
        lines.add(&HttpLine {
            sent,
            request: row.get("request").map_err(Error::from)?,
            answer: row.get("answer").map_err(Error::from)?,
        })?;
    }
    lines.done()
}

fn json(record: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(|error| Error::database(error.to_string()))
}

/// Lines that are written aside first, because an archive says how long an entry is before it begins.
struct Lines {
    file: BufWriter<File>,
    path: std::path::PathBuf,
    count: u64,
}

impl Lines {
    fn open(data_dir: &Path) -> Result<Self, Error> {
        let file = BufWriter::new(spool::nameless(data_dir)?);
        Ok(Self { file, path: data_dir.to_owned(), count: 0 })
    }

    fn add(&mut self, record: &impl Serialize) -> Result<(), Error> {
        self.count += 1;
        let mut line = json(record)?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| Error::io(&self.path, error))
    }

    fn done(self) -> Result<(File, u64), ArchiveError> {
        let (path, count) = (self.path, self.count);
        let file = self.file.into_inner();
        Ok((file.map_err(|error| Error::io(&path, error.into_error()))?, count))
    }
}
