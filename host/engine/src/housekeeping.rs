//! What keeps a data folder in order: runs that have ended are removed, runs go to other hosts and come from them, and
//! the whole folder is copied while it is in use.
//!
//! Invariants: a run is removed, or taken in, by whoever holds its lock, and only while nobody carries it out; and no copy
//! of a plugin goes while a backup is made, so that it has those of all its runs.
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::RunId;
use domain::plan::Plan;
use domain::run::{Command, Status};
use futures_util::stream::{self, StreamExt};
use store::{
    ArchiveError, CheckedArchive, KeepRule, PrunableRun, PruneWish, Removal, Secrets, check_archive,
};

use crate::lifecycle::Inner;
use crate::{Engine, Error};

/// Most runs that are planned, or removed, at a time: whoever asked hears of it within seconds.
pub const PRUNED_RUN_COUNT_MAX: usize = 1_000;
/// Runs that are removed side by side: they share waits for the disk, and leave room for whoever works.
const REMOVED_AT_ONCE: usize = 8;
/// How often it is looked whether nobody carries out a run any more that is to be removed.
const DRIVER_LOOK_COUNT_MAX: u32 = 50;
/// Between two looks: an ended run is let go within milliseconds, unless its model is slow to hang up.
const DRIVER_LOOK_PAUSE: Duration = Duration::from_millis(10);
/// Between two times that a server removes what may go.
const PRUNE_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// Who pauses a run that comes from another host.
pub const IMPORT_ACTOR: &str = "stagewright:import";

/// Which ended runs stay. Where nothing is said, all do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// For modes that have no rule of their own.
    pub usual: KeepRule,
    /// By effective mode.
    pub by_mode: BTreeMap<String, KeepRule>,
}

impl Retention {
    /// Whether it lets any run go.
    pub fn is_bound(&self) -> bool {
        self.usual.is_bound() || self.by_mode.values().any(KeepRule::is_bound)
    }
}

/// Whether runs are removed, or only named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneDoing {
    /// Nothing is removed.
    Plan,
    /// They are removed.
    Remove,
}

/// Remove runs that have ended.
#[derive(Debug, Clone)]
pub struct Prune {
    /// Which stay.
    pub retention: Retention,
    /// Those of these effective modes alone; empty: of all.
    pub only_modes: Vec<String>,
    /// Whether they are removed.
    pub doing: PruneDoing,
}

/// Runs that were removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// At most [`PRUNED_RUN_COUNT_MAX`], those that ended first before the others.
    pub runs: Vec<PrunableRun>,
    /// Whether there are more.
    pub is_more: bool,
}

/// A run that came from another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The run.
    pub run_id: RunId,
    /// Where it is; paused if it has not ended.
    pub status: Status,
    /// Events that it came with.
    pub event_count: u64,
    /// Model calls that it came with.
    pub call_count: u64,
}

impl Engine {
    /// Removes runs that have ended, or names those that would go. A run that goes on in the meantime stays.
    ///
    /// # Errors
    /// [`Error::Store`]. Each run is there as a whole then, or gone.
    pub async fn prune(&self, ask: Prune) -> Result<Pruned, Error> {
        let (engine, doing) = (self.clone(), ask.doing);
        self.apart(async move {
            let pruned = engine.0.prune(ask, PRUNED_RUN_COUNT_MAX).await?;
            if doing == PruneDoing::Remove {
                engine.0.release_plugins().await;
            }
            Ok(pruned)
        })
        .await
    }

    /// Has runs removed that may go, at once and then every day, until the host shuts down.
    pub fn prune_daily(&self, retention: Retention) {
        let inner = Arc::clone(&self.0);
        self.0.spawn(async move {
            while !inner.draining.is_cancelled() {
                inner.prune_all(&retention, PRUNED_RUN_COUNT_MAX).await;
                tokio::select! {
                    () = tokio::time::sleep(PRUNE_PAUSE) => {}
                    () = inner.draining.cancelled() => {}
                }
            }
        });
    }

