//! Looks at an archive as a whole before anything of it is kept.
//!
//! Its rows are put into an empty database in memory, by the statements that will keep them, and the projections that
//! come of them are compared with the domain's own replay: what passes can be kept and carried on.
use std::collections::BTreeSet;
use std::fs::File;

use domain::http::HttpErrorKind;
use domain::run::{Event, Run, Status};
use domain::{CallId, Digest, RunId, StageKey};
use rusqlite::Connection;

use super::entries::{BODY_BYTES_MAX, Kind, LINE_BYTES_MAX, MANIFEST_BYTES_MAX};
use super::insert::{self, Counting, parsed};
use super::pack::{Entry, PLUGIN_BYTES_MAX};
use super::record::{AttemptColumns, CallLine, HttpLine};
use super::{
    ATTEMPTS, ArchiveError, CALLS, CheckedArchive, EVENTS, Entries, FORMAT, FORMAT_VERSION,
    HTTP_REQUESTS, MANIFEST, Manifest, body_entry, detail_of, expect_format,
};
use crate::calls::{CallStatus, TextsKept};
use crate::{
    AnswerSource, Error, HttpRequestStatus, attempts, calls, database, digest_of, prune, record,
    replay,
};

/// Most bytes of the rows of a run, texts excepted: they are in memory while they are checked, and a few MiB of zeros in
/// an archive can be gigabytes of rows.
const ROWS_BYTES_MAX: u64 = 256 << 20;

/// Checks an archive. Blocks, for as long as it takes to read it.
///
/// # Errors
/// [`ArchiveError::Bad`] with the entry that is at fault, or [`ArchiveError::RunActive`].
pub fn check(file: File) -> Result<CheckedArchive, ArchiveError> {
    check_bounded(file, ROWS_BYTES_MAX)
}

/// The same, with the bound on its rows.
pub(crate) fn check_bounded(
    file: File,
    rows_bytes_max: u64,
) -> Result<CheckedArchive, ArchiveError> {
    let scratch = database::open_scratch()?;
    database::bound_size(&scratch, rows_bytes_max)?;
    let mut check = Check::new(scratch, rows_bytes_max);
    Entries::of(&file)?.each(|entry| check.entry(entry))?;
    check.done(file)
}

/// What was found so far.
struct Check {
    scratch: Connection,
    rows_bytes_max: u64,
    last: Option<Kind>,
    manifest: Option<(Manifest, RunId)>,
    log: Vec<Event>,
    attempt_count: u64,
    call_count: u64,
    http_request_count: u64,
    bodies: BTreeSet<Digest>,
    plugins: BTreeSet<Digest>,
}

impl Check {
    fn new(scratch: Connection, rows_bytes_max: u64) -> Self {
        Self {
            scratch,
            rows_bytes_max,
            last: None,
            manifest: None,
            log: Vec::new(),
            attempt_count: 0,
            call_count: 0,
            http_request_count: 0,
            bodies: BTreeSet::new(),
            plugins: BTreeSet::new(),
        }
    }

    fn entry(&mut self, entry: &mut Entry<'_>) -> Result<(), ArchiveError> {
        let kind = Kind::of(entry)?;
        self.expect_order(&kind, entry.name())?;
        let outcome = match &kind {
            Kind::Manifest => self.manifest(entry),
            Kind::Events => self.events(entry),
            Kind::Attempts => self.attempts(entry),
            Kind::Calls => self.calls(entry),
            Kind::HttpRequests => self.http_requests(entry),
            Kind::Body(digest) => {
                let text = entry.text(BODY_BYTES_MAX)?;
                expect_digest(entry.name(), text.as_bytes(), digest)?;
                self.bodies.insert(digest.clone());
                Ok(())
            }
            Kind::Plugin(digest) => {
                let bytes = entry.bytes(PLUGIN_BYTES_MAX)?;
                expect_digest(entry.name(), &bytes, digest)?;
                self.plugins.insert(digest.clone());
                Ok(())
            }
        };
        self.last = Some(kind);
        outcome
    }

    /// The manifest, the log, attempts and calls come once each and in this order, HTTP requests where there are any;
    /// texts and components behind them.
    fn expect_order(&self, kind: &Kind, name: &str) -> Result<(), ArchiveError> {
        let is_next = match &self.last {
            None => kind.place() == 0,
            Some(last) if kind.is_single() => kind.place() == last.place() + 1,
            Some(last) => last.place() >= 3 && (last.place() < kind.place() || last < kind),
        };
        if is_next { Ok(()) } else { Err(ArchiveError::bad(name, "it is not where it belongs")) }
    }

    fn run(&self) -> &RunId {
        let (_, run) = self.manifest.as_ref().expect("the manifest is the first entry");
        run
    }

