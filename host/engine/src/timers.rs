//! What time brings about by itself: retries, deadlines of gates, reminders. One task for all runs, which asks the store
//! what comes next; a run that waits has no task, no timer and no place in memory.
//!
//! Invariant: nothing spins. A look at the store goes forward through all that is due, page by page, and the next one
//! follows a point in time, a commit that names an earlier one, or the end of a reminder.
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::run::{Command, Due};
use domain::{RunId, Timestamp};
use futures_util::StreamExt as _;
use futures_util::stream;
use store::{Wake, WakeCause};
use tokio::sync::Notify;

use crate::Error;
use crate::drive::{Backoff, may_pass};
use crate::lifecycle::Inner;
use crate::reminders::Reminders;

/// Runs that are read at a time.
const PAGE: usize = 256;
/// Runs that are moved on at the same time: enough to share a wait for the disk, and few enough that commands of people
/// do not have to stand behind them.
const AT_ONCE: usize = 32;
/// Pause after a look. Ten thousand commits that each name an earlier time lead to a look each 20 ms, not to one each.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// When something that is due and could not be moved on is looked at again.
const LEFT_WAIT: Duration = Duration::from_secs(15);
/// Most runs of which it is remembered that they cannot be read. More than that is a database that cannot be read.
const UNREADABLE_COUNT_MAX: usize = 1_000;

/// What the task of the timers knows.
pub(crate) struct Timers {
    /// Until when it sleeps, in milliseconds since 1970.
    planned_ms: AtomicI64,
    /// It has to look earlier than it planned to.
    sooner: Notify,
    pub(crate) reminders: Reminders,
    /// Runs that cannot be moved on whatever is waited for: until the next start, nobody tries.
    unreadable: Mutex<HashSet<RunId>>,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            planned_ms: AtomicI64::new(i64::MAX),
            sooner: Notify::new(),
            reminders: Reminders::default(),
            unreadable: Mutex::default(),
        }
    }
}

/// What a look has found.
struct Found {
    /// When time next brings about something. `None`: never.
    next: Option<Timestamp>,
    /// Whether something that is due is still there.
    has_left: bool,
    /// Whether the store did not let something be moved on; it may later.
    has_failed: bool,
}

impl Timers {
    /// Sees to it that the time is not slept through.
    pub(crate) fn expect(&self, at: Timestamp) {
        let ms = at.as_unix_ms();
        if self.planned_ms.fetch_min(ms, Ordering::SeqCst) > ms {
            self.sooner.notify_one();
        }
    }

    /// Has the task look again.
    pub(crate) fn look_again(&self) {
        self.sooner.notify_one();
    }

    fn is_unreadable(&self, run: &RunId) -> bool {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).contains(run)
    }

    fn note_unreadable(&self, run: &RunId) {
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if unreadable.len() < UNREADABLE_COUNT_MAX {
            unreadable.insert(run.clone());
        }
    }
}

