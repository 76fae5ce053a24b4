//! Remembers what was found out about plugins, fit or not, so that each is compiled and asked once, however many want to
//! know. Finds no file and picks no winner; `catalog` does.
//!
//! Invariant: what is remembered is a function of the bytes with the digest. Whatever the disk or the machine did wrong
//! is told to whoever asked, and found out anew by the next.
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use domain::Digest;
use domain::port::PluginError;

use crate::describe::{self, Facts, Unfit};
use crate::finding::{Finding, in_words};
use crate::machine::Machine;

/// What was found out about some bytes, or everything that is wrong with them.
type Outcome = Result<Arc<Facts>, Vec<Finding>>;

/// The place of one digest. Whoever examines holds the lock, and the others wait for the same outcome.
type Page = Mutex<Option<Outcome>>;

pub(crate) struct FactBook {
    cache_dir: PathBuf,
    machine: Arc<Machine>,
    pages: Mutex<HashMap<Digest, Arc<Page>>>,
}

impl FactBook {
    pub(crate) fn new(cache_dir: PathBuf, machine: Arc<Machine>) -> Self {
        Self { cache_dir, machine, pages: Mutex::default() }
    }

    /// What is known about some bytes: from memory, from disk, or by loading and asking them. That a plugin does not fit
    /// is kept in memory alone: a machine that was too busy for its `describe` gets another chance at the next start.
    pub(crate) fn look_up<'a>(
        &self,
        digest: &Digest,
        place: &str,
        bytes: impl FnOnce() -> Result<Cow<'a, [u8]>, PluginError>,
    ) -> Result<Arc<Facts>, PluginError> {
        let unfit = |findings: Vec<Finding>| PluginError::Unfit {
            place: place.to_owned(),
            findings: in_words(&findings),
        };
        let page = self.page(digest);
        let mut outcome = page.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*outcome {
            return known.clone().map_err(unfit);
        }
        let found = match describe::read_record(&self.cache_dir, digest) {
            Some(facts) => Ok(Arc::new(facts)),
            None => match describe::examine(&self.machine, digest, &bytes()?) {
                Ok(facts) => {
                    describe::write_record(&self.cache_dir, digest, &facts);
                    Ok(Arc::new(facts))
                }
                Err(Unfit::Plugin(findings)) => Err(findings),
                Err(Unfit::Machine(finding)) => return Err(unfit(vec![finding])),
            },
        };
        outcome.insert(found).clone().map_err(unfit)
    }

    fn page(&self, digest: &Digest) -> Arc<Page> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pages.entry(digest.clone()).or_default())
    }
}
