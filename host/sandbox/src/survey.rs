//! What a component costs on this machine: measured here and now, for the person who makes it.
//!
//! Nothing here is kept. A measurement takes instances that are kept back for previews, so that it disturbs no stage.
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::plan::PinnedPlugin;
use domain::port::{Consumed, KnownPlugin, PluginSource, StageJob};
use domain::{Fault, FaultKind};

use crate::catalog::digest_of;
use crate::component::LoadedComponent;
use crate::convert::context_to_guest;
use crate::describe::{self, DESCRIBE_LIMITS, Unfit};
use crate::fault::Culprit;
use crate::finding::{Finding, in_words};
use crate::guest::{Reached, Seed};
use crate::machine::{Slots, Visit, Visited};
use crate::output::stage_failure;
use crate::{Sandbox, files};

/// Instances of which the median time is told: enough that one interruption by the machine does not show.
const START_COUNT: usize = 33;

/// What a start of a component takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartCosts {
    /// From nothing to an instance that can be called, and back; the median of several, the first one left out.
    pub time: Duration,
    /// Linear memory of an instance that has done nothing, in bytes.
    pub memory_bytes: u64,
    /// Most linear memory of an instance while it says who it is, in bytes.
    pub describe_memory_bytes: u64,
}

/// What every component begins with; a module, which is none, says another layer.
const COMPONENT_HEAD: &[u8] = b"\0asm\x0d\0\x01\0";

impl Sandbox {
    /// Whether the first use of a component takes as long as compiling it: it was not examined with this cache, or the
    /// cache has no compiled code. What is no component is refused before anything is compiled.
    pub fn would_compile(&self, bytes: &[u8]) -> bool {
        // The compiled code of one component cannot be looked for: Wasmtime alone knows under which name it keeps it. If it
        // was removed and that of another is there (Wasmtime itself removes what is old), this is not known.
        let is_compiled = || {
            let config = &self.catalog.config;
            let is_known = describe::read_record(&config.cache_dir, &digest_of(bytes)).is_some();
            is_known && config.has_compiled_code()
        };
        bytes.starts_with(COMPONENT_HEAD) && !is_compiled()
    }

    /// Makes a component ready to be started, and tells how long that took: seconds for one that has to be compiled,
    /// milliseconds for one whose compiled code is in the cache.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_timed(&self, bytes: &[u8]) -> Result<Duration, Vec<Finding>> {
        let digest = digest_of(bytes);
        let began = Instant::now();
        self.machine.load(&digest, bytes)?;
        Ok(began.elapsed())
    }

    /// Compares a component with the contract and asks it who it is, whatever was found out earlier. `place` says where it
    /// comes from.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn examine(&self, bytes: &[u8], place: &str) -> Result<KnownPlugin, Vec<Finding>> {
        let digest = digest_of(bytes);
        let facts =
            describe::examine(&self.machine, &digest, bytes).map_err(|unfit| match unfit {
                Unfit::Plugin(findings) => findings,
                Unfit::Machine(finding) => vec![finding],
            })?;
        Ok(KnownPlugin {
            info: facts.info,
            digest,
            size_bytes: facts.size_bytes,
            source: PluginSource::File(place.to_owned()),
            imports: facts.imports,
            contract_version: facts.contract_version,
        })
    }

    /// Starts a component some times, and tells what that takes.
    ///
    /// # Errors
    /// The fault of an instance that could not be made.
    pub async fn start_costs(
        &self,
        plugin: &KnownPlugin,
        bytes: &[u8],
    ) -> Result<StartCosts, Fault> {
        let culprit = Culprit { stage: None, plugin: plugin.pin() };
        let component = self.component(&culprit, bytes)?;
        let mut times = Vec::with_capacity(START_COUNT);
        let mut memory_bytes = 0;
        for _ in 0..=START_COUNT {
            let began = Instant::now();
            let visit = self.visit_of(&culprit, Seed::of_plugin(&plugin.digest));
            let visited =
                self.machine.visit(&component, visit, |_, _| Box::pin(async { Ok(()) })).await;
            times.push(began.elapsed());
            visited.outcome?;
            memory_bytes = visited.consumed.memory_bytes;
        }
        // The first one is not warm: it faults the code and the memory in.
        times.remove(0);
        times.sort();
        let visit = self.visit_of(&culprit, Seed::of_plugin(&plugin.digest));
        let described = self.machine.visit(&component, visit, |store, plugin| {
            Box::pin(plugin.stagewright_stage_plugin().call_describe(store))
        });
        let Visited { outcome, consumed, .. } = described.await;
        outcome?;
        let describe_memory_bytes = consumed.memory_bytes;
        Ok(StartCosts { time: times[START_COUNT / 2], memory_bytes, describe_memory_bytes })
    }

    /// Has a component build its first question, and tells what that used up. That the plugin refuses the context is an
    /// outcome like every other.
    pub async fn prompt_costs(&self, job: StageJob, bytes: &[u8]) -> (Result<(), Fault>, Consumed) {
        let StageJob { plugin, context, limits, .. } = job;
        let culprit = Culprit { stage: Some(context.stage_key.clone()), plugin };
        let component = match self.component(&culprit, bytes) {
            Ok(component) => component,
            Err(fault) => return (Err(fault), Consumed::default()),
        };
        let seed = Seed::of_attempt(&context);
        let visit = Visit {
            reached: Reached::nobody("build-prompt"),
            limits: &limits,
            ..self.visit_of(&culprit, seed)
        };
        let context = context_to_guest(context);
        let visited = self.machine.visit(&component, visit, |store, plugin| {
            Box::pin(async move {
                plugin.stagewright_stage_plugin().call_build_prompt(store, &context).await
            })
        });
        let Visited { outcome, consumed, .. } = visited.await;
        let outcome = outcome.and_then(|said| {
            said.map(|_| ()).map_err(|error| {
                let (kind, message) = stage_failure(error, &[]);
                Fault { kind, message }
            })
        });
        (outcome, consumed)
    }

    fn component(&self, culprit: &Culprit, bytes: &[u8]) -> Result<Arc<LoadedComponent>, Fault> {
        let PinnedPlugin { digest, .. } = &culprit.plugin;
        self.machine.load(digest, bytes).map_err(|findings| {
            let findings = in_words(&findings).join("; ");
            culprit.fault(FaultKind::PluginNotLoadable, &findings)
        })
    }

    fn visit_of<'a>(&self, culprit: &'a Culprit, seed: Seed) -> Visit<'a> {
        Visit {
            culprit,
            limits: &DESCRIBE_LIMITS,
            seed,
            reached: Reached::nobody("describe"),
            slots: Slots::Previews,
        }
    }
}

/// Largest component that is looked into, in bytes.
pub const COMPONENT_BYTES_MAX: u64 = files::PLUGIN_BYTES_MAX;