impl Inner {
    /// Moves runs on when their time has come, until the host shuts down.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        while !self.draining.is_cancelled() {
            // From here on a commit that names a time is noticed: the look may be past its run already.
            self.timers.planned_ms.store(i64::MAX, Ordering::SeqCst);
            let looked = self.look_at_timers().await;
            match &looked {
                Ok(found) if !found.has_failed => {
                    backoff = Backoff::default();
                    self.sleep_until_next(found).await;
                }
                Ok(_) => backoff.wait(&self.draining).await,
                Err(Error::Store(store::Error::Closed)) => return,
                Err(error) => {
                    tracing::error!(%error, "what is due could not be looked for; trying again");
                    backoff.wait(&self.draining).await;
                }
            }
        }
    }

    async fn sleep_until_next(&self, found: &Found) {
        let soon = found.has_left.then(|| self.parts.clock.now().after(LEFT_WAIT));
        let next = found.next.into_iter().chain(soon).map(Timestamp::as_unix_ms).min();
        let next = next.unwrap_or(i64::MAX);
        let until = self.timers.planned_ms.fetch_min(next, Ordering::SeqCst).min(next);
        let nap = async {
            tokio::time::sleep(LOOK_PAUSE).await;
            tokio::select! {
                () = self.timers.sooner.notified() => {}
                () = self.parts.clock.nap_towards(Timestamp::from_unix_ms(until)), if until < i64::MAX => {}
            }
        };
        tokio::select! {
            () = nap => {}
            () = self.draining.cancelled() => {}
        }
    }

    /// Moves on everything that is due.
    async fn look_at_timers(self: &Arc<Self>) -> Result<Found, Error> {
        let now = self.parts.clock.now();
        let has_left = AtomicBool::new(false);
        let has_failed = AtomicBool::new(false);
        let mut behind = None;
        let mut next = None;
        // Each page begins behind the one before, and what is moved on goes into the future: there is an end.
        while !self.draining.is_cancelled() {
            let page = self.parts.store.wakes(behind, PAGE).await?;
            let is_last = page.len() < PAGE;
            next = page.iter().find(|wake| wake.at > now).map(|wake| wake.at);
            behind = page.last().cloned();
            let due = page.into_iter().take_while(|wake| wake.at <= now);
            let moving = stream::iter(due).for_each_concurrent(AT_ONCE, |wake| async {
                match self.move_on(wake, now).await {
                    Ok(Moved::On) => {}
                    Ok(Moved::Not) => has_left.store(true, Ordering::Relaxed),
                    Err(_) => has_failed.store(true, Ordering::Relaxed),
                }
            });
            moving.await;
            if next.is_some() || is_last {
                break;
            }
        }
        let (has_left, has_failed) = (has_left.into_inner(), has_failed.into_inner());
        Ok(Found { next, has_left, has_failed })
    }

    async fn move_on(self: &Arc<Self>, wake: Wake, now: Timestamp) -> Result<Moved, Error> {
        let Wake { run, cause, .. } = wake;
        if self.timers.is_unreadable(&run) {
            return Ok(Moved::Not);
        }
        let is_reminder = match cause {
            WakeCause::Retry => false,
            WakeCause::Gate { deadline_at } => deadline_at.is_none_or(|at| at > now),
        };
        if is_reminder {
            // Known without a look at the run: a webhook that does not answer leaves thousands of them waiting.
            self.begin_reminding(run);
            return Ok(Moved::Not);
        }
        let error = match self.pass_time(&run).await {
            Ok(moved) => return Ok(moved),
            // It was removed meanwhile.
            Err(Error::UnknownRun(_)) => return Ok(Moved::On),
            Err(error) => error,
        };
        if may_pass(&error) {
            tracing::error!(run.id = %run, %error, "run `{run}` cannot go on; trying again");
            return Err(error);
        }
        tracing::error!(run.id = %run, %error, "run `{run}` cannot go on");
        self.timers.note_unreadable(&run);
        Ok(Moved::Not)
    }

    /// Gives a run what its time has brought about.
    async fn pass_time(self: &Arc<Self>, run: &RunId) -> Result<Moved, Error> {
        let cell = self.registry.cell(run);
        let mut locked = cell.lock(&self.parts.store).await;
        let now = self.parts.clock.now();
        match locked.run().await?.due(now) {
            Some(Due::PassTime) => {
                let command = Command::PassTime { now };
                let recorded = self.commit_locked(&cell, &mut locked, command, Vec::new()).await?;
                Ok(if recorded.is_empty() { Moved::Not } else { Moved::On })
            }
            Some(Due::Remind { .. }) => {
                self.begin_reminding(run.clone());
                Ok(Moved::Not)
            }
            // Somebody was quicker, or the clock was set back.
            None => Ok(Moved::Not),
        }
    }
}

/// What became of a run that was due.
enum Moved {
    /// It is due no more.
    On,
    /// It is where it was: a reminder first has to be sent, or somebody was quicker.
    Not,
}
