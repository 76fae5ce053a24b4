//! The one thread that writes.
//!
//! It takes everything that waits, up to a bound, into one transaction: many appends share one wait for the disk. Each
//! runs in a savepoint of its own, so that a conflict of one leaves the others alone. Answers are given after the commit
//! and not before; if the commit fails, everybody in it is told so, nothing of it is there, and the thread goes on.
//!
//! Invariant: no job is committed by halves. One that fails or panics is undone alone; if that does not succeed, the
//! whole transaction is.
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use domain::run::Recorded;
use domain::{RunId, Timestamp};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::append::{self, Beside};
use crate::calls::{self, CallAnswered, CallStarted};
use crate::events::Encoded;
use crate::{Error, database, replay, runs};

/// Most jobs of one transaction: enough that fifty busy runs share a commit, and few enough that none waits long.
const BATCH_JOB_COUNT_MAX: usize = 256;

/// Commits after which a checkpoint is worth its two waits for the disk.
const CHECKPOINT_COMMIT_COUNT: u32 = 64;
/// How long nobody must have come before a checkpoint is made: longer than the pauses within a busy run.
const CHECKPOINT_IDLE: Duration = Duration::from_millis(100);

/// How long jobs that need not be durable wait for one that must be, to share its commit. A call that is answered at
/// once costs no commit of its own then; a model that takes longer than this does not notice.
const LINGER: Duration = Duration::from_millis(5);

/// Where the answer to a job goes. Nobody may be there any more: the job is done all the same.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// An append, checked and encoded.
pub(crate) struct AppendJob {
    pub(crate) run: RunId,
    pub(crate) expected_version: u64,
    pub(crate) at: Timestamp,
    pub(crate) events: Vec<Encoded>,
    pub(crate) beside: Vec<Beside>,
}

pub(crate) enum Job {
    Append {
        append: Box<AppendJob>,
        reply: Reply<Vec<Recorded>>,
    },
    KeepAnswer {
        answer: Box<CallAnswered>,
        reply: Reply<()>,
    },
    NoteStarted(Box<CallStarted>),
    CloseOpenChats {
        at: Timestamp,
        reply: Reply<()>,
    },
    FilesWritten {
        run: RunId,
        version: u64,
        reply: Reply<()>,
    },
    RebuildProjections {
        reply: Reply<()>,
    },
    /// Lets a test make the disk full and empty again.
    #[cfg(test)]
    Tamper {
        with: fn(&Connection),
        reply: Reply<()>,
    },
}

impl Job {
    /// Whether the disk must have it before anybody goes on. The other jobs survive the death of the process, and after
    /// a power cut they only cost what they would have saved.
    fn must_be_durable(&self) -> bool {
        match self {
            Job::Append { .. } | Job::KeepAnswer { .. } | Job::RebuildProjections { .. } => true,
            Job::NoteStarted(_) | Job::CloseOpenChats { .. } | Job::FilesWritten { .. } => false,
            #[cfg(test)]
            Job::Tamper { .. } => false,
        }
    }