    /// The archive of a run, at its beginning.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or [`Error::Archive`] if the run goes on by itself.
    pub async fn export_run(&self, run: &RunId) -> Result<File, Error> {
        let (engine, run) = (self.clone(), run.clone());
        self.apart(async move {
            let writing = engine.0.blocking(move |inner| {
                let (parts, at) = (&inner.parts, inner.parts.clock.now());
                let file = parts.store.export_run(&run, &*parts.catalog, at)?;
                file.ok_or_else(|| Error::UnknownRun(run.clone()))
            });
            writing.await
        })
        .await
    }

    /// Takes in the run of an archive. One that has not ended is paused.
    ///
    /// # Errors
    /// [`Error::Archive`] if the archive cannot be used or its run is here. Nothing was changed then, but for components
    /// that were kept.
    pub async fn import_run(&self, archive: File) -> Result<Imported, Error> {
        let engine = self.clone();
        self.apart(async move {
            let checked = engine.0.blocking(move |_| check_archive(archive)).await?;
            engine.0.import(checked).await
        })
        .await
    }

    /// A copy of the data folder, at its beginning. Runs go on meanwhile. A shutdown does not wait for it.
    ///
    /// # Errors
    /// [`Error::Archive`], or [`Error::ShuttingDown`].
    pub async fn backup(&self, secrets: Secrets) -> Result<File, Error> {
        let engine = self.clone();
        self.apart(async move {
            let _copies_stay = engine.0.copies.read().await;
            let writing = engine.0.blocking(move |inner| {
                let is_called_off = || inner.draining.is_cancelled();
                inner.parts.store.backup(secrets, inner.parts.clock.now(), &is_called_off)
            });
            match writing.await {
                Err(_) if engine.0.draining.is_cancelled() => Err(Error::ShuttingDown),
                written => Ok(written?),
            }
        })
        .await
    }

    /// A file for an archive that is on its way in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn spool_file(&self) -> Result<File, Error> {
        let made = self.0.blocking(|inner| inner.parts.store.spool_file());
        Ok(made.await?)
    }
}

