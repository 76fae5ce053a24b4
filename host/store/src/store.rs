//! The handle that everybody else holds.
mod housekeeping;
mod http_requests;
mod plugins;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use domain::run::{Event, Recorded};
use domain::stage::Variable;
use domain::{ApprovalId, ArtifactName, CallId, Digest, Plan, RunId, StageKey, Timestamp};
use tokio::sync::oneshot;

use crate::append::AppendJob;
use crate::calls::{Noted, Outcome};
use crate::check::{self, Checking, Damage, Depth, Finding};
use crate::folder::{self, FolderLock};
use crate::inspect::{self, CHECK_AT_ONCE_BYTES_MAX, CheckLeft};
use crate::readers::Readers;
use crate::writer::{Job, Writer};
use crate::{
    Append, ApprovalFilter, ApprovalRow, ArtifactRow, AttemptRecord, CallAnswered, CallDetail,
    CallFilter, CallRow, CallStarted, DaySpent, Error, GrantRow, Journaled, Listed, Owner, Page,
    RunFilter, RunRow, StageRow, StageSpent, StartedWith, UsageFilter, UsageKey, UsageRow,
    UsageSum, Wake,
};
use crate::{
    approvals, artifacts, attempts, calls, events, replay, run_files, runs, spool, stages,
    start_keys, variables,
};

#[cfg(test)]
pub(crate) use plugins::LOOKUPS;

/// Threads that read. Two: on two cores a third gains nothing and costs another page cache.
const READER_COUNT: usize = 2;

/// What is kept, where the configuration decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Texts of model calls.
    pub texts: Texts,
}

/// How much of the texts of model calls is kept: of messages and answers, be they whole or broken off. What a running
/// attempt may need again is kept until the attempt ends, whatever is said here. Providers repeat texts in their errors:
/// where none are kept, neither are the words of their errors, in the records as in the log. Nothing of it concerns what
/// plugins make of an answer or say of it: the requests of runs, the results of stages (artifacts, data, variables and
/// summaries), faults of plugins and their log. Nor does it concern calls that were recorded under another setting. What
/// is removed is overwritten in the database; the write-ahead log beside it can hold it until the store is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Texts {
    /// Questions and answers as they were.
    #[default]
    Whole,
    /// Of each message and each answer the beginning, with a mark where something was cut off.
    Trimmed {
        /// Most bytes of each.
        bytes_max: usize,
    },
    /// None: tokens, costs and times only.
    Off,
}