    fn manifest(&mut self, entry: &mut Entry<'_>) -> Result<(), ArchiveError> {
        let bad = |detail: String| ArchiveError::bad(MANIFEST, detail);
        let text = entry.text(MANIFEST_BYTES_MAX)?;
        expect_format(&text, FORMAT)?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if !(1..=FORMAT_VERSION).contains(&manifest.version) {
            let detail = format!(
                "the format has version {}, and this program reads 1 to {FORMAT_VERSION}",
                manifest.version
            );
            return Err(bad(detail));
        }
        let run = manifest.run_id.parse().map_err(|error| bad(format!("`run_id`: {error}")))?;
        self.manifest = Some((manifest, run));
        Ok(())
    }

    fn events(&mut self, entry: &mut Entry<'_>) -> Result<(), ArchiveError> {
        let run = self.run().clone();
        let (scratch, log, bytes_max) = (&self.scratch, &mut self.log, self.rows_bytes_max);
        entry.lines(LINE_BYTES_MAX, |number, line| {
            let line = parsed(EVENTS, number, line)?;
            let event = insert::event(scratch, &run, number, &line);
            log.push(event.map_err(|error| at_fault(EVENTS, number, bytes_max, error))?);
            Ok(())
        })
    }

    fn attempts(&mut self, entry: &mut Entry<'_>) -> Result<(), ArchiveError> {
        let run = self.run().clone();
        let (scratch, count) = (&self.scratch, &mut self.attempt_count);
        let bytes_max = self.rows_bytes_max;
        entry.lines(LINE_BYTES_MAX, |number, line| {
            let bad =
                |detail: String| ArchiveError::bad(ATTEMPTS, format!("line {number}: {detail}"));
            let line: AttemptColumns = parsed(ATTEMPTS, number, line)?;
            record::decode_log(&line.log).map_err(|error| bad(detail_of(error)))?;
            line.stage_key.parse::<StageKey>().map_err(|error| bad(error.to_string()))?;
            *count += 1;
            insert::attempt(scratch, &run, &line)
                .map_err(|error| at_fault(ATTEMPTS, number, bytes_max, error))
        })
    }

    fn calls(&mut self, entry: &mut Entry<'_>) -> Result<(), ArchiveError> {
        let run = self.run().clone();
        let (scratch, count) = (&self.scratch, &mut self.call_count);
        let bytes_max = self.rows_bytes_max;
        entry.lines(LINE_BYTES_MAX, |number, line| {
            let line: CallLine = parsed(CALLS, number, line)?;
            expect_readable(&line)
                .map_err(|detail| ArchiveError::bad(CALLS, format!("line {number}: {detail}")))?;
            *count += 1;
            // One that cannot be read back would take every list that it is in with it.
            insert::call(scratch, &run, &line, Counting::Off)
                .and_then(|()| {
                    let call = line.call.call_id.parse().expect("it was found readable");
                    Ok(calls::one(scratch, &call).map(drop)?)
                })
                .map_err(|error| at_fault(CALLS, number, bytes_max, error))
        })
    }

    fn http_requests(&mut self, entry: &mut Entry<'_>) -> Result<(), ArchiveError> {
        let run = self.run().clone();
        let (scratch, count) = (&self.scratch, &mut self.http_request_count);
        let bytes_max = self.rows_bytes_max;
        entry.lines(LINE_BYTES_MAX, |number, line| {
            let mut line: HttpLine = parsed(HTTP_REQUESTS, number, line)?;
            expect_readable_http(&line).map_err(|detail| {
                ArchiveError::bad(HTTP_REQUESTS, format!("line {number}: {detail}"))
            })?;
            *count += 1;
            // What is only checked needs no texts.
            (line.request, line.answer) = (None, None);
            insert::http_request(scratch, &run, line)
                .map_err(|error| at_fault(HTTP_REQUESTS, number, bytes_max, error))
        })
    }

    fn done(self, file: File) -> Result<CheckedArchive, ArchiveError> {
        let Some((manifest, run)) = &self.manifest else {
            return Err(ArchiveError::bad(MANIFEST, "it is missing"));
        };
        self.expect_counts(manifest)?;
        self.expect_bodies()?;
        attempts::list(&self.scratch, run, None)
            .map_err(|error| ArchiveError::bad(ATTEMPTS, detail_of(error)))?;
        if let Err(detail) = replay::compare(&self.scratch, run)? {
            return Err(ArchiveError::bad(EVENTS, format!("no run can have this log: {detail}")));
        }
        let replayed = Run::replay(run.clone(), &self.log)
            .ok_or_else(|| ArchiveError::bad(EVENTS, "it is empty"))?;
        let status = replayed.status();
        if matches!(status, Status::Queued | Status::Running) {
            return Err(ArchiveError::RunActive { run: run.clone(), status });
        }
        Ok(CheckedArchive {
            file,
            run: replayed,
            event_count: self.log.len() as u64,
            call_count: self.call_count,
            plugins: self.plugins.into_iter().collect(),
        })
    }

    /// Tells an archive that was cut at the border of two entries, or put together from two.
    fn expect_counts(&self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let counts = [
            (EVENTS, self.log.len() as u64, manifest.event_count),
            (ATTEMPTS, self.attempt_count, manifest.attempt_count),
            (CALLS, self.call_count, manifest.call_count),
            (HTTP_REQUESTS, self.http_request_count, manifest.http_request_count),
            ("bodies/", self.bodies.len() as u64, manifest.body_count),
            ("plugins/", self.plugins.len() as u64, manifest.plugins.len() as u64),
        ];
        for (entry, found, told) in counts {
            if found != told {
                let detail = format!("there are {found}, and the manifest tells of {told}");
                return Err(ArchiveError::bad(entry, detail));
            }
        }
        Ok(())
    }

