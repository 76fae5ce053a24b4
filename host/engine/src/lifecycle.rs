//! The engine from its start to its end: what it is made of, and the tasks that are joined when it stops.
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use domain::RunId;
use domain::port::{PluginCatalog, StageRunner};
use domain::run::{Command, Created, Recorded, RunState, Status};
use gateway::{Gateway, Web};
use profile::Library;
use store::{Beside, Store};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budget::DayLedger;
use crate::files::RunFiles;
use crate::finishing::Finishing;
use crate::registry::{Locked, Registry, Room, RunCell};
use crate::timers::Timers;
use crate::{Clock, DriveOnStart, Error, Settings, Subscription};

/// What the engine works with.
pub struct Parts {
    /// Keeps everything.
    pub store: Store,
    /// Asks models.
    pub gateway: Gateway,
    /// Runs stages.
    pub runner: Arc<dyn StageRunner>,
    /// Knows the plugins.
    pub catalog: Arc<dyn PluginCatalog>,
    /// Where profiles lie beside those that are shipped.
    pub profile_folders: Vec<PathBuf>,
    /// Tells the time.
    pub clock: Clock,
}

/// Carries runs out. Cheap to clone; clones are the same engine.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    /// What today's budgets have left.
    pub(crate) days: Arc<DayLedger>,
    /// One permit for each attempt that may run.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) timers: Timers,
    /// Sends HTTP requests of stages.
    pub(crate) web: Web,
    /// Copies of plugins go only while nobody reads here: a backup has runs that are still bound to them.
    pub(crate) copies: RwLock<()>,
    files: RunFiles,
    tasks: TaskTracker,
    /// Nothing new begins.
    pub(crate) draining: CancellationToken,
    /// What still runs is given up.
    pub(crate) giving_up: CancellationToken,
    file_writer: TaskTracker,
    file_writer_stop: CancellationToken,
    /// Not even files are written any more.
    at_once: CancellationToken,
}

impl Engine {
    /// Starts the engine; unfinished runs go on by themselves unless the settings say otherwise.
    ///
    /// # Errors
    /// [`Error::Store`] if the log cannot be read.
    pub async fn start(parts: Parts, settings: Settings) -> Result<Engine, Error> {
        let budgets = settings.budgets.clone();
        let web = Web::new(settings.http.private_hosts.clone());
        let days = DayLedger::open(&parts.store, budgets, parts.clock.now()).await?;
        let engine = Engine(Arc::new(Inner {
            days: Arc::new(days),
            slots: Arc::new(Semaphore::new(settings.attempt_count_max.max(1))),
            parts,
            settings,
            registry: Registry::default(),
            timers: Timers::default(),
            web,
            copies: RwLock::new(()),
            files: RunFiles::new(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            giving_up: CancellationToken::new(),
            file_writer: TaskTracker::new(),
            file_writer_stop: CancellationToken::new(),
            at_once: CancellationToken::new(),
        }));
        let inner = &engine.0;
        // First of all that may fail: nothing is spawned by a start that fails.
        let unfinished = match inner.settings.drive_on_start {
            DriveOnStart::UnfinishedRuns => {
                inner.parts.store.close_open_chats(inner.parts.clock.now()).await?;
                inner.parts.store.active_runs().await?
            }
            DriveOnStart::Nothing => Vec::new(),
        };
        let writing = Arc::clone(inner);
        inner.file_writer.spawn(async move {
            writing.remove_left_files().await;
            writing.mark_stale_files().await;
            let (stop, at_once) = (writing.file_writer_stop.clone(), writing.at_once.clone());
            writing.files.write(&writing.parts.store, stop, at_once).await;
        });
        inner.file_writer.close();
        for run in unfinished {
            inner.begin_driving(&inner.registry.cell(&run)).await;
        }
        match inner.settings.drive_on_start {
            DriveOnStart::UnfinishedRuns => inner.spawn(Arc::clone(inner).keep_time()),
            DriveOnStart::Nothing => {}
        }
        Ok(engine)
    }

    /// Begins nothing new, lets open model calls end within the grace of the settings, and joins every task. What is
    /// not done then goes on at the next start.
    pub async fn shutdown(&self) {
        let inner = &self.0;
        inner.draining.cancel();
        inner.tasks.close();
        if tokio::time::timeout(inner.settings.shutdown_grace, inner.tasks.wait()).await.is_err() {
            inner.giving_up.cancel();
            inner.tasks.wait().await;
        }
        inner.file_writer_stop.cancel();
        inner.file_writer.wait().await;
    }

    /// Gives up whatever is open, so that a [`Engine::shutdown`] that is under way, or comes, ends as soon as what is being
    /// written to the log is on disk. Nothing is lost: what was open goes on at the next start, where a question that was
    /// not answered is asked again under the same key.
    pub fn stop_at_once(&self) {
        let inner = &self.0;
        inner.draining.cancel();
        inner.at_once.cancel();
        inner.giving_up.cancel();
    }

    /// Waits until the files of all runs are on disk as the log has them.
    pub async fn flush_files(&self) {
        self.0.files.flushed().await;
    }

    /// Watches a run. Subscribe first and read the log second, so that nothing falls in between.
    pub fn subscribe(&self, run: &RunId) -> Subscription {
        Subscription::new(self.0.registry.cell(run), self.0.draining.clone())
    }

    /// The profiles as they lie on disk at this moment.
    pub fn profiles(&self) -> Library {
        Library::load(&self.0.parts.profile_folders)
    }

    /// The plugins.
    pub fn catalog(&self) -> &dyn PluginCatalog {
        &*self.0.parts.catalog
    }

    /// The providers.
    pub fn gateway(&self) -> &Gateway {
        &self.0.parts.gateway
    }

    /// The store, for everything that only reads.
    pub fn store(&self) -> &Store {
        &self.0.parts.store
    }

    /// How the engine works.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Does something that is finished also if whoever asked goes away.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        // Held from before the look: a shutdown that begins after it waits for the work.
        let _token = self.0.tasks.token();
        if self.0.draining.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        self.0.finish(work).await
    }
}