/// An open data folder. Clones are cheap; when the last is dropped, what is queued is written and the threads end.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// The fields are dropped in this order: readers first, so that the writer's connection is the last and clears the
/// write-ahead log away; the lock at the very end.
struct Inner {
    /// What a start after an unclean end looks at while the host works.
    checking: Mutex<Option<Checking>>,
    readers: Readers,
    /// Its own thread, so that files of one run are never written by two, and no list waits for them.
    files: Readers,
    writer: Writer,
    lock: Mutex<Option<FolderLock>>,
    data_dir: PathBuf,
    texts: Texts,
    damage: Arc<Damage>,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").field("data_dir", &self.inner.data_dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a data folder, and makes it if it is not there. Blocks. One of an earlier version is brought up to date,
    /// with a copy of its database kept beside it.
    ///
    /// A database that nobody closed is checked: at once, or, if it is large, on a thread of its own meanwhile. Damage
    /// found at once is an error, and nothing was changed then; damage that is found later refuses every write
    /// ([`Store::damage`]).
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::ReadOnly`], [`Error::Full`], [`Error::Damaged`], [`Error::Newer`] or [`Error::Io`].
    pub fn open(data_dir: &Path) -> Result<Store, Error> {
        Self::open_with(data_dir, Options::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open_with(data_dir: &Path, options: Options) -> Result<Store, Error> {
        Self::open_checking(data_dir, options, CHECK_AT_ONCE_BYTES_MAX)
    }

    /// The same, with the size up to which a database that nobody closed is checked at once.
    pub(crate) fn open_checking(
        data_dir: &Path,
        options: Options,
        check_at_once_bytes_max: u64,
    ) -> Result<Store, Error> {
        folder::create_private_dir(data_dir)?;
        let lock = FolderLock::take(data_dir)?;
        spool::clear(data_dir)?;
        let left = inspect::look(data_dir, check_at_once_bytes_max)?;
        let damage = Arc::new(Damage::default());
        let writer = Writer::open(data_dir, options.texts, Arc::clone(&damage))?;
        let checking = match left {
            CheckLeft::None => None,
            CheckLeft::InBackground => Some(check_in_background(data_dir, &damage)?),
        };
        let located = |error: Error| error.in_folder(data_dir);
        let readers = Readers::open(data_dir, "store-reader", READER_COUNT).map_err(located)?;
        let files = Readers::open(data_dir, "store-files", 1).map_err(located)?;
        let data_dir = data_dir.to_owned();
        let (lock, checking) = (Mutex::new(Some(lock)), Mutex::new(checking));
        let texts = options.texts;
        let inner = Inner { checking, readers, files, writer, lock, data_dir, texts, damage };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes what is queued, joins the threads and gives the folder free. Everything later is [`Error::Closed`].
    pub fn close(&self) {
        self.inner.checking.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.inner.files.close();
        self.inner.readers.close();
        self.inner.writer.close();
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub fn data_dir(&self) -> &Path {
        &self.inner.data_dir
    }

    /// What a check in the background found, if it found damage: nothing is written any more.
    pub fn damage(&self) -> Option<Error> {
        self.inner.damage.get().cloned()
    }

    /// Looks for damage, on a thread of its own. No more than [`crate::FINDING_COUNT_MAX`] findings; none: all is sound.
    /// Dropped, it stops.
    ///
    /// # Errors
    /// What the disk says. Damage is a finding, and no error.
    pub async fn check(&self, depth: Depth) -> Result<Vec<Finding>, Error> {
        let (reply, answer) = oneshot::channel();
        let data_dir = self.inner.data_dir.as_path();
        let checking = Checking::begin(data_dir, move |db, is_called_off| {
            // Nobody waits if the asking future was dropped.
            let _ = reply.send(check::look(db, depth, is_called_off));
        });
        let checking = checking.map_err(|error| error.in_folder(data_dir))?;
        let findings = answer.await.unwrap_or(Err(Error::Closed));
        drop(checking);
        findings.map_err(|error| error.in_folder(data_dir))
    }

    /// Says where this process listens, so that others find it.
    pub fn announce(&self, owner: &Owner) -> Result<(), Error> {
        let lock = self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.as_ref().ok_or(Error::Closed)?.announce(owner)
    }

    /// Who has the folder now; `None`: nobody. Opens nothing and creates nothing.
    pub fn owner_of(data_dir: &Path) -> Result<Option<Owner>, Error> {
        folder::owner_of(data_dir)
    }

    /// Appends events to a run's log. When it returns, they are on the disk and in the projections.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the run is at another version, [`Error::StartKeyTaken`], or what the disk says. Nothing
    /// was stored then.
    pub async fn append(&self, append: Append) -> Result<Vec<Recorded>, Error> {
        let append = Box::new(AppendJob::new(append, self.inner.texts)?);
        self.inner.writer.ask(|reply| Job::Append { append, reply }).await
    }

    /// Notes that a call is about to be asked, without waiting: this is what is known of it if the host dies in a moment.
    /// An answer that comes within the moment is written together with the note.
    pub fn note_call_started(&self, call: CallStarted) {
        let name = call.call.clone();
        let sent = Noted::new(call, self.inner.texts)
            .and_then(|noted| self.inner.writer.send(Job::NoteStarted(Box::new(noted))));
        if let Err(error) = sent {
            tracing::warn!(call.id = %name, %error, "that the model call `{name}` was begun could not be noted");
        }
    }

    /// Keeps a call that belongs to no event. When it returns, it is on the disk.
    pub async fn keep_answer(&self, answer: CallAnswered) -> Result<(), Error> {
        let outcome = Box::new(Outcome::new(answer, self.inner.texts)?);
        self.inner.writer.ask(|reply| Job::KeepAnswer { outcome, note: None, reply }).await
    }

    /// Marks open calls that belong to no run as canceled. For a start: whoever asked them is gone. Calls of runs stay
    /// open, because their attempts ask them again.
    pub async fn close_open_chats(&self, at: Timestamp) -> Result<(), Error> {
        self.inner.writer.ask(|reply| Job::CloseOpenChats { at, reply }).await
    }

    /// The calls of an attempt by their ordinal.
    pub async fn journaled(
        &self,
        run: &RunId,
        stage: &StageKey,
        attempt: u32,
    ) -> Result<Vec<Journaled>, Error> {
        let (run, stage) = (run.clone(), stage.clone());
        self.inner.readers.ask(move |db| calls::journaled(db, &run, &stage, attempt)).await
    }

    /// What each stage used up over all its attempts; stages that asked nothing are left out.
    pub async fn spent(&self, run: &RunId) -> Result<Vec<StageSpent>, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| calls::spent(db, &run)).await
    }

    /// Events behind a version, oldest first; none for a run that does not exist.
    pub async fn events_after(
        &self,
        run: &RunId,
        version: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| events::after(db, &run, version, limit)).await
    }

    /// Runs that are queued or running, by the time of their creation.
    pub async fn active_runs(&self) -> Result<Vec<RunId>, Error> {
        self.inner.readers.ask(runs::active).await
    }

    /// Runs for which time brings about something, at most `limit`, by that time; those behind one of them, or from the
    /// first on.
    pub async fn wakes(&self, behind: Option<Wake>, limit: usize) -> Result<Vec<Wake>, Error> {
        self.inner.readers.ask(move |db| runs::wakes(db, behind.as_ref(), limit)).await
    }

    /// Grants so far at a gate that takes several, the last one excepted, in their order.
    pub async fn grants(&self, approval: &ApprovalId) -> Result<Vec<GrantRow>, Error> {
        let approval = approval.clone();
        self.inner.readers.ask(move |db| approvals::grants(db, &approval)).await
    }

    /// What a start key has started.
    pub async fn started_with(&self, key: &str) -> Result<Option<StartedWith>, Error> {
        let key = key.to_owned();
        self.inner.readers.ask(move |db| start_keys::find(db, &key)).await
    }

    pub async fn run(&self, run: &RunId) -> Result<Option<RunRow>, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| runs::one(db, &run)).await
    }

    /// The plan that a run is bound to. Rows do not carry it: it is by far the largest thing about a run.
    pub async fn plan(&self, run: &RunId) -> Result<Option<Arc<Plan>>, Error> {
        let run = run.clone();
        let first = self.inner.readers.ask(move |db| events::first(db, &run)).await?;
        Ok(match first {
            Some(Event::RunCreated(created)) => Some(Arc::new(created.plan.clone())),
            _ => None,
        })
    }

    /// Runs, newest first.
    pub async fn runs(&self, filter: RunFilter, page: Page) -> Result<Listed<RunRow>, Error> {
        self.inner.readers.ask(move |db| runs::list(db, &filter, &page)).await
    }

    /// The stages of a run in the order of its plan.
    pub async fn stages(&self, run: &RunId) -> Result<Vec<StageRow>, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| stages::list(db, &run)).await
    }

    pub async fn approval(&self, approval: &ApprovalId) -> Result<Option<ApprovalRow>, Error> {
        let approval = approval.clone();
        self.inner.readers.ask(move |db| approvals::one(db, &approval)).await
    }

    /// Approvals, newest first.
    pub async fn approvals(
        &self,
        filter: ApprovalFilter,
        page: Page,
    ) -> Result<Listed<ApprovalRow>, Error> {
        self.inner.readers.ask(move |db| approvals::list(db, &filter, &page)).await
    }

    /// Every version of every artifact of a run, in the order of its plan, then by name and version.
    pub async fn artifacts(&self, run: &RunId) -> Result<Vec<ArtifactRow>, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| artifacts::list(db, &run)).await
    }

    /// An artifact with its text; without a version, the newest.
    pub async fn artifact(
        &self,
        run: &RunId,
        stage: &StageKey,
        name: &ArtifactName,
        version: Option<u32>,
    ) -> Result<Option<(ArtifactRow, String)>, Error> {
        let (run, stage, name) = (run.clone(), stage.clone(), name.clone());
        self.inner.readers.ask(move |db| artifacts::one(db, &run, &stage, &name, version)).await
    }

    /// The texts with these digests, in this order.
    ///
    /// # Errors
    /// [`Error::Damaged`] if one is missing.
    pub async fn bodies(&self, digests: Vec<Digest>) -> Result<Vec<String>, Error> {
        let bodies =
            move |db: &_| digests.iter().map(|digest| artifacts::body(db, digest)).collect();
        self.inner.readers.ask(bodies).await
    }

    /// The context variables of a run, in the order in which they were first set.
    pub async fn variables(&self, run: &RunId) -> Result<Vec<Variable>, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| variables::list(db, &run)).await
    }

    /// Calls of a run, oldest first; or calls of all runs and chats, newest first. A page takes
    /// milliseconds however many calls there are: where it would have to look at very many that have only one of the
    /// things that are wanted, it ends early, with few rows or none, and says where the next one starts.
    pub async fn calls(&self, filter: CallFilter, page: Page) -> Result<Listed<CallRow>, Error> {
        self.inner.readers.ask(move |db| calls::list(db, &filter, &page)).await
    }

    pub async fn call(&self, call: &CallId) -> Result<Option<CallDetail>, Error> {
        let call = call.clone();
        self.inner.readers.ask(move |db| calls::one(db, &call)).await
    }

    /// What the calls of a run used up together.
    pub async fn usage(&self, run: &RunId) -> Result<UsageSum, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| calls::usage(db, &run)).await
    }

    /// What calls that have ended used up, summed up by some keys; in the order of the keys, days first to last. Without
    /// keys: one row, the sum of all. At most one row more than [`crate::USAGE_GROUP_COUNT_MAX`]: it says that some groups are missing.
    pub async fn usage_by(
        &self,
        filter: UsageFilter,
        keys: Vec<UsageKey>,
    ) -> Result<Vec<UsageRow>, Error> {
        self.inner.readers.ask(move |db| calls::usage_by(db, &filter, &keys)).await
    }

    /// What calls used up that ended in the day (UTC) of a time, by all providers or by one.
    pub async fn spent_in_day(
        &self,
        at: Timestamp,
        provider: Option<&str>,
    ) -> Result<DaySpent, Error> {
        let provider = provider.map(str::to_owned);
        self.inner.readers.ask(move |db| calls::spent_in_day(db, at, provider.as_deref())).await
    }

    /// What the attempts of a run, or of one of its stages, logged and used up, by the time of their start.
    pub async fn attempt_logs(
        &self,
        run: &RunId,
        stage: Option<&StageKey>,
    ) -> Result<Vec<AttemptRecord>, Error> {
        let (run, stage) = (run.clone(), stage.cloned());
        self.inner.readers.ask(move |db| attempts::list(db, &run, stage.as_ref())).await
    }

    /// Whether the projections of a run are what its log says; the inner error says where they differ.
    pub async fn projections_equal_replay(&self, run: &RunId) -> Result<Result<(), String>, Error> {
        let run = run.clone();
        self.inner.readers.ask(move |db| replay::compare(db, &run)).await
    }

    /// Makes every projection again from the log, and the sums of usage from the journal. Nothing else is written meanwhile.
    pub async fn rebuild_projections(&self) -> Result<(), Error> {
        self.inner.writer.ask(|reply| Job::RebuildProjections { reply }).await
    }

    /// Brings `runs/<run_id>/` up to date with the database. Writes only what differs, each file as a whole. A run that
    /// does not exist has no files.
    pub async fn write_run_files(&self, run: &RunId) -> Result<(), Error> {
        let (run, data_dir) = (run.clone(), self.inner.data_dir.clone());
        let name = run.clone();
        let written = self.inner.files.ask(move |db| run_files::write(db, &data_dir, &run)).await?;
        match written {
            Some(version) => {
                let job = |reply| Job::FilesWritten { run: name, version, reply };
                self.inner.writer.ask(job).await
            }
            None => Ok(()),
        }
    }

    /// Runs whose files are older than their log, missing, or not of the size that they should have.
    pub async fn runs_with_stale_files(&self) -> Result<Vec<RunId>, Error> {
        let data_dir = self.inner.data_dir.clone();
        self.inner.files.ask(move |db| run_files::stale(db, &data_dir)).await
    }

    /// Lets a test wait for the check that a start has begun.
    #[cfg(test)]
    pub(crate) fn wait_for_check(&self) {
        let checking = self.inner.checking.lock().unwrap().take();
        checking.into_iter().for_each(Checking::wait);
    }

    /// Lets a test do something to the writer's connection.
    #[cfg(test)]
    pub(crate) async fn tamper(&self, with: fn(&rusqlite::Connection)) -> Result<(), Error> {
        self.inner.writer.ask(|reply| Job::Tamper { with, reply }).await
    }

    /// Lets a test ask the database what the API does not tell.
    #[cfg(test)]
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&rusqlite::Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.readers.ask(question).await
    }
}

fn check_in_background(data_dir: &Path, damage: &Arc<Damage>) -> Result<Checking, Error> {
    let (folder, damage) = (data_dir.to_owned(), Arc::clone(damage));
    let checking = Checking::begin(data_dir, move |db, is_called_off| {
        let found = check::quick(db).map_err(|error| error.in_folder(&folder));
        if is_called_off.load(Ordering::Relaxed) {
            return;
        }
        match found {
            Ok(findings) if findings.is_empty() => {}
            Ok(findings) => {
                let error = check::damage_of(&findings).in_folder(&folder);
                tracing::error!(%error, "the database is damaged: nothing is written any more");
                damage.found(error);
            }
            Err(error) => tracing::warn!(%error, "the database could not be checked"),
        }
    });
    checking.map_err(|error| error.in_folder(data_dir))
}