    /// Every text that the log names is there, and no other.
    fn expect_bodies(&self) -> Result<(), ArchiveError> {
        let named: BTreeSet<Digest> = self.log.iter().flat_map(prune::bodies_of).cloned().collect();
        if let Some(missing) = named.difference(&self.bodies).next() {
            return Err(ArchiveError::bad(body_entry(missing), "it is missing"));
        }
        match self.bodies.difference(&named).next() {
            Some(other) => Err(ArchiveError::bad(body_entry(other), "no event names it")),
            None => Ok(()),
        }
    }
}

/// What no row of a run can be is a fault of the archive, and not of the database in memory.
fn at_fault(entry: &str, number: u64, bytes_max: u64, error: ArchiveError) -> ArchiveError {
    match error {
        // The database in memory is not on a disk that could be full.
        ArchiveError::Store(Error::Full { .. }) => {
            let size_mib = bytes_max >> 20;
            let detail =
                format!("line {number}: the rows up to here have more than {size_mib} MiB");
            ArchiveError::bad(entry, detail)
        }
        ArchiveError::Store(error) => {
            ArchiveError::bad(entry, format!("line {number}: {}", detail_of(error)))
        }
        other => other,
    }
}

fn expect_digest(entry: &str, bytes: &[u8], digest: &Digest) -> Result<(), ArchiveError> {
    let found = digest_of(bytes);
    if found == *digest {
        return Ok(());
    }
    Err(ArchiveError::bad(entry, format!("its content has the digest `{found}`")))
}

/// Whether everything that is read back from a call can be understood.
fn expect_readable(line: &CallLine) -> Result<(), String> {
    let call = &line.call;
    let known = [
        ("status", CallStatus::from_word(&call.status).is_some(), &call.status),
        ("source", AnswerSource::from_word(&call.source).is_some(), &call.source),
        ("texts", TextsKept::from_word(&call.texts).is_some(), &call.texts),
        ("call_id", call.call_id.parse::<CallId>().is_ok(), &call.call_id),
        ("stage_key", call.stage_key.parse::<StageKey>().is_ok(), &call.stage_key),
        ("request_digest", call.request_digest.parse::<Digest>().is_ok(), &call.request_digest),
    ];
    if let Some((column, _, found)) = known.iter().find(|(_, is_known, _)| !is_known) {
        return Err(format!("`{column}` cannot be `{found}`"));
    }
    line.request.as_deref().map(record::decode_request).transpose().map_err(detail_of)?;
    line.answer.as_deref().map(record::decode_completion).transpose().map_err(detail_of)?;
    Ok(())
}

/// Whether everything that is read back from an HTTP request can be understood, and what a replay needs is there.
fn expect_readable_http(line: &HttpLine) -> Result<(), String> {
    let sent = &line.sent;
    let status = HttpRequestStatus::from_word(&sent.status);
    let known = [
        ("status", status.is_some(), &sent.status),
        ("texts", TextsKept::from_word(&sent.texts).is_some(), &sent.texts),
        ("stage_key", sent.stage_key.parse::<StageKey>().is_ok(), &sent.stage_key),
        ("request_digest", sent.request_digest.parse::<Digest>().is_ok(), &sent.request_digest),
    ];
    if let Some((column, _, found)) = known.iter().find(|(_, is_known, _)| !is_known) {
        return Err(format!("`{column}` cannot be `{found}`"));
    }
    if let Some(code) =
        sent.error_code.as_deref().filter(|code| HttpErrorKind::from_code(code).is_none())
    {
        return Err(format!("`error_code` cannot be `{code}`"));
    }
    let in_range = |number: i64| u32::try_from(number).is_ok();
    let numbers = [sent.tries, sent.request_bytes, sent.answer_bytes.unwrap_or(0)];
    let is_status = sent.answer_status.is_none_or(|status| (100..=999).contains(&status));
    if !is_status || !in_range(sent.tries) || numbers.iter().any(|number| *number < 0) {
        return Err("a number is out of its range".to_owned());
    }
    line.answer.as_deref().map(record::decode_http_response).transpose().map_err(detail_of)?;
    line.request.as_deref().map(record::decode_http_text).transpose().map_err(detail_of)?;
    let is_whole = match status {
        Some(HttpRequestStatus::Answered) => {
            sent.answer_status.is_some() && (line.answer.is_some() || sent.texts == "off")
        }
        Some(HttpRequestStatus::Failed) => {
            sent.error_code.is_some() && sent.error_message.is_some()
        }
        Some(HttpRequestStatus::Open | HttpRequestStatus::Canceled) | None => true,
    };
    if is_whole { Ok(()) } else { Err("its outcome is missing".to_owned()) }
}
