//! Retention, archives of runs, and backups.
use std::fs::File;

use domain::port::PluginCatalog;
use domain::run::{Event, Recorded};
use domain::{RunId, Timestamp};

use super::Store;
use crate::archive::{self, ArchiveError, CheckedArchive};
use crate::backup::{self, Secrets};
use crate::prune::{self, PrunePlan, PruneWish, Removal, Rest};
use crate::{Error, database, run_files, spool};

impl Store {
    /// Runs that may go, those that ended first before the others. Removes nothing.
    pub async fn prunable(&self, wish: PruneWish) -> Result<PrunePlan, Error> {
        self.inner.readers.ask(move |db| prune::plan(db, &wish)).await
    }

    /// Removes a run that has ended, with everything that is its own. From the first moment on nobody finds it; what is
    /// left of its rows and files goes in pieces, or, if the process dies, at the next start.
    pub async fn remove_run(&self, run: &RunId, at: Timestamp) -> Result<Removal, Error> {
        let name = run.clone();
        let hidden = self.inner.writer.perform(move |db| prune::hide(db, &name, at)).await?;
        if hidden != Removal::Gone {
            return Ok(hidden);
        }
        loop {
            let name = run.clone();
            let rest: Result<Rest, Error> =
                self.inner.writer.perform(move |db| prune::remove_some(db, &name)).await;
            if rest? == Rest::Files {
                break;
            }
        }
        self.remove_files(run).await?;
        Ok(Removal::Gone)
    }

    /// Removes files that are left of removed runs. For a start.
    pub async fn remove_left_files(&self) -> Result<(), Error> {
        for run in self.inner.readers.ask(prune::with_files).await? {
            self.remove_files(&run).await?;
        }
        Ok(())
    }

    async fn remove_files(&self, run: &RunId) -> Result<(), Error> {
        let (name, data_dir) = (run.clone(), self.inner.data_dir.clone());
        self.inner.files.ask(move |db| run_files::remove_all(db, &data_dir, &name)).await?;
        let name = run.clone();
        self.inner.writer.perform(move |db| prune::files_removed(db, &name)).await
    }

    /// A file for something that is needed for a moment; it has no name.
    pub fn spool_file(&self) -> Result<File, Error> {
        spool::nameless(&self.inner.data_dir)
    }

    /// The archive of a run, at its beginning; `None` if there is no such run. Blocks.
    ///
    /// # Errors
    /// [`ArchiveError::RunActive`] if the run goes on by itself, or what the disk says.
    pub fn export_run(
        &self,
        run: &RunId,
        catalog: &dyn PluginCatalog,
        at: Timestamp,
    ) -> Result<Option<File>, ArchiveError> {
        let data_dir = &self.inner.data_dir;
        let db = database::open_reader(data_dir)?;
        archive::write(&db, data_dir, run, catalog, at)
    }

    /// Keeps the run of an archive, with events that follow those that it has; gives the latter as they are recorded.
    ///
    /// # Errors
    /// [`ArchiveError::RunExists`], or what the disk says. Nothing was kept then.
    pub async fn import_run(
        &self,
        archive: CheckedArchive,
        following: Vec<Event>,
        at: Timestamp,
    ) -> Result<Vec<Recorded>, ArchiveError> {
        let work = move |db: &_| archive::insert(db, &archive, &following, at);
        self.inner.writer.perform(work).await
    }

    /// A copy of the data folder as one file, at its beginning; others go on meanwhile, but for the removal of components
    /// that no run is bound to any more: a run of the copy may be. Blocks, and fails soon after it is called off.
    pub fn backup(
        &self,
        secrets: Secrets,
        at: Timestamp,
        is_called_off: &(dyn Fn() -> bool + Sync),
    ) -> Result<File, ArchiveError> {
        let data_dir = &self.inner.data_dir;
        let db = database::open_reader(data_dir)?;
        backup::write(&db, data_dir, secrets, at, is_called_off)
    }
}
