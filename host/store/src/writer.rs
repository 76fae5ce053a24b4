//! The one thread that writes.
//!
//! It takes everything that waits, up to a bound, into one transaction: many appends share one wait for the disk. Each
//! runs in a savepoint of its own, so that a conflict of one leaves the others alone. Answers are given after the commit
//! and not before; if the commit fails, everybody in it is told so, nothing of it is there, and the thread goes on.
//!
//! Invariant: no job is committed by halves. One that fails or panics is undone alone; if that does not succeed, the
//! whole transaction is.
mod gather;

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use domain::run::Recorded;
use domain::{RunId, Timestamp};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use crate::append::{self, AppendJob};
use crate::calls::{self, CallStarted, Noted, Outcome};
use crate::check::Damage;
use crate::database::Deleted;
use crate::{Error, Texts, database, prune, replay, runs};
use gather::Gathering;

/// Commits after which a checkpoint is worth its two waits for the disk.
const CHECKPOINT_COMMIT_COUNT: u32 = 64;
/// How long nobody must have come before a checkpoint is made: longer than the pauses within a busy run.
const CHECKPOINT_IDLE: Duration = Duration::from_millis(100);

/// Where the answer to a job goes. Nobody may be there any more: the job is done all the same.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// See [`Writer::perform`].
type RareWork = Box<dyn FnOnce(&Connection) -> Result<(), Error> + Send>;

pub(crate) enum Job {
    Append {
        append: Box<AppendJob>,
        reply: Reply<Vec<Recorded>>,
    },
    KeepAnswer {
        outcome: Box<Outcome>,
        /// The note about the call's start, where that is not stored yet.
        note: Option<Box<Noted>>,
        reply: Reply<()>,
    },
    NoteStarted(Box<Noted>),
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
    /// Something that is done once in a while; see [`Writer::perform`].
    Rare {
        work: RareWork,
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
            Job::Append { .. }
            | Job::KeepAnswer { .. }
            | Job::RebuildProjections { .. }
            | Job::Rare { .. } => true,
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
            | Job::Rare { reply, .. }
            | Job::CloseOpenChats { reply, .. }
            | Job::FilesWritten { reply, .. } => {
                drop(reply.send(Err(error.clone())));
            }
            Job::NoteStarted(noted) => not_noted(&noted.call, error),
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
    pub(crate) fn open(data_dir: &Path, texts: Texts, damage: Arc<Damage>) -> Result<Self, Error> {
        let deleted = match texts {
            Texts::Whole => Deleted::Forgotten,
            Texts::Trimmed { .. } | Texts::Off => Deleted::Overwritten,
        };
        let opened = database::open_writer(data_dir, deleted);
        let db = opened.map_err(|error| error.in_folder(data_dir))?;
        prune::finish(&db).map_err(|error| error.in_folder(data_dir))?;
        let (sender, receiver) = mpsc::channel();
        let data_dir = data_dir.to_owned();
        let desk = Desk {
            data_dir: data_dir.clone(),
            db,
            texts,
            synchronous: Synchronous::Full,
            is_spoiled: false,
            commits: 0,
            damage,
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

    /// Does something on the thread, and waits until it is durable. It is undone as a whole if it fails.
    pub(crate) async fn perform<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let told = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&told);
        let work = Box::new(move |db: &Connection| {
            let done = work(db);
            let failed = done.is_err();
            slot.lock().unwrap_or_else(PoisonError::into_inner).replace(done);
            if failed { Err(Error::database("the job failed")) } else { Ok(()) }
        });
        let committed = self.ask(|reply| Job::Rare { work, reply }).await;
        let done = told.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (committed, done) {
            // The job's own failure says more than that of its transaction.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(Ok(done))) => Ok(done),
            (Err(error), _) => Err(E::from(error)),
            (Ok(()), None) => Err(E::from(panicked())),
        }
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
    texts: Texts,
    synchronous: Synchronous,
    /// The transaction holds half of a job and must not be committed.
    is_spoiled: bool,
    /// Since the last checkpoint.
    commits: u32,
    /// Once there is some, nothing is written any more.
    damage: Arc<Damage>,
}

impl Desk {
    fn work(mut self, jobs: &Receiver<Job>) {
        let mut gathering = Gathering::new(jobs);
        while let Some(batch) = gathering.next_batch(|| self.wait(jobs)) {
            // The thread is the only one: it must outlive whatever goes wrong. The askers see that nobody answers.
            if panic::catch_unwind(AssertUnwindSafe(|| self.carry_out(batch))).is_err() {
                tracing::error!("writing to the database panicked");
                self.give_up();
            }
        }
        if self.damage.get().is_some() {
            // A close would move the log into the damaged file.
            let stays = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            if let Err(error) = self.db.set_db_config(stays, true) {
                tracing::warn!(%error, "the log of the damaged database may be moved into it");
            }
        }
    }

    /// Waits for a job for as long as it takes. A pause is the time for a checkpoint.
    fn wait(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
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
        if self.damage.get().is_some() {
            return;
        }
        let moved = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = moved {
            tracing::warn!(%error, "the checkpoint of the database failed; the log grows until one succeeds");
        }
    }

    fn carry_out(&mut self, batch: Vec<Job>) {
        if let Some(damage) = self.damage.get() {
            batch.into_iter().for_each(|job| job.refuse(damage));
            return;
        }
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
                let texts = self.texts;
                self.answering(reply, |db| append::carry_out(db, *append, texts))
            }
            Job::KeepAnswer { outcome, note, reply } => {
                self.answering(reply, |db| calls::answered(db, &outcome, note.as_deref()))
            }
            Job::RebuildProjections { reply } => self.answering(reply, replay::rebuild),
            Job::Rare { work, reply } => self.answering(reply, work),
            Job::NoteStarted(noted) => {
                let texts = self.texts;
                let done = self.in_savepoint(|db| calls::started(db, &noted, texts));
                let error = done.clone().err();
                let answer = move |committed: Result<(), Error>| {
                    if let Err(error) = done.and(committed) {
                        not_noted(&noted.call, &error);
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

fn not_noted(call: &CallStarted, error: &Error) {
    let call = &call.call;
    tracing::warn!(call.id = %call, %error, "that the model call `{call}` was begun could not be noted");
}
