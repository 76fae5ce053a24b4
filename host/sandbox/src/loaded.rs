//! Components that are loaded: each once, however many want it, and no more than there is room for.
//!
//! Invariant: what is dropped here is only forgotten. A call that has it keeps it, and the next one loads it again.
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Digest;

use crate::component::LoadedComponent;
use crate::finding::Finding;

/// Most components that stay loaded: those of two profiles with as many stages as there may be.
const COUNT_MAX: usize = 128;

/// Most bytes of compiled code that stay loaded. A stage in Rust takes about one MiB and one in JavaScript or Python
/// forty to fifty; one that has to be loaded again costs a stage about a tenth of a second.
const BYTES_MAX: u64 = 512 << 20;

/// What loading a component gave: it is a function of the bytes, so what is wrong is kept as well.
pub(crate) type LoadOutcome = Result<Arc<LoadedComponent>, Vec<Finding>>;

pub(crate) struct Loaded {
    bytes_max: u64,
    shelves: Mutex<Shelves>,
    /// Those that somebody loads ahead of their first call, or is about to.
    expected: Mutex<HashSet<Digest>>,
}

impl Default for Loaded {
    fn default() -> Self {
        Self { bytes_max: BYTES_MAX, shelves: Mutex::default(), expected: Mutex::default() }
    }
}

#[derive(Default)]
struct Shelves {
    by_digest: HashMap<Digest, Shelf>,
    use_count: u64,
}

/// The place of one component. Whoever loads it holds the lock of the outcome, and the others wait for the same one.
#[derive(Default)]
struct Shelf {
    outcome: Arc<Mutex<Option<LoadOutcome>>>,
    last_use: u64,
    size_bytes: u64,
}

impl Loaded {
    /// The component with this digest, if it is loaded or known not to fit.
    pub(crate) fn get(&self, digest: &Digest) -> Option<LoadOutcome> {
        let outcome = self.shelves().outcome(digest);
        // A lock that is held means that the component is being loaded: to wait for it is the blocking way's business.
        let outcome = outcome.try_lock().ok()?;
        outcome.clone()
    }

    /// What is loaded, or what `load` gives.
    pub(crate) fn get_or_load(
        &self,
        digest: &Digest,
        load: impl FnOnce() -> Result<LoadedComponent, Vec<Finding>>,
    ) -> LoadOutcome {
        let outcome = self.shelves().outcome(digest);
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*outcome {
            return known.clone();
        }
        let loaded = load().map(Arc::new);
        if let Ok(component) = &loaded {
            self.shelves().take_room(digest, component.size_bytes, self.bytes_max);
        }
        outcome.insert(loaded).clone()
    }

    /// Those of these components that nobody has loaded and nobody is about to. Whoever asks is about to.
    pub(crate) fn expect(&self, digests: Vec<Digest>) -> Vec<Digest> {
        let is_missing =
            |digest: &Digest| self.get(digest).is_none() && self.expected().insert(digest.clone());
        digests.into_iter().filter(is_missing).collect()
    }

    /// The one that was expected is here, or does not come.
    pub(crate) fn settle(&self, digest: &Digest) {
        self.expected().remove(digest);
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expected(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn outcome(&mut self, digest: &Digest) -> Arc<Mutex<Option<LoadOutcome>>> {
        self.use_count += 1;
        if !self.by_digest.contains_key(digest) && self.by_digest.len() >= COUNT_MAX {
            self.drop_least_used(None);
        }
        let shelf = self.by_digest.entry(digest.clone()).or_default();
        shelf.last_use = self.use_count;
        Arc::clone(&shelf.outcome)
    }

    /// Makes room for one that has come.
    fn take_room(&mut self, digest: &Digest, size_bytes: u64, bytes_max: u64) {
        if let Some(shelf) = self.by_digest.get_mut(digest) {
            shelf.size_bytes = size_bytes;
        }
        while self.by_digest.len() > 1 && self.size_bytes() > bytes_max {
            self.drop_least_used(Some(digest));
        }
    }

    fn size_bytes(&self) -> u64 {
        self.by_digest.values().map(|shelf| shelf.size_bytes).sum()
    }

    fn drop_least_used(&mut self, kept: Option<&Digest>) {
        let others = self.by_digest.iter().filter(|(digest, _)| Some(*digest) != kept);
        let least_used = others.min_by_key(|(_, shelf)| shelf.last_use);
        if let Some(digest) = least_used.map(|(digest, _)| digest.clone()) {
            self.by_digest.remove(&digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::digest_of;

    #[test]
    fn the_least_used_make_room_and_never_the_one_that_comes() {
        let [first, second, third] = [b"1", b"2", b"3"].map(|name| digest_of(name));
        let mut shelves = Shelves::default();
        for digest in [&first, &second] {
            shelves.outcome(digest);
            shelves.take_room(digest, 40, 100);
        }
        shelves.outcome(&first);
        shelves.outcome(&third);
        shelves.take_room(&third, 40, 100);
        let is_there = |shelves: &Shelves, digest| shelves.by_digest.contains_key(digest);
        assert!(is_there(&shelves, &first) && is_there(&shelves, &third));
        assert!(!is_there(&shelves, &second));
        shelves.take_room(&third, 1_000, 100);
        assert!(is_there(&shelves, &third) && !is_there(&shelves, &first));
    }

    #[test]
    fn the_count_of_components_has_a_bound() {
        let mut shelves = Shelves::default();
        for number in 0..=COUNT_MAX {
            shelves.outcome(&digest_of(number.to_string().as_bytes()));
        }
        assert_eq!(shelves.by_digest.len(), COUNT_MAX);
        assert!(!shelves.by_digest.contains_key(&digest_of(b"0")));
    }
}