/// A run after a command.
pub(crate) struct Settled {
    pub(crate) status: Status,
}

impl Inner {
    /// Decides, appends, and has done what is to be done next.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        cell: &Arc<RunCell>,
        command: Command,
        beside: Vec<Beside>,
    ) -> Result<Settled, Error> {
        let mut locked = cell.lock(&self.parts.store).await;
        self.commit_locked(cell, &mut locked, command, beside).await?;
        let status = locked.run().await?.status();
        Ok(Settled { status })
    }

    /// The same for whoever has locked the run, to look at it before. Gives what was appended.
    pub(crate) async fn commit_locked(
        self: &Arc<Self>,
        cell: &Arc<RunCell>,
        locked: &mut Locked<'_>,
        command: Command,
        beside: Vec<Beside>,
    ) -> Result<Vec<Recorded>, Error> {
        let slot = if locked.slot.is_driven { None } else { self.free_slot() };
        let room = room_of(slot.as_ref());
        let recorded = locked.commit(command, beside, self.parts.clock.now(), room).await?;
        if recorded.iter().any(|recorded| RunFiles::shows(&recorded.event)) {
            self.files.mark(&cell.id);
        }
        let run = locked.run().await?;
        if let Some(wakes_at) = run.wakes_at().filter(|_| !recorded.is_empty()) {
            self.timers.expect(wakes_at);
        }
        let is_running = matches!(run.state(), RunState::Running { .. });
        let has_more = run.next_effect().is_some();
        if !is_running {
            // An attempt that still runs, runs for nothing.
            locked.slot.stop.cancel();
        }
        if has_more && !locked.slot.is_driven {
            locked.slot.is_driven = true;
            self.spawn_driver(cell, slot);
        }
        Ok(recorded)
    }

    /// Appends the first event of a run, and has it carried out.
    pub(crate) async fn create(
        self: &Arc<Self>,
        run: &RunId,
        created: Arc<Created>,
        beside: Vec<Beside>,
    ) -> Result<Settled, Error> {
        let cell = self.registry.cell(run);
        let mut locked = cell.lock(&self.parts.store).await;
        let slot = self.free_slot();
        let room = room_of(slot.as_ref());
        locked.create(created, beside, self.parts.clock.now(), room).await?;
        self.files.mark(run);
        locked.slot.is_driven = true;
        self.spawn_driver(&cell, slot);
        Ok(Settled { status: locked.run().await?.status() })
    }

    /// Has a run carried out if it is not yet.
    pub(crate) async fn begin_driving(self: &Arc<Self>, cell: &Arc<RunCell>) {
        let mut locked = cell.lock(&self.parts.store).await;
        if !locked.slot.is_driven {
            locked.slot.is_driven = true;
            self.spawn_driver(cell, None);
        }
    }

    /// Has the files written that an earlier process left behind, or that somebody removed. Looking at the files of
    /// ten thousand runs takes longer than a start may take, so that nothing waits for it.
    async fn mark_stale_files(&self) {
        let stale = match self.settings.drive_on_start {
            DriveOnStart::Nothing => Ok(Vec::new()),
            DriveOnStart::UnfinishedRuns => tokio::select! {
                stale = self.parts.store.runs_with_stale_files() => stale,
                // The next start looks again.
                () = self.file_writer_stop.cancelled() => Ok(Vec::new()),
            },
        };
        let stale = stale.unwrap_or_else(|error| {
            tracing::error!(%error, "missing files of runs could not be looked for");
            Vec::new()
        });
        self.files.begin(&stale);
    }

    /// Marks the files of a run that came from elsewhere.
    pub(crate) fn mark_files(&self, run: &RunId) {
        self.files.mark(run);
    }

    /// Room for one attempt, if there is some and nobody waits for it.
    fn free_slot(&self) -> Option<OwnedSemaphorePermit> {
        let is_free = !self.draining.is_cancelled();
        is_free.then(|| Arc::clone(&self.slots).try_acquire_owned().ok()).flatten()
    }

    fn spawn_driver(self: &Arc<Self>, cell: &Arc<RunCell>, slot: Option<OwnedSemaphorePermit>) {
        self.tasks.spawn(Arc::clone(self).drive(Arc::clone(cell), slot));
    }

    /// Does something; if whoever waits is dropped, it is finished all the same.
    pub(crate) fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Finishing<T> {
        Finishing::new(&self.tasks, work)
    }

    /// Something that is finished even if nobody waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Something that blocks its thread: reading files, compiling a component.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> T {
        let inner = Arc::clone(self);
        match self.tasks.spawn_blocking(move || work(&inner)).await {
            Ok(outcome) => outcome,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}

fn room_of(slot: Option<&OwnedSemaphorePermit>) -> Room {
    slot.map_or(Room::None, |_| Room::ForOne)
}
