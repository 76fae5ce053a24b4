//! What is appended to a run's log in one transaction.
use domain::run::{Event, Recorded};
use domain::{Digest, RunId, Timestamp};
use rusqlite::Connection;

use crate::attempts::{self, AttemptRecord};
use crate::calls::{self, CallAnswered};
use crate::events::{self, Encoded};
use crate::project::{Entry, project};
use crate::writer::AppendJob;
use crate::{Error, artifacts, runs, start_keys};

/// Events, and what comes beside them: all of it is stored, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    pub run: RunId,
    /// Events that the run has; 0 for one that does not exist.
    pub expected_version: u64,
    pub at: Timestamp,
    /// The first of a run is its creation. May be empty where only something beside is to be kept.
    pub events: Vec<Event>,
    pub beside: Vec<Beside>,
}

/// What comes beside events.
#[derive(Debug, Clone, PartialEq)]
pub enum Beside {
    /// A text that an event names by its digest.
    Body { digest: Digest, text: String },
    /// What came of a model call.
    Answer(Box<CallAnswered>),
    /// What an attempt logged and used up.
    AttemptEnded(AttemptRecord),
    /// The key under which the run is started.
    StartKey { key: String, request_digest: Digest },
}

/// Stores an append. The caller undoes what a failure leaves behind.
pub(crate) fn carry_out(db: &Connection, append: AppendJob) -> Result<Vec<Recorded>, Error> {
    let AppendJob { run, expected_version, at, events, beside } = append;
    let event_count = events.len() as u64;
    let creates = expected_version == 0;
    if creates {
        runs::expect_absent(db, &run)?;
        expect_creation(&events)?;
    } else if event_count > 0 {
        runs::advance(db, &run, expected_version, expected_version + event_count, at)?;
    } else {
        runs::expect_version(db, &run, expected_version)?;
    }
    for beside in &beside {
        keep(db, &run, beside)?;
    }
    let mut recorded = Vec::with_capacity(events.len());
    for (version, encoded) in (expected_version + 1..).zip(events) {
        let seq = events::insert(db, &run, version, at, &encoded)?;
        project(db, Entry { run: &run, version, at, event: &encoded.event })?;
        if let Event::RunCanceled { .. } = encoded.event {
            // Not with the projections: made again from the log, they would cancel what a retry is asking now.
            calls::run_canceled(db, &run, at)?;
        }
        recorded.push(Recorded { seq, version, at, event: encoded.event });
    }
    if creates && event_count > 1 {
        runs::advance(db, &run, 1, event_count, at)?;
    }
    Ok(recorded)
}

fn expect_creation(events: &[Encoded]) -> Result<(), Error> {
    match events.first() {
        Some(Encoded { event: Event::RunCreated(_), .. }) => Ok(()),
        _ => Err(Error::database("the first event of a run is its creation")),
    }
}

fn keep(db: &Connection, run: &RunId, beside: &Beside) -> Result<(), Error> {
    match beside {
        Beside::Body { digest, text } => {
            debug_assert_eq!(*digest, crate::digest_of(text.as_bytes()));
            artifacts::insert_body(db, digest, text)
        }
        Beside::Answer(answer) => calls::answered(db, answer),
        Beside::AttemptEnded(attempt) => attempts::insert(db, attempt),
        Beside::StartKey { key, request_digest } => {
            start_keys::insert(db, key, run, request_digest)
        }
    }
}
