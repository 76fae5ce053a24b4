//! A check on a thread and a connection of its own, so that neither a list nor a file of a run waits for it.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};

use crate::{Error, database};

/// Pause between two wishes to stop: one that comes just before a statement begins is lost.
const STOP_PAUSE: Duration = Duration::from_millis(5);

/// A check that is under way. Dropped, it is called off and waited for.
pub(crate) struct Checking {
    interrupt: InterruptHandle,
    is_called_off: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checking {
    /// Begins it.
    pub(crate) fn begin(
        data_dir: &Path,
        work: impl FnOnce(&Connection, &AtomicBool) + Send + 'static,
    ) -> Result<Self, Error> {
        let db = database::open_reader(data_dir)?;
        let interrupt = db.get_interrupt_handle();
        let is_called_off = Arc::new(AtomicBool::new(false));
        let called_off = Arc::clone(&is_called_off);
        let thread = thread::Builder::new().name("store-check".to_owned());
        let thread = thread
            .spawn(move || work(&db, &called_off))
            .map_err(|error| Error::io(data_dir, error))?;
        Ok(Self { interrupt, is_called_off, thread: Some(thread) })
    }

    /// Waits for its end without calling it off.
    #[cfg(test)]
    pub(crate) fn wait(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Checking {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.is_called_off.store(true, Ordering::Relaxed);
        while !thread.is_finished() {
            self.interrupt.interrupt();
            thread::sleep(STOP_PAUSE);
        }
        if thread.join().is_err() {
            tracing::error!("a check of the database panicked");
        }
    }
}