    fn refuse(self, error: &Error) {
        match self {
            Job::Append { reply, .. } => drop(reply.send(Err(error.clone()))),
            Job::KeepAnswer { reply, .. }
            | Job::RebuildProjections { reply }
            | Job::CloseOpenChats { reply, .. }
            | Job::FilesWritten { reply, .. } => {
                drop(reply.send(Err(error.clone())));
            }
            Job::NoteStarted(call) => not_noted(&call, error),
            #[cfg(test)]
            Job::Tamper { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }
}

/// The writer's queue and thread. The queue needs no bound: whoever puts a job into it waits for its answer, or for the
/// answer to the call that it notes.
pub(crate) struct Writer {
    data_dir: PathBuf,
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens the database, migrates it, and starts the thread.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        let db = database::open_writer(data_dir).map_err(|error| error.in_folder(data_dir))?;
        let (sender, receiver) = mpsc::channel();
        let data_dir = data_dir.to_owned();
        let desk = Desk {
            data_dir: data_dir.clone(),
            db,
            synchronous: Synchronous::Full,
            is_spoiled: false,
            commits: 0,
        };
        let thread = thread::Builder::new().name("store-writer".to_owned());
        let thread = thread
            .spawn(move || desk.work(&receiver))
            .map_err(|error| Error::io(&data_dir, error))?;
        Ok(Self { data_dir, jobs: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Queues a job.
    pub(crate) fn send(&self, job: Job) -> Result<(), Error> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).map_err(|_| Error::Closed)
    }

    /// Queues a job and waits until it is done.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(job(reply))?;
        // A closing writer answers what is queued first: only a panic leaves a job without an answer.
        answer.await.unwrap_or_else(|_| Err(panicked().in_folder(&self.data_dir)))
    }

    /// Writes what is queued, and joins the thread.
    pub(crate) fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    Normal,
    Full,
}

/// Tells whoever waits for a job how it went, given how the commit went.
type Answer = Box<dyn FnOnce(Result<(), Error>)>;

/// What the thread works with.
struct Desk {
    data_dir: PathBuf,
    db: Connection,
    synchronous: Synchronous,
    /// The transaction holds half of a job and must not be committed.
    is_spoiled: bool,
    /// Since the last checkpoint.
    commits: u32,
}

impl Desk {
    fn work(mut self, jobs: &Receiver<Job>) {
        while let Some(first) = self.next_job(jobs) {
            let batch = gather(first, jobs);
            // The thread is the only one: it must outlive whatever goes wrong. The askers see that nobody answers.
            if panic::catch_unwind(AssertUnwindSafe(|| self.carry_out(batch))).is_err() {
                tracing::error!("writing to the database panicked");
                self.give_up();
            }
        }
    }

    fn next_job(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        if self.commits >= CHECKPOINT_COMMIT_COUNT {
            match jobs.recv_timeout(CHECKPOINT_IDLE) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.checkpoint(),
            }
        }
        jobs.recv().ok()
    }

    /// Moves the write-ahead log into the database, as far as no reader needs it.
    fn checkpoint(&mut self) {
        self.commits = 0;
        let moved = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = moved {
            tracing::warn!(%error, "the checkpoint of the database failed; the log grows until one succeeds");
        }
    }

    fn carry_out(&mut self, batch: Vec<Job>) {
        let durable = batch.iter().any(Job::must_be_durable);
        if let Err(error) = self.begin(durable) {
            let error = error.in_folder(&self.data_dir);
            batch.into_iter().for_each(|job| job.refuse(&error));
            return;
        }
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
        let mut lost: Option<Error> = None;
        for job in batch {
            if let Some(error) = &lost {
                job.refuse(error);
                continue;
            }
            let (answer, error) = self.perform(job);
            answers.push(answer);
            // Some failures make SQLite roll the whole transaction back, with the jobs before this one.
            lost = error.filter(|_| self.is_spoiled || self.db.is_autocommit());
        }
        let committed = match lost {
            Some(error) => {
                self.give_up();
                Err(error)
            }
            None => self.commit().map_err(|error| error.in_folder(&self.data_dir)),
        };
        answers.into_iter().for_each(|answer| answer(committed.clone()));
    }

    fn begin(&mut self, durable: bool) -> Result<(), Error> {
        // What could not be ended before must not be committed with these jobs.
        self.roll_back()?;
        self.is_spoiled = false;
        let wanted = if durable { Synchronous::Full } else { Synchronous::Normal };
        if wanted != self.synchronous {
            let sql = match wanted {
                Synchronous::Normal => "PRAGMA synchronous = NORMAL",
                Synchronous::Full => "PRAGMA synchronous = FULL",
            };
            self.db.execute_batch(sql)?;
            self.synchronous = wanted;
        }
        self.run("BEGIN IMMEDIATE")
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.commits += 1;
        let committed = self.run("COMMIT");
        if committed.is_err() {
            self.give_up();
        }
        committed
    }

