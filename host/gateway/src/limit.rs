//! How much one provider or one model is asked: requests and tokens in any minute, and requests at the same time.
//!
//! Who wants to ask takes a [`Place`] first and gives it back by dropping it. Places are given in the order of arrival:
//! only the first of the line is looked at, so that a question that needs much is not overtaken for ever by questions
//! that need little. Who waits may be dropped at any time; the line closes up behind it.
//!
//! What this does not do: it knows no provider and no price, and it does not estimate tokens.
//!
//! Invariant: in no 60 seconds are more requests and more reserved tokens let through than the limits say. `governor`
//! and other leaky buckets do not promise that: a bucket that was full lets its whole content through at once, and then
//! nearly as much again while it refills within the same minute. They take nothing back either, and serve in no order.
//! So this keeps a log of what was let through (module `window`).
//!
//! A request and its tokens count from the moment at which its place was given; a correction upwards counts from the
//! moment of the correction, because nothing was known of it before. Whether a server begins its minute at the same
//! moment cannot be known; what it refuses all the same is tried again as with any other refusal.
mod line;
mod window;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Limits;
use line::{Line, Outcome};
use window::Charge;

/// The limits of one provider or of one model.
#[derive(Debug)]
pub(crate) struct Limiter {
    line: Mutex<Line>,
}

/// Leave to ask once. Dropped, it frees its place among the requests at the same time; the tokens that were reserved for
/// it stay counted unless [`Place::reconcile`] said better.
#[derive(Debug)]
pub(crate) struct Place {
    limiter: Arc<Limiter>,
    /// Taken when it is known what was used.
    charge: Option<Charge>,
}

/// Why there is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.in_words())]
pub(crate) struct NoPlace {
    /// The limit that is in the way, as it is called in the configuration.
    pub(crate) setting: &'static str,
    /// Its value.
    pub(crate) limit: u64,
    /// How much of it was asked for. If that is more than the limit, there is never a place.
    pub(crate) asked: u64,
    /// The least that would have to be waited for a place. `None`: there is never one, or nobody knows, because others
    /// hold all of them.
    pub(crate) wait: Option<Duration>,
}

impl NoPlace {
    fn in_words(&self) -> String {
        let Self { setting, limit, asked, wait } = self;
        if asked > limit {
            return format!("the question needs about {asked}, and `{setting}` is {limit}");
        }
        let next = wait.map_or_else(String::new, |wait| {
            // Rounded up: who comes back after that many seconds is not too early.
            format!("; the next is free in {} s", wait.as_millis().div_ceil(1_000))
        });
        format!(
            "`{setting}` is {limit}, and leaves no place before the time for the call is over{next}"
        )
    }
}

impl Limiter {
    /// With nothing let through yet.
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { line: Mutex::new(Line::new(limits)) })
    }

    /// Waits in the order of arrival until there is a place for one request of about that many tokens. Fails at once if
    /// there is certainly none before `until`, else then.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        tokens: u64,
        until: Instant,
    ) -> Result<Place, NoPlace> {
        let waiting = {
            let mut line = self.lock();
            if let Some(charge) = line.enter_at_once(tokens, Instant::now()) {
                return Ok(self.place(charge));
            }
            line.refuse_if_hopeless(tokens, Instant::now(), until)?;
            let turn = Arc::new(Notify::new());
            Waiting { limiter: self, number: line.join(tokens, turn.clone()), turn }
        };
        loop {
            let look_again_at = match self.lock().step(waiting.number, Instant::now(), until) {
                Outcome::Entered(charge) => return Ok(self.place(charge)),
                Outcome::Refused(no_place) => return Err(no_place),
                Outcome::Wait(look_again_at) => look_again_at,
            };
            tokio::select! {
                () = waiting.turn.notified() => {}
                () = tokio::time::sleep_until(look_again_at.min(until)) => {}
            }
        }
    }

    /// Questions that wait for a place.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> u32 {
        self.lock().waiting()
    }

    /// Places that are held.
    #[cfg(test)]
    pub(crate) fn open(&self) -> u32 {
        self.lock().open()
    }

    fn place(self: &Arc<Self>, charge: Charge) -> Place {
        Place { limiter: self.clone(), charge: Some(charge) }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // Nothing panics while the lock is held; if it ever does, numbers are off, and nothing worse.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Says what was really used: what was reserved above it is free again, what is missing is counted now. The place
    /// among the requests at the same time is held until the drop.
    pub(crate) fn reconcile(&mut self, used_tokens: u64) {
        if let Some(charge) = self.charge.take() {
            self.limiter.lock().reconcile(&charge, used_tokens, Instant::now());
        }
    }

    /// Has the request and its tokens count from now on: it was not sent before.
    pub(crate) fn renew(&mut self) {
        if let Some(charge) = &mut self.charge {
            self.limiter.lock().renew(charge, Instant::now());
        }
    }

    /// Gives everything back, the request too. For a question that was never sent.
    pub(crate) fn give_back(mut self) {
        if let Some(charge) = self.charge.take() {
            self.limiter.lock().give_back(&charge, Instant::now());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limiter.lock().leave(self.charge.take().as_ref());
    }
}

/// Somebody in the line. Leaves it when dropped, and has the next one looked at.
struct Waiting<'a> {
    limiter: &'a Limiter,
    number: u64,
    turn: Arc<Notify>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.limiter.lock().give_up(self.number);
    }
}
