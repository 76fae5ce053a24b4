//! What is appended to a run's log in one transaction.
use domain::run::{Event, Recorded};
use domain::{CallId, Digest, RunId, Timestamp};
use rusqlite::Connection;

use crate::attempts::{self, AttemptRecord};
use crate::calls::{self, CallAnswered, Noted, Outcome};
use crate::events::{self, Encoded};
use crate::project::{Entry, project};
use crate::{Error, Texts, artifacts, http_requests, runs, start_keys};

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

/// An append with everything encoded.
pub(crate) struct AppendJob {
    pub(crate) run: RunId,
    expected_version: u64,
    at: Timestamp,
    events: Vec<Encoded>,
    beside: Vec<Kept>,
    /// Notes about calls that the append answers, which nobody has stored yet.
    notes: Vec<Noted>,
}

/// What comes beside events, encoded.
enum Kept {
    Body { digest: Digest, text: String },
    Answer(Box<Outcome>),
    AttemptEnded(AttemptRecord),
    StartKey { key: String, request_digest: Digest },
}

impl Kept {
    fn new(beside: Beside, texts: Texts) -> Result<Self, Error> {
        Ok(match beside {
            Beside::Body { digest, text } => Kept::Body { digest, text },
            Beside::Answer(answer) => Kept::Answer(Box::new(Outcome::new(*answer, texts)?)),
            Beside::AttemptEnded(attempt) => Kept::AttemptEnded(attempt),
            Beside::StartKey { key, request_digest } => Kept::StartKey { key, request_digest },
        })
    }
}

impl AppendJob {
    /// Encodes an append. By whoever asks, and not by the thread that writes: what every caller can do for itself must
    /// not be done one after another.
    pub(crate) fn new(append: Append, texts: Texts) -> Result<Self, Error> {
        let Append { run, expected_version, at, events, beside } = append;
        let as_kept = |event| calls::event_as_kept(event, texts);
        let kept = |beside| Kept::new(beside, texts);
        Ok(Self {
            run,
            expected_version,
            at,
            events: Encoded::all(events.into_iter().map(as_kept).collect())?,
            beside: beside.into_iter().map(kept).collect::<Result<_, Error>>()?,
            notes: Vec::new(),
        })
    }

    /// Whether it has what came of this call.
    pub(crate) fn answers(&self, call: &CallId) -> bool {
        self.beside.iter().any(|kept| match kept {
            Kept::Answer(outcome) => outcome.answer.started.call == *call,
            Kept::Body { .. } | Kept::AttemptEnded(_) | Kept::StartKey { .. } => false,
        })
    }

    /// Takes the note about a call that it answers: together they are one row that is written once.
    pub(crate) fn take_note(&mut self, note: Noted) {
        self.notes.push(note);
    }

    #[cfg(test)]
    pub(crate) fn note_count(&self) -> usize {
        self.notes.len()
    }
}

/// Stores an append. The caller undoes what a failure leaves behind.
pub(crate) fn carry_out(
    db: &Connection,
    append: AppendJob,
    texts: Texts,
) -> Result<Vec<Recorded>, Error> {
    let AppendJob { run, expected_version, at, events, beside, notes } = append;
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
        keep(db, &run, beside, &notes)?;
    }
    let mut recorded = Vec::with_capacity(events.len());
    for (version, encoded) in (expected_version + 1..).zip(events) {
        let seq = events::insert(db, &run, version, at, &encoded)?;
        project(db, Entry { run: &run, version, at, event: &encoded.event })?;
        // Not with the projections: made again from the log, they would cancel what a retry is asking now.
        settle_calls(db, &run, at, &encoded.event, texts)?;
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

/// What the end of an attempt means for its calls. A gate for a budget does not end one, unless it is rejected.
fn settle_calls(
    db: &Connection,
    run: &RunId,
    at: Timestamp,
    event: &Event,
    texts: Texts,
) -> Result<(), Error> {
    match event {
        Event::RunCanceled { .. } => {
            calls::run_canceled(db, run, at)?;
            attempts_ended(db, run, at, texts)
        }
        Event::StageFinished { .. } | Event::StageFailed { .. } | Event::GateRejected { .. } => {
            attempts_ended(db, run, at, texts)
        }
        _ => Ok(()),
    }
}

fn attempts_ended(db: &Connection, run: &RunId, at: Timestamp, texts: Texts) -> Result<(), Error> {
    calls::attempts_ended(db, run, texts)?;
    http_requests::attempts_ended(db, run, at, texts)
}

fn keep(db: &Connection, run: &RunId, kept: &Kept, notes: &[Noted]) -> Result<(), Error> {
    match kept {
        Kept::Answer(outcome) => {
            let call = &outcome.answer.started.call;
            calls::answered(db, outcome, notes.iter().find(|note| note.call.call == *call))
        }
        Kept::Body { digest, text } => {
            debug_assert_eq!(*digest, crate::digest_of(text.as_bytes()));
            artifacts::insert_body(db, run, digest, text)
        }
        Kept::AttemptEnded(attempt) => attempts::insert(db, attempt),
        Kept::StartKey { key, request_digest } => start_keys::insert(db, key, run, request_digest),
    }
}
