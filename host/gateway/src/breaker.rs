//! Leaves a model alone that fails again and again, so that its callers learn at once what they would learn slowly, and
//! so that a server that comes back is not met by everybody at the same moment.
//!
//! What this does not do: it asks nobody and does not decide what a failure is; who asks says so.
//!
//! Invariants: an open breaker lets nobody through before its time is over, and then one at a time until one
//! begins to be answered. What somebody learns who was let through before the breaker last opened or closed changes nothing.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config;
use crate::question::BreakerState;

/// How long somebody is to wait who comes while another probes: about as long as an answer takes to begin.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// The breaker of one model of one provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: config::Breaker,
    /// Provider and model, for the log.
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Counts openings and closings.
    era: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed { failure_count: u32 },
    Open { until: Instant, outage: Outage },
    HalfOpen { is_probed: bool, outage: Outage },
}

#[derive(Debug, Clone)]
struct Outage {
    since: Instant,
    /// How long the model is left alone this time.
    open_time: Duration,
    cause: String,
}

/// Leave to ask. Dropped without a word it says nothing about the model.
#[derive(Debug)]
#[must_use = "what came of the question is what the breaker works by"]
pub(crate) struct Admission {
    breaker: Arc<Breaker>,
    era: AtomicU64,
    /// The breaker waits for the first sign of an answer to this.
    is_probe: AtomicBool,
    is_settled: bool,
}

/// The model is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    /// When it is worth asking again.
    pub(crate) retry_in: Duration,
    /// How long ago it was first left alone.
    pub(crate) open_for: Duration,
    /// The last failure.
    pub(crate) cause: String,
}

impl Breaker {
    /// Closed. The name is for the log.
    pub(crate) fn new(settings: config::Breaker, name: &str) -> Arc<Self> {
        let state = Mutex::new(State { era: 0, phase: Phase::Closed { failure_count: 0 } });
        Arc::new(Self { settings, name: name.to_owned(), state })
    }

    /// Whether the model may be asked.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant) -> Result<Admission, Open> {
        let mut state = self.lock();
        match &mut state.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until, outage } if now < *until => {
                return Err(outage.open(*until - now, now));
            }
            Phase::Open { outage, .. } => {
                let outage = outage.clone();
                state.phase = Phase::HalfOpen { is_probed: true, outage };
            }
            Phase::HalfOpen { is_probed: true, outage } => {
                return Err(outage.open(PROBE_TIME, now));
            }
            Phase::HalfOpen { is_probed, .. } => *is_probed = true,
        }
        Ok(Admission {
            breaker: Arc::clone(self),
            era: AtomicU64::new(state.era),
            is_probe: AtomicBool::new(matches!(state.phase, Phase::HalfOpen { .. })),
            is_settled: false,
        })
    }

    /// For people.
    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match &self.lock().phase {
            Phase::Closed { failure_count } => {
                BreakerState::Closed { failure_count: *failure_count }
            }
            Phase::Open { until, outage } if now < *until => {
                let retry_in_ms = (*until - now).as_millis();
                BreakerState::Open {
                    retry_in_ms: u64::try_from(retry_in_ms).unwrap_or(u64::MAX),
                    cause: outage.cause.clone(),
                }
            }
            // The next question is let through, whether or not there has been one since the time was over.
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

impl Admission {
    /// Whether the breaker learns from this what the model does.
    pub(crate) fn is_probe(&self) -> bool {
        self.is_probe.load(Ordering::Relaxed)
    }

    /// The model began to answer, which is all that a probe is for: others need not wait for the end of a long answer.
    /// How it ends counts as with any other question. Whether this was news.
    pub(crate) fn begun(&self) -> bool {
        let is_news = self.is_probe.swap(false, Ordering::Relaxed);
        if is_news {
            self.close();
        }
        is_news
    }

    /// The model answered.
    pub(crate) fn succeeded(mut self) {
        self.is_settled = true;
        self.close();
    }

    fn close(&self) {
        let mut state = self.breaker.lock();
        if state.era != self.era.load(Ordering::Relaxed) {
            return;
        }
        let was_open = match &mut state.phase {
            Phase::Closed { failure_count } => {
                *failure_count = 0;
                return;
            }
            Phase::Open { outage, .. } | Phase::HalfOpen { outage, .. } => outage.since.elapsed(),
        };
        state.era += 1;
        self.era.store(state.era, Ordering::Relaxed);
        state.phase = Phase::Closed { failure_count: 0 };
        drop(state);
        let (model, open_ms) = (&self.breaker.name, was_open.as_millis());
        tracing::info!(model, open_ms, "`{model}` answers again");
    }

    /// The model failed.
    pub(crate) fn failed(mut self, cause: &str) {
        self.is_settled = true;
        let now = Instant::now();
        let mut state = self.breaker.lock();
        if state.era != self.era.load(Ordering::Relaxed) {
            return;
        }
        let settings = &self.breaker.settings;
        let (since, open_time) = match &mut state.phase {
            Phase::Closed { failure_count } => {
                *failure_count = failure_count.saturating_add(1);
                if settings.failure_count == 0 || *failure_count < settings.failure_count {
                    return;
                }
                (now, settings.open_time)
            }
            Phase::Open { outage, .. } | Phase::HalfOpen { outage, .. } => {
                (outage.since, outage.open_time.saturating_mul(2))
            }
        };
        let open_time = open_time.min(settings.open_time_max);
        let is_new = since == now;
        state.era += 1;
        let outage = Outage { since, open_time, cause: cause.to_owned() };
        state.phase = Phase::Open { until: now + open_time, outage };
        drop(state);
        if is_new {
            self.breaker.warn_of_outage(open_time, cause);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut state = self.breaker.lock();
        if state.era == self.era.load(Ordering::Relaxed)
            && let Phase::HalfOpen { is_probed, .. } = &mut state.phase
        {
            *is_probed = false;
        }
    }
}

impl Outage {
    fn open(&self, retry_in: Duration, now: Instant) -> Open {
        let open_for = now.saturating_duration_since(self.since);
        Open { retry_in, open_for, cause: self.cause.clone() }
    }
}

impl Breaker {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and each state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once for an outage, not for each probe that fails: a night without a server is one line.
    fn warn_of_outage(&self, open_time: Duration, cause: &str) {
        let (model, open_ms) = (&self.name, open_time.as_millis());
        tracing::warn!(model, open_ms, cause, "`{model}` failed too often and is left alone");
    }
}

#[cfg(test)]
mod tests;
