//! Keeps the files that a person may open up to date with the log. They follow their events by moments and are never
//! read back: what is missing or old after a crash is written again at the next start.
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::RunId;
use domain::run::Event;
use store::Store;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long changes are gathered before files are written. A run whose models answer at once changes its files many
/// times within this time, and creating a file costs more than everything else that is done for an event; a person
/// who looks into the folder does not notice it.
const GATHERING: Duration = Duration::from_millis(100);

/// Longest time that changes are gathered. Under load files are gathered for as long as it took to write the last ones, so
/// that they take at most half of a thread: a run that goes through its stages in milliseconds is written once or twice
/// then, and not after each of them. Two seconds are what a person waits who looks into the folder of a busy host.
const GATHERING_MAX: Duration = Duration::from_secs(2);

/// How long files are still written after the order to stop. What is left is written by the next start.
const STOPPING_TIME_MAX: Duration = Duration::from_secs(2);

/// Runs whose files are older than their log.
pub(crate) struct RunFiles {
    waiting: Mutex<BTreeSet<RunId>>,
    /// Runs that wait or are being written; and one more until those of earlier processes are known.
    open: watch::Sender<usize>,
    /// Somebody waits for the files.
    hurry: Notify,
}

impl RunFiles {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::new(BTreeSet::new()),
            open: watch::Sender::new(1),
            hurry: Notify::new(),
        }
    }

    /// Whether an event changes what the files say.
    pub(crate) fn shows(event: &Event) -> bool {
        match event {
            Event::StageStarted { .. }
            | Event::ModelAnswered { .. }
            | Event::GateGrantAdded { .. }
            | Event::GateReminded { .. }
            | Event::GateEscalated { .. }
            | Event::RetryDue { .. }
            | Event::BudgetWarned { .. } => false,
            Event::RunCreated(_)
            | Event::StageFinished { .. }
            | Event::StageFailed { .. }
            | Event::GateOpened { .. }
            | Event::BudgetGateOpened { .. }
            | Event::GateGranted { .. }
            | Event::GateRejected { .. }
            | Event::GateRevised { .. }
            | Event::ArtifactsEdited { .. }
            | Event::RetryScheduled { .. }
            | Event::RetriesSpent { .. }
            | Event::PauseRequested { .. }
            | Event::RunPaused
            | Event::RunResumed { .. }
            | Event::RunRetried { .. }
            | Event::RunCompleted
            | Event::RunFailed { .. }
            | Event::RunCanceled { .. } => true,
        }
    }

    /// Has the files of these runs written, which earlier processes left behind. To be called once.
    pub(crate) fn begin(&self, stale: &[RunId]) {
        stale.iter().for_each(|run| self.mark(run));
        self.open.send_modify(|open| *open -= 1);
    }

    /// Has the files of a run written soon.
    pub(crate) fn mark(&self, run: &RunId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.insert(run.clone()) {
            self.open.send_modify(|open| *open += 1);
        }
    }

    /// Waits until all that was marked is on disk, or could not be written.
    pub(crate) async fn flushed(&self) {
        self.hurry.notify_one();
        // The sender lives as long as `self`, so that this cannot fail.
        self.open.subscribe().wait_for(|open| *open == 0).await.ok();
    }

    /// Writes until `stop`, and then what is left, unless everything is to end `at_once`.
    pub(crate) async fn write(
        &self,
        store: &Store,
        stop: CancellationToken,
        at_once: CancellationToken,
    ) {
        let mut open = self.open.subscribe();
        let mut gathering = GATHERING;
        loop {
            tokio::select! {
                _ = open.wait_for(|open| *open > 0) => {}
                () = stop.cancelled() => {}
            }
            tokio::select! {
                () = tokio::time::sleep(gathering) => {}
                () = self.hurry.notified() => {}
                () = stop.cancelled() => {}
            }
            let begun = Instant::now();
            self.write_waiting(store, &stop, &at_once).await;
            gathering = begun.elapsed().clamp(GATHERING, GATHERING_MAX);
            if stop.is_cancelled() && *open.borrow_and_update() == 0 {
                return;
            }
        }
    }

    async fn write_waiting(
        &self,
        store: &Store,
        stop: &CancellationToken,
        at_once: &CancellationToken,
    ) {
        let mut left_until = None;
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for run in waiting {
            if stop.is_cancelled() {
                let until = *left_until.get_or_insert_with(|| Instant::now() + STOPPING_TIME_MAX);
                if at_once.is_cancelled() || Instant::now() >= until {
                    self.open.send_modify(|open| *open -= 1);
                    continue;
                }
            }
            if let Err(error) = store.write_run_files(&run).await {
                tracing::error!(run.id = %run, %error, "the files of `{run}` could not be written; the next start tries again");
            }
            self.open.send_modify(|open| *open -= 1);
        }
    }
}
