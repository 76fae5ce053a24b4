//! Carries one run out: a task per run that has something to do, and none for a run that waits.
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::run::{Command, Effect, Run, RunState};
use domain::{Fault, FaultKind, StageIdx};
use store::{Beside, CallAnswered};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::lifecycle::{Inner, Settled};
use crate::registry::RunCell;

/// First wait before something is written again that could not be written.
const DISK_WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait. A person who makes room on a disk sees runs go on within this time.
pub(crate) const DISK_WAIT_MAX: Duration = Duration::from_secs(5);

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
    pub(crate) history: History,
    /// Fires when the run does not want the attempt any more.
    pub(crate) stop: CancellationToken,
}

/// What an attempt may have asked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// Nothing: it was begun by this process and is run for the first time.
    None,
    /// Whatever the journal has.
    Journal,
}

/// A wait that doubles.
pub(crate) struct Backoff(Duration);

impl Inner {
    /// Does what the run wants until it wants nothing, or the host shuts down. Waits for room if it is given none.
    pub(crate) async fn drive(
        self: Arc<Self>,
        cell: Arc<RunCell>,
        slot: Option<OwnedSemaphorePermit>,
    ) {
        let asked_at = self.parts.clock.now();
        let slot = match slot {
            Some(slot) => Some(slot),
            None => self.slot().await,
        };
        let Some(_slot) = slot else { return };
        let mut queue_ms = self.parts.clock.now().ms_since(asked_at);
        let mut backoff = Backoff::default();
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
                Ok(()) => backoff = Backoff::default(),
                // Somebody was quicker; the next look says what is to be done.
                Err(Error::Refused { .. }) => {}
                // To go on would ask models for answers that cannot be kept.
                Err(error) if !may_pass(&error) => return self.give_up(&cell, &error).await,
                Err(error) => {
                    tracing::error!(run.id = %cell.id, %error, "run `{}` cannot go on; trying again", cell.id);
                    backoff.wait(&self.draining).await;
                }
            }
        }
    }

    /// Fails the attempt for an error that waiting does not cure, and stops driving the run. If that cannot be written
    /// either, the run rests as it is until somebody asks something of it, or the host starts again.
    async fn give_up(self: &Arc<Self>, cell: &Arc<RunCell>, error: &Error) {
        tracing::error!(run.id = %cell.id, %error, "run `{}` cannot go on", cell.id);
        let mut locked = cell.lock(&self.parts.store).await;
        // Under the same lock as the failure: a retry that comes right after it finds that nobody drives the run.
        locked.slot.is_driven = false;
        let Ok(run) = locked.run().await else { return };
        if let RunState::Running { stage, attempt, .. } = *run.state() {
            let message = format!("the host could not go on with the attempt: {error}");
            let fault = Fault { kind: FaultKind::Host, message };
            let at = self.parts.clock.now();
            let command = Command::FailStage { stage, attempt, fault, at };
            let failed = self.commit_locked(cell, &mut locked, command, Vec::new());
            // It was logged above; there is nowhere else to write it.
            failed.await.ok();
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
                let run = run.clone();
                let history = match locked.take_begun(stage, attempt) {
                    true => History::None,
                    false => History::Journal,
                };
                let step = AttemptStep { run, stage, attempt, history, stop: stop.clone() };
                locked.slot.stop = stop;
                Some(Step::Attempt(Box::new(step)))
            }
        };
        locked.slot.is_driven = step.is_some();
        Ok(step)
    }

    /// Commits what must not be lost, such as an answer that was paid for: while the disk is full or fails, it is
    /// tried again until it succeeds or the host gives up. Nothing else bounds it: to forget would cost money.
    pub(crate) async fn commit_patiently(
        self: &Arc<Self>,
        cell: &Arc<RunCell>,
        command: Command,
        beside: Vec<Beside>,
    ) -> Result<Settled, Error> {
        self.patiently(|| self.commit(cell, command.clone(), beside.clone())).await
    }

    /// Keeps a call that has no place in the log of a run, as patiently.
    pub(crate) async fn keep_patiently(&self, answer: CallAnswered) -> Result<(), Error> {
        let store = &self.parts.store;
        self.patiently(|| async { Ok(store.keep_answer(answer.clone()).await?) }).await
    }

    pub(crate) async fn patiently<T, W: Future<Output = Result<T, Error>>>(
        &self,
        work: impl Fn() -> W,
    ) -> Result<T, Error> {
        let mut backoff = Backoff::default();
        loop {
            match work().await {
                Err(error) if may_pass(&error) && !self.giving_up.is_cancelled() => {
                    tracing::error!(%error, "a result cannot be kept; trying again");
                    backoff.wait(&self.giving_up).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether waiting helps: somebody may make room, or the disk may come back.
pub(crate) fn may_pass(error: &Error) -> bool {
    use store::Error as Cause;
    match error {
        Error::Store(cause) => match cause {
            Cause::Full { .. }
            | Cause::ReadOnly { .. }
            | Cause::Io { .. }
            | Cause::Database { .. }
            // The next try reads the log again.
            | Cause::Conflict { .. } => true,
            Cause::Locked { .. }
            | Cause::StartKeyTaken { .. }
            | Cause::BadCursor
            | Cause::Damaged { .. }
            | Cause::Newer { .. }
            | Cause::Closed => false,
        },
        Error::Invalid(_)
        | Error::UnknownRun(_)
        | Error::UnknownApproval(_)
        | Error::UnknownStage { .. }
        | Error::UnknownAttempt { .. }
        | Error::TextsNotKept { .. }
        | Error::Refused { .. }
        | Error::IdempotencyConflict { .. }
        | Error::ArtifactsMissing { .. }
        | Error::Fault(_)
        | Error::Model(_)
        | Error::Plugin(_)
        | Error::Upload(_)
        | Error::PluginInUse { .. }
        | Error::Archive(_)
        | Error::ShuttingDown => false,
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self(DISK_WAIT_MIN)
    }
}

impl Backoff {
    pub(crate) async fn wait(&mut self, unless: &CancellationToken) {
        tokio::select! {
            () = tokio::time::sleep(self.0) => {}
            () = unless.cancelled() => {}
        }
        self.0 = (self.0 * 2).min(DISK_WAIT_MAX);
    }
}
