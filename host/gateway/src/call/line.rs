//! What is shared by all calls of one model of a provider: its breaker, its limits, and who is asking.
//!
//! Invariant: a model that is configured always has its line, so that its limits hold. Names that callers make up are
//! bounded: those beyond share one line.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::time::Instant;

use crate::breaker::{Admission, Breaker, Open};
use crate::config::{self, Limits, Provider};
use crate::limit::Limiter;
use crate::question::{BreakerState, ModelStatus};
use crate::telemetry::{Meters, OTHER_MODEL, Place};

/// Models of one provider, beside the configured ones, that have a line of their own. More are asked for only by somebody
/// who makes names up.
const LINE_COUNT_MAX: usize = 100;

/// The lines of one provider.
pub(crate) struct Lines {
    common: Common,
    known: RwLock<BTreeMap<String, Arc<Line>>>,
    known_count_max: usize,
    others: Arc<Line>,
}

/// What the lines of one provider have in common.
struct Common {
    limits: Limits,
    limiter: Arc<Limiter>,
    breaker: config::Breaker,
    place: Place,
}

/// The line of one model.
pub(crate) struct Line {
    breaker: Arc<Breaker>,
    /// The model's own limits, then the provider's: who waits for the first holds nothing of the second.
    pub(super) limiters: [Arc<Limiter>; 2],
    /// Tokens that one call can reserve at the most; `None`: tokens are not bounded.
    pub(super) tokens_max: Option<u64>,
    /// Whether there is any limit.
    pub(super) is_limited: bool,
    pub(crate) meters: Meters,
    open: AtomicU32,
    waiting: AtomicU32,
    /// For the status: a model that is only configured is left out there.
    has_been_asked: AtomicBool,
    /// Whether the breaker's gauge may show something else than closed.
    has_failed: AtomicBool,
}

impl Lines {
    pub(crate) fn new(provider: &Provider, place: Place) -> Self {
        let common = Common {
            limits: provider.limits,
            limiter: Limiter::new(provider.limits),
            breaker: provider.breaker,
            place,
        };
        let configured = provider.models.iter();
        let known: BTreeMap<String, Arc<Line>> = configured
            .map(|model| (model.name.clone(), Arc::new(common.line(&model.name, model.limits))))
            .collect();
        Self {
            others: Arc::new(common.line(OTHER_MODEL, Limits::default())),
            known_count_max: known.len() + LINE_COUNT_MAX,
            known: RwLock::new(known),
            common,
        }
    }

    /// Where the provider is.
    pub(crate) fn place(&self) -> &Place {
        &self.common.place
    }

    /// The line of a model that is asked.
    pub(crate) fn line(&self, model: &str) -> Arc<Line> {
        let line = self.find_or_make(model);
        line.has_been_asked.store(true, Ordering::Relaxed);
        line
    }

    fn find_or_make(&self, model: &str) -> Arc<Line> {
        if let Some(line) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Arc::clone(line);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.known_count_max && !known.contains_key(model) {
            return Arc::clone(&self.others);
        }
        let made = || Arc::new(self.common.line(model, Limits::default()));
        Arc::clone(known.entry(model.to_owned()).or_insert_with(made))
    }

    /// How the models do that have been asked, by name.
    pub(crate) fn status(&self) -> Vec<ModelStatus> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let lines = known.iter().map(|(model, line)| (model.as_str(), line));
        lines
            .chain([(OTHER_MODEL, &self.others)])
            .filter(|(_, line)| line.has_been_asked.load(Ordering::Relaxed))
            .map(|(model, line)| line.status(model))
            .collect()
    }
}

impl Common {
    fn line(&self, model: &str, limits: Limits) -> Line {
        let tokens = [limits.tokens_per_minute, self.limits.tokens_per_minute];
        Line {
            breaker: Breaker::new(self.breaker, &format!("{}/{model}", self.place.provider())),
            limiters: [Limiter::new(limits), Arc::clone(&self.limiter)],
            tokens_max: tokens.into_iter().flatten().min(),
            is_limited: limits != Limits::default() || self.limits != Limits::default(),
            meters: Meters::new(self.place.clone(), model),
            open: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            has_been_asked: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }
}

impl Line {
    /// Whether the model may be asked now.
    pub(super) fn admit(&self) -> Result<Admission, Open> {
        let admitted = self.breaker.admit(Instant::now());
        if self.has_failed.load(Ordering::Relaxed) {
            self.meters.show_breaker(&self.breaker_state());
        }
        admitted
    }

    /// A model that began to answer a probe is one that answers.
    pub(super) fn begun(&self, admission: &Admission) {
        if admission.begun() && self.has_failed.swap(false, Ordering::Relaxed) {
            self.meters.show_breaker(&self.breaker_state());
        }
    }

    pub(super) fn answered(&self, admission: Admission) {
        admission.succeeded();
        if self.has_failed.swap(false, Ordering::Relaxed) {
            self.meters.show_breaker(&self.breaker_state());
        }
    }

    pub(super) fn failed(&self, admission: Admission, cause: &str) {
        admission.failed(cause);
        self.has_failed.store(true, Ordering::Relaxed);
        self.meters.show_breaker(&self.breaker_state());
    }

    pub(super) fn breaker_state(&self) -> BreakerState {
        self.breaker.state(Instant::now())
    }

    fn status(&self, model: &str) -> ModelStatus {
        ModelStatus {
            model: model.to_owned(),
            breaker: self.breaker_state(),
            open_calls: self.open.load(Ordering::Relaxed),
            waiting_calls: self.waiting.load(Ordering::Relaxed),
        }
    }
}

/// Counts a request as open for as long as it lives.
pub(super) struct OpenRequest(Arc<Line>);

impl OpenRequest {
    pub(super) fn new(line: &Arc<Line>) -> Self {
        line.open.fetch_add(1, Ordering::Relaxed);
        line.meters.open_call();
        Self(Arc::clone(line))
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.meters.close_call();
    }
}

/// Counts a question as waiting for as long as it lives.
pub(super) struct Waiting(Arc<Line>);

impl Waiting {
    pub(super) fn new(line: &Arc<Line>) -> Self {
        line.waiting.fetch_add(1, Ordering::Relaxed);
        line.meters.begin_waiting();
        Self(Arc::clone(line))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.meters.end_waiting();
    }
}