impl Inner {
    /// Plans, or removes, at most so many. The plugins of removed runs are left to [`Inner::release_plugins`].
    async fn prune(self: &Arc<Self>, ask: Prune, run_count_max: usize) -> Result<Pruned, Error> {
        let wish = PruneWish {
            now: self.parts.clock.now(),
            usual: ask.retention.usual,
            by_mode: ask.retention.by_mode,
            only_modes: ask.only_modes,
            run_count_max,
        };
        let plan = self.parts.store.prunable(wish).await?;
        let (is_more, planned) = (plan.is_more, plan.runs);
        if ask.doing == PruneDoing::Plan {
            return Ok(Pruned { runs: planned, is_more });
        }
        let has_failed = AtomicBool::new(false);
        let has_failed = &has_failed;
        let removing = stream::iter(planned).map(|run| async move {
            if has_failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let removed = self.remove(&run.id).await;
            has_failed.fetch_or(removed.is_err(), Ordering::Relaxed);
            removed.map(|is_removed| is_removed.then_some(run))
        });
        // Those that are under way when one fails come to their end: a removal that is dropped in its middle goes on
        // only at the next start.
        let removed: Vec<Result<_, Error>> = removing.buffered(REMOVED_AT_ONCE).collect().await;
        let removed = removed.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Pruned { runs: removed.into_iter().flatten().collect(), is_more })
    }

    /// Removes the copies of plugins that no run is bound to any more. What fails is tried again by the next time.
    async fn release_plugins(self: &Arc<Self>) {
        let Ok(_no_backup) = self.copies.try_write() else {
            tracing::debug!(
                "copies of plugins stay while a backup is made; the next time looks again"
            );
            return;
        };
        // The runs are looked at first: a copy that one needs which begins meanwhile is too young to go.
        let released = match self.parts.store.bound_plugins().await {
            Ok(bound) => {
                let releasing = self.blocking(move |inner| inner.parts.catalog.release(&bound));
                releasing.await.map_err(Error::Plugin)
            }
            Err(error) => Err(error.into()),
        };
        match released {
            Ok(0) => {}
            Ok(count) => {
                tracing::info!(count, "{count} copies of plugins that no run needs were removed");
            }
            Err(error) => {
                tracing::error!(%error, "copies of plugins that no run needs could not be removed; the next time tries again");
            }
        }
    }

    /// Removes a run, unless it goes on.
    async fn remove(self: &Arc<Self>, run: &RunId) -> Result<bool, Error> {
        let cell = self.registry.cell(run);
        let mut locked = cell.lock(&self.parts.store).await;
        // Whoever carried out a run that has just ended is about to let go of it.
        for _ in 0..DRIVER_LOOK_COUNT_MAX {
            if !locked.slot.is_driven {
                break;
            }
            drop(locked);
            tokio::time::sleep(DRIVER_LOOK_PAUSE).await;
            locked = cell.lock(&self.parts.store).await;
        }
        if locked.slot.is_driven {
            return Ok(false);
        }
        let removal = self.parts.store.remove_run(run, self.parts.clock.now()).await;
        if matches!(removal, Ok(Removal::Unknown | Removal::NotEnded)) {
            return Ok(false);
        }
        // Also after a failure, because the run may be gone and only its rest not: whoever asks reads what is there.
        locked.empty();
        self.registry.forget(&cell);
        cell.gone.cancel();
        removal?;
        Ok(true)
    }

    /// Removes all runs that may go, so many at a time, and then what none needs any more.
    pub(crate) async fn prune_all(self: &Arc<Self>, retention: &Retention, at_a_time: usize) {
        let (mut run_count, mut size_bytes) = (0, 0_u64);
        loop {
            let (retention, doing) = (retention.clone(), PruneDoing::Remove);
            let ask = Prune { retention, only_modes: Vec::new(), doing };
            let pruned = match self.prune(ask, at_a_time).await {
                Ok(pruned) => pruned,
                Err(error) => {
                    tracing::error!(%error, "runs that may go could not be removed; the next day tries again");
                    break;
                }
            };
            run_count += pruned.runs.len();
            size_bytes += pruned.runs.iter().map(|run| run.size_bytes).sum::<u64>();
            // What stays although it might go would come again and again.
            if !pruned.is_more || pruned.runs.is_empty() || self.draining.is_cancelled() {
                break;
            }
        }
        self.release_plugins().await;
        tracing::info!(run_count, size_bytes, "{run_count} ended runs were removed");
    }

    /// Removes files of runs that an earlier process was removing.
    pub(crate) async fn remove_left_files(&self) {
        if let Err(error) = self.parts.store.remove_left_files().await {
            tracing::error!(%error, "files of removed runs could not be removed; the next start tries again");
        }
    }

    async fn import(self: &Arc<Self>, archive: CheckedArchive) -> Result<Imported, Error> {
        let mut run = archive.run().clone();
        let run_id = run.id().clone();
        let cell = self.registry.cell(&run_id);
        let _locked = cell.lock(&self.parts.store).await;
        if self.parts.store.run(&run_id).await?.is_some() {
            return Err(ArchiveError::RunExists(run_id).into());
        }
        let following = if run.status().is_final() {
            Vec::new()
        } else {
            let pause = Command::Pause { actor: IMPORT_ACTOR.to_owned() };
            let refused = |refusal| Error::Refused { run: run_id.clone(), refusal };
            run.decide(pause).map_err(refused)?
        };
        following.iter().for_each(|event| run.apply(event));
        let plan = Arc::new(run.plan().clone());
        let (is_ended, kept_plan) = (run.status().is_final(), Arc::clone(&plan));
        let archive = self
            .blocking(move |inner| {
                inner.keep_plugins(&archive, &kept_plan, is_ended).map(|()| archive)
            })
            .await?;
        let (event_count, call_count) = (archive.event_count(), archive.call_count());
        self.parts.store.import_run(archive, following, self.parts.clock.now()).await?;
        self.mark_files(&run_id);
        Ok(Imported { run_id, status: run.status(), event_count, call_count })
    }

    /// Keeps the components that a run is bound to. One that has ended can be looked at without them.
    fn keep_plugins(
        &self,
        archive: &CheckedArchive,
        plan: &Plan,
        is_ended: bool,
    ) -> Result<(), Error> {
        let catalog = &self.parts.catalog;
        for stage in &plan.stages {
            let digest = &stage.plugin.digest;
            if archive.has_plugin(digest) {
                catalog.keep(digest, &archive.plugin(digest)?).map_err(Error::Plugin)?;
            } else if let Err(error) = catalog.pin(digest)
                && !is_ended
            {
                return Err(Error::Plugin(error));
            }
        }
        Ok(())
    }
}