    /// Ends a transaction that must not be committed. If even that fails, the next [`Self::begin`] tries it again.
    fn give_up(&self) {
        if let Err(error) = self.roll_back() {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn roll_back(&self) -> Result<(), Error> {
        if self.db.is_autocommit() { Ok(()) } else { self.run("ROLLBACK") }
    }

    fn run(&self, sql: &str) -> Result<(), Error> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Does a job in a savepoint. The second result is the error that it met, if it met one.
    fn perform(&mut self, job: Job) -> (Answer, Option<Error>) {
        match job {
            Job::Append { append, reply } => {
                self.answering(reply, |db| append::carry_out(db, *append))
            }
            Job::KeepAnswer { answer, reply } => {
                self.answering(reply, |db| calls::answered(db, &answer))
            }
            Job::RebuildProjections { reply } => self.answering(reply, replay::rebuild),
            Job::NoteStarted(call) => {
                let noted = self.in_savepoint(|db| calls::started(db, &call));
                let error = noted.clone().err();
                let answer = move |committed: Result<(), Error>| {
                    if let Err(error) = noted.and(committed) {
                        not_noted(&call, &error);
                    }
                };
                (Box::new(answer), error)
            }
            Job::CloseOpenChats { at, reply } => {
                self.answering(reply, |db| calls::close_open_chats(db, at))
            }
            Job::FilesWritten { run, version, reply } => {
                self.answering(reply, |db| runs::files_written(db, &run, version))
            }
            #[cfg(test)]
            Job::Tamper { with, reply } => self.answering(reply, |db| {
                with(db);
                Ok(())
            }),
        }
    }

    fn answering<T: 'static>(
        &mut self,
        reply: Reply<T>,
        work: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> (Answer, Option<Error>) {
        let done = self.in_savepoint(work);
        let error = done.as_ref().err().cloned();
        let answer = move |committed: Result<(), Error>| {
            // The job's own failure says more than the commit's.
            let answer = done.and_then(|done| committed.map(|()| done));
            drop(reply.send(answer));
        };
        (Box::new(answer), error)
    }

    fn in_savepoint<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = self.run("SAVEPOINT job").and_then(|()| {
            // A panic takes one job with it, not those that share its transaction.
            let done = panic::catch_unwind(AssertUnwindSafe(|| work(&self.db)));
            let done = done.unwrap_or_else(|_| Err(panicked()));
            let ended = self.end_savepoint(done.is_err());
            self.is_spoiled |= ended.is_err();
            // The job's own failure says more than that of its end.
            done.and_then(|done| ended.map(|()| done))
        });
        done.map_err(|error| error.in_folder(&self.data_dir))
    }

    /// Closes the savepoint of a job, and undoes the job if it failed.
    fn end_savepoint(&self, failed: bool) -> Result<(), Error> {
        if self.db.is_autocommit() {
            // With the transaction lost there is nothing left to undo.
            return Err(Error::database("the transaction ended before its jobs"));
        }
        if failed {
            self.run("ROLLBACK TO job")?;
        }
        self.run("RELEASE job")
    }
}

fn panicked() -> Error {
    Error::database("a job of the writer panicked")
}

/// What waits; and if nobody waits for the disk yet, also what comes within a moment.
fn gather(first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
    let mut batch = vec![first];
    let until = Instant::now() + LINGER;
    loop {
        batch.extend(jobs.try_iter().take(BATCH_JOB_COUNT_MAX - batch.len()));
        if batch.len() >= BATCH_JOB_COUNT_MAX || batch.iter().any(Job::must_be_durable) {
            return batch;
        }
        match jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(job) => batch.push(job),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return batch,
        }
    }
}

fn not_noted(call: &CallStarted, error: &Error) {
    let call = &call.call;
    tracing::warn!(call.id = %call, %error, "that the model call `{call}` was begun could not be noted");
}
