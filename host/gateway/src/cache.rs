//! Answers that are given again, and calls that are made once although several ask.
//!
//! Kept are whole answers that the model itself ended (`stop`). One that was cut by a bound, filtered, or ended for a
//! reason that only its provider knows is no answer to give twice. An answer is kept under the route that gave it, so
//! that an alternative's answer is never given for the first choice's. Everything is in memory and gone with the process.
//!
//! Invariant: what is forgotten is not given again, also if it was being written when it was to be forgotten.
mod flight;
mod key;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::model::{Completion, FinishReason, ModelRequest, Usage, UsageSource};
use moka::sync::Cache;

use crate::config;
use crate::question::{CacheFilter, CacheStatus, Route};
pub(crate) use flight::{Ended, Flights, Joined};
pub(crate) use key::{Asked, Key};

/// What an answer takes beside its texts, in bytes: key, counts, and the cache's own nodes.
const ENTRY_OVERHEAD_BYTES: usize = 512;
/// Requests that are larger than this, in bytes, are hashed on a thread of their own: hashing takes about a millisecond
/// per megabyte, and others wait for their turn meanwhile.
const INLINE_HASH_BYTES_MAX: u64 = 256 << 10;

/// The kept answers.
pub(crate) struct Answers {
    settings: config::Cache,
    kept: Cache<Key, Arc<Kept>>,
    pub(crate) flights: Flights,
    /// Counts what was forgotten on request: an answer that was asked for before is not kept after.
    forgotten: AtomicU64,
    hit_count: AtomicU64,
    miss_count: AtomicU64,
}

/// An answer, and who gave it.
pub(crate) struct Kept {
    provider: String,
    /// As it was asked for; the answer may name it otherwise.
    asked_model: String,
    content: String,
    model: String,
}

/// An answer that may be kept.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) content: &'a str,
    /// In the provider's words.
    pub(crate) model: &'a str,
    pub(crate) finish_reason: &'a FinishReason,
}

/// Stands for the moment at which a question was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since(u64);

impl Answers {
    pub(crate) fn new(settings: config::Cache) -> Self {
        let kept = Cache::builder()
            .max_capacity(settings.bytes_max)
            .weigher(|_, kept: &Arc<Kept>| u32::try_from(kept.size_bytes()).unwrap_or(u32::MAX))
            .time_to_live(settings.time_max.min(TIME_MAX))
            .build();
        Self {
            settings,
            kept,
            flights: Flights::default(),
            forgotten: AtomicU64::new(0),
            hit_count: AtomicU64::new(0),
            miss_count: AtomicU64::new(0),
        }
    }

    /// Whether anything is kept at all.
    pub(crate) fn is_on(&self) -> bool {
        self.settings.bytes_max > 0
    }

    /// The answer to this question, if it is kept.
    pub(crate) fn find(&self, key: &Key) -> Option<Arc<Kept>> {
        self.kept.get(key)
    }

    /// To be told once for each question that could have been answered from here.
    pub(crate) fn count(&self, found: Found) {
        let count = match found {
            Found::Hit => &self.hit_count,
            Found::Miss => &self.miss_count,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn since(&self) -> Since {
        Since(self.forgotten.load(Ordering::Acquire))
    }

    /// Keeps an answer that was asked for at `since`, if it is one to be given again.
    pub(crate) fn keep(&self, key: Key, route: &Route, answer: Answer<'_>, since: Since) {
        if *answer.finish_reason != FinishReason::Stop || since != self.since() {
            return;
        }
        let kept = Kept {
            provider: route.provider.clone(),
            asked_model: route.model.clone(),
            content: answer.content.to_owned(),
            model: answer.model.to_owned(),
        };
        self.kept.insert(key, Arc::new(kept));
        if since != self.since() {
            // It was to be forgotten between the look above and the insertion.
            self.kept.invalidate(&key);
        }
    }

    pub(crate) fn status(&self) -> CacheStatus {
        self.kept.run_pending_tasks();
        CacheStatus {
            entry_count: self.kept.entry_count(),
            size_bytes: self.kept.weighted_size(),
            bytes_max: self.settings.bytes_max,
            time_max: self.settings.time_max,
            hit_count: self.hit_count.load(Ordering::Relaxed),
            miss_count: self.miss_count.load(Ordering::Relaxed),
        }
    }

    /// Forgets, and says how many answers.
    pub(crate) fn forget(&self, filter: &CacheFilter) -> u64 {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        let chosen = self.kept.iter().filter(|(_, kept)| kept.fits(filter));
        let keys: Vec<Key> = chosen.map(|(key, _)| *key).collect();
        // Removed one by one: a removal that finds nothing was somebody else's, and is not counted twice.
        keys.iter().filter(|key| self.kept.remove(*key).is_some()).count() as u64
    }
}

/// Longest time that an answer can be kept: the cache refuses more than some centuries.
const TIME_MAX: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 24 * 3600);

/// Whether a question was answered from what is kept.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    Hit,
    Miss,
}

impl Kept {
    pub(crate) fn completion(&self) -> Completion {
        Completion {
            content: self.content.clone(),
            finish_reason: FinishReason::Stop,
            model: self.model.clone(),
            usage: NOTHING_USED,
            cost_nano_usd: Some(0),
        }
    }

    fn fits(&self, filter: &CacheFilter) -> bool {
        let fits = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        fits(&filter.provider, &self.provider) && fits(&filter.model, &self.asked_model)
    }

    fn size_bytes(&self) -> usize {
        let texts = [&self.provider, &self.asked_model, &self.content, &self.model];
        texts.into_iter().map(String::len).sum::<usize>() + ENTRY_OVERHEAD_BYTES
    }
}

/// What an answer uses that nobody is asked for. Known to be nothing, and told by nobody else.
pub(crate) const NOTHING_USED: Usage = Usage {
    input_tokens: Some(0),
    output_tokens: Some(0),
    cached_tokens: None,
    cache_write_tokens: None,
    reasoning_tokens: None,
    source: UsageSource::Provider,
};

/// Hashes a request where that disturbs nobody.
pub(crate) async fn asked(request: &Arc<ModelRequest>) -> Asked {
    if request.size_bytes() <= INLINE_HASH_BYTES_MAX {
        return Asked::new(request);
    }
    let hashed = Arc::clone(request);
    match tokio::task::spawn_blocking(move || Asked::new(&hashed)).await {
        Ok(asked) => asked,
        // The runtime shuts down; nobody is kept waiting then.
        Err(_) => Asked::new(request),
    }
}

#[cfg(test)]
mod tests;
