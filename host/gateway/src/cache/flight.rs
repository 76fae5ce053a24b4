//! Calls that are open, so that the same question is not asked twice at the same time.
//!
//! Who asks first leads; the others follow and get what the leader got. A leader that goes away without an outcome of its
//! own leaves the place: the followers join again, and the first of them leads.
//!
//! Invariant: a call is in the list exactly as long as its leader lives.
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::model::{Completion, ModelError};
use tokio::sync::watch;

use super::Key;
use crate::question::{PassedOver, Route};

/// The open calls.
#[derive(Default)]
pub(crate) struct Flights {
    open: Arc<Mutex<Open>>,
}

type Open = HashMap<Key, watch::Receiver<Option<Arc<Ended>>>>;

/// What came of a call, for those who follow it.
pub(crate) struct Ended {
    pub(crate) outcome: Result<Completion, ModelError>,
    pub(crate) route: Route,
    pub(crate) passed_over: Vec<PassedOver>,
    /// The wait that there was no time for, if that is why it failed.
    pub(crate) too_long_wait: Option<Duration>,
}

/// The part that somebody has in a call.
pub(crate) enum Joined {
    Leads(Leading),
    Follows(Following),
}

/// Has to ask. Dropped without a word, it leaves the place to a follower.
pub(crate) struct Leading {
    key: Key,
    open: Arc<Mutex<Open>>,
    outcome: watch::Sender<Option<Arc<Ended>>>,
    has_left: bool,
}

/// Waits for what comes of the call.
pub(crate) struct Following(watch::Receiver<Option<Arc<Ended>>>);

impl Flights {
    pub(crate) fn join(&self, key: Key) -> Joined {
        match locked(&self.open).entry(key) {
            Entry::Occupied(call) => Joined::Follows(Following(call.get().clone())),
            Entry::Vacant(free) => {
                let (outcome, awaited) = watch::channel(None);
                free.insert(awaited);
                let open = Arc::clone(&self.open);
                Joined::Leads(Leading { key, open, outcome, has_left: false })
            }
        }
    }
}

impl Leading {
    /// Tells the followers, if there are any.
    pub(crate) fn tell(mut self, ended: impl FnOnce() -> Ended) {
        // Out of the list first: who comes later asks anew, or finds the answer in the cache.
        self.leave();
        if self.outcome.receiver_count() > 0 {
            self.outcome.send_replace(Some(Arc::new(ended())));
        }
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            locked(&self.open).remove(&self.key);
        }
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Following {
    /// What came of the call; `None` if its leader went away.
    pub(crate) async fn ended(mut self) -> Option<Arc<Ended>> {
        let ended = self.0.wait_for(Option::is_some).await.ok()?;
        ended.clone()
    }
}

fn locked(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
