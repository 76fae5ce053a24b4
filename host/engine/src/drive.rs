//! Carries one run out: a task per run that has something to do, and none for a run that waits.
use std::sync::Arc;
use std::time::Duration;

use domain::StageIdx;
use domain::run::{Command, Effect, Run};
use store::Beside;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::lifecycle::{Inner, Settled};
use crate::registry::RunCell;

/// First wait before something is written again that could not be written.
const DISK_WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait. A person who makes room on a disk sees runs go on within this time.
const DISK_WAIT_MAX: Duration = Duration::from_secs(5);

/// What a driver does next.
enum Step {
    Start(StageIdx),
    Attempt(Box<AttemptStep>),
}

/// An attempt that is to be run.
pub(crate) struct AttemptStep {
    /// The run as the attempt finds it.
    pub(crate) run: Run,
    pub(crate) stage: StageIdx,
    pub(crate) attempt: u32,
    /// Fires when the run does not want the attempt any more.
    pub(crate) stop: CancellationToken,
}

/// A wait that doubles.
struct Backoff(Duration);

impl Inner {
    /// Does what the run wants until it wants nothing, or the host shuts down.
    pub(crate) async fn drive(self: Arc<Self>, cell: Arc<RunCell>) {
        let asked_at = self.parts.clock.now();
        let Some(_slot) = self.slot().await else { return };
        let mut queue_ms = self.parts.clock.now().ms_since(asked_at);
        let mut backoff = Backoff(DISK_WAIT_MIN);
        while !self.draining.is_cancelled() {
            let outcome = match self.next_step(&cell).await {
                Ok(None) => return,
                Ok(Some(Step::Start(stage))) => {
                    self.commit(&cell, Command::StartStage { stage }, Vec::new()).await.map(drop)
                }
                Ok(Some(Step::Attempt(step))) => {
                    let outcome = self.run_attempt(&cell, *step, queue_ms).await;
                    queue_ms = 0;
                    outcome
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => backoff = Backoff(DISK_WAIT_MIN),
                // Somebody was quicker; the next look says what is to be done.
                Err(Error::Refused { .. }) => {}
                Err(error) => {
                    tracing::error!(run.id = %cell.id, %error, "run `{}` cannot go on; trying again", cell.id);
                    backoff.wait(&self.draining).await;
                }
            }
        }
    }

    /// Room for one attempt; `None` when the host shuts down.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            // The semaphore is never closed.
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok(),
            () = self.draining.cancelled() => None,
        }
    }

    /// What the run wants. The answer, the mark that nobody drives it, and the token that stops an attempt change
    /// under one lock, so that no wish falls between two drivers and no cancellation between two tokens.
    async fn next_step(&self, cell: &RunCell) -> Result<Option<Step>, Error> {
        let mut locked = cell.lock(&self.parts.store).await;
        let run = match locked.run().await {
            Ok(run) => run,
            // A log without a beginning has nothing to drive.
            Err(Error::UnknownRun(_)) => {
                locked.slot.is_driven = false;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let step = match run.next_effect() {
            None => None,
            Some(Effect::StartStage { stage }) => Some(Step::Start(stage)),
            Some(Effect::RunAttempt { stage, attempt }) => {
                let stop = CancellationToken::new();
                let step = AttemptStep { run: run.clone(), stage, attempt, stop: stop.clone() };
                locked.slot.stop = stop;
                Some(Step::Attempt(Box::new(step)))
            }
        };
        locked.slot.is_driven = step.is_some();
        Ok(step)
    }

    /// Commits what must not be lost, such as an answer that was paid for: while the disk is full or fails, it is
    /// tried again until the host gives up. The caller's own deadline bounds it.
    pub(crate) async fn commit_patiently(
        self: &Arc<Self>,
        cell: &Arc<RunCell>,
        command: Command,
        beside: Vec<Beside>,
    ) -> Result<Settled, Error> {
        let mut backoff = Backoff(DISK_WAIT_MIN);
        loop {
            match self.commit(cell, command.clone(), beside.clone()).await {
                Err(Error::Store(error)) if may_pass(&error) && !self.giving_up.is_cancelled() => {
                    tracing::error!(run.id = %cell.id, %error, "a result of `{}` cannot be kept; trying again", cell.id);
                    backoff.wait(&self.giving_up).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether waiting helps: somebody may make room, or the disk may come back.
fn may_pass(error: &store::Error) -> bool {
    use store::Error;
    match error {
        Error::Full { .. }
        | Error::ReadOnly { .. }
        | Error::Io { .. }
        | Error::Database { .. }
        // The next try reads the log again.
        | Error::Conflict { .. } => true,
        Error::Locked { .. }
        | Error::StartKeyTaken { .. }
        | Error::BadCursor
        | Error::Damaged { .. }
        | Error::Newer { .. }
        | Error::Closed => false,
    }
}

impl Backoff {
    async fn wait(&mut self, unless: &CancellationToken) {
        tokio::select! {
            () = tokio::time::sleep(self.0) => {}
            () = unless.cancelled() => {}
        }
        self.0 = (self.0 * 2).min(DISK_WAIT_MAX);
    }
}
