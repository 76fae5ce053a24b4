//! Runs one stage in a closed box; the only crate that names Wasmtime.
//!
//! [`Sandbox`] implements both ports of `domain::port`: it runs stages and it knows plugins. It does not know who keeps
//! a model's answers, what a run is, or in which order stages follow each other.
//!
//! Invariant: a guest reaches nothing but what its context holds and what `llm` and `log` offer. Whatever it does is a
//! fault of its attempt; it never stops the host, and it never sees the machine.

mod adding;
mod attempt;
mod bindings;
mod catalog;
mod checker;
mod clock;
mod component;
mod convert;
mod copies;
mod describe;
mod engine;
mod error;
mod facts;
mod fault;
mod files;
mod finding;
mod guest;
mod http;
mod llm;
mod loaded;
mod log_book;
mod machine;
mod meter;
mod output;
mod pieces;
mod raised;
mod survey;
mod text;
mod uploads;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use domain::model::ModelRequest;
use domain::plan::PluginRef;
use domain::port::{
    Attempt, BoxFuture, KnownPlugin, PluginCatalog, PluginError, Ports, StageJob, StageRunner,
};
use domain::upload::{Added, NewPlugin, UploadError, UploadedPlugin};
use domain::{Digest, Fault};

pub use checker::{Checker, check_standard_input};
pub use component::CONTRACT_VERSION;
pub use engine::{EPOCH_TICK, MEMORY_BYTES_BOUND};
pub use error::Error;
pub use fault::{tells_log, told_line, wanted_network, words_of_stage};
pub use finding::{Finding, FindingKind};
pub use survey::{COMPONENT_BYTES_MAX, StartCosts};

use catalog::Catalog;
use machine::Machine;

/// Where a sandbox finds and keeps things.
#[derive(Debug, Clone)]
pub struct Config {
    /// Compiled code and what plugins say about themselves. May be deleted at any time.
    pub cache_dir: PathBuf,
    /// The `*.wasm` files that a person put there.
    pub plugin_dir: PathBuf,
    /// Copies of the plugins that runs are bound to.
    pub pinned_dir: PathBuf,
    /// Plugins inside the program: name and bytes.
    pub bundled: &'static [(&'static str, &'static [u8])],
    /// Stages at one time; further ones wait. Each takes address space, and memory only as it uses it.
    pub instance_count_max: u32,
}

/// Runs stages and knows plugins. A clone is the same sandbox.
#[derive(Clone)]
pub struct Sandbox {
    machine: Arc<Machine>,
    catalog: Arc<Catalog>,
}

impl Config {
    /// Whether code that was compiled earlier lies in the cache. Without it the first use of each plugin takes seconds.
    pub fn has_compiled_code(&self) -> bool {
        files::has_file(&engine::compiled_dir(&self.cache_dir))
    }
}

impl Sandbox {
    /// Opens a sandbox. Compiles and runs nothing.
    ///
    /// # Errors
    /// [`Error`] if this machine cannot run guests with this configuration.
    pub fn open(config: Config) -> Result<Sandbox, Error> {
        Self::open_with(config, None)
    }

    /// Opens a sandbox that has uploads checked by a child process. Without a checker they are checked in this one, which
    /// is for whoever knows what is added.
    ///
    /// # Errors
    /// [`Error`] if this machine cannot run guests with this configuration.
    pub fn open_with(config: Config, checker: Option<Checker>) -> Result<Sandbox, Error> {
        let machine = Arc::new(Machine::open(&config)?);
        let catalog = Arc::new(Catalog::new(config, checker, Arc::clone(&machine)));
        Ok(Sandbox { machine, catalog })
    }

    /// Compares a component with the contract and asks it who it is. `place` names it in what is found.
    ///
    /// # Errors
    /// [`PluginError::Unfit`] with everything that is wrong.
    pub fn inspect(&self, bytes: &[u8], place: &str) -> Result<KnownPlugin, PluginError> {
        self.catalog.inspect(bytes, place)
    }

    /// Reads all uploads and all copies that runs are bound to. Gives how many there are, and what is wrong with those
    /// that are not what their digests say.
    pub fn compare_kept(&self) -> (u64, Vec<PluginError>) {
        self.catalog.compare()
    }
}

impl StageRunner for Sandbox {
    fn run(&self, job: StageJob, ports: Ports) -> BoxFuture<'_, Attempt> {
        Box::pin(attempt::run(&self.machine, &self.catalog, job, ports))
    }

    fn build_prompt(&self, job: StageJob) -> BoxFuture<'_, Result<ModelRequest, Fault>> {
        Box::pin(attempt::build_prompt(&self.machine, &self.catalog, job))
    }

    fn prepare(&self, plugins: Vec<Digest>) -> BoxFuture<'_, ()> {
        Box::pin(attempt::prepare(&self.machine, &self.catalog, plugins))
    }
}

impl PluginCatalog for Sandbox {
    fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        self.catalog.list()
    }

    fn find(&self, reference: &PluginRef, base: Option<&str>) -> Result<KnownPlugin, PluginError> {
        self.catalog.find(reference, base)
    }

    fn pin(&self, digest: &Digest) -> Result<(), PluginError> {
        self.catalog.pin(digest)
    }

    fn read(&self, digest: &Digest) -> Result<Vec<u8>, PluginError> {
        self.catalog.bound_bytes(digest).map(std::borrow::Cow::into_owned)
    }

    fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), PluginError> {
        self.catalog.keep(digest, bytes)
    }

    fn bound(&self, digest: &Digest) -> Result<KnownPlugin, PluginError> {
        self.catalog.bound(digest)
    }

    fn release(&self, bound: &BTreeSet<Digest>) -> Result<u64, PluginError> {
        self.catalog.release(bound)
    }

    fn unusable(&self) -> Vec<PluginError> {
        self.catalog.list_kept().1
    }

    fn digests(&self) -> Vec<Digest> {
        self.catalog.digests()
    }

    fn add(
        &self,
        component: &mut (dyn Read + Send),
        asked: &NewPlugin,
        is_called_off: &(dyn Fn() -> bool + Sync),
    ) -> Result<Added, UploadError> {
        self.catalog.add(component, asked, is_called_off)
    }

    fn uploaded(&self, reference: &PluginRef) -> Result<UploadedPlugin, UploadError> {
        self.catalog.uploaded(reference)
    }

    fn remove(&self, digest: &Digest) -> Result<(), UploadError> {
        self.catalog.remove(digest)
    }
}
