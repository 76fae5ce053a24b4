//! Runs one call into one guest, within its limits. Knows no run, no catalog and no files.
//!
//! Invariant: every call has a store of its own, taken from the pool behind a semaphore, and dropped with everything
//! the guest had. Two calls share compiled code and nothing else.
use std::time::Duration;

use domain::fault::Limit;
use domain::model::ModelError;
use domain::port::{BoxFuture, Consumed};
use domain::stage::StageLog;
use domain::{Digest, Fault, FaultKind, Limits};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::bindings::StagePlugin;
use crate::component::{self, LoadedComponent};
use crate::engine::{self, EpochTicker, MEMORY_BYTES_BOUND, PREVIEW_SLOT_COUNT};
use crate::fault::{Culprit, over_limit};
use crate::guest::{self, Guest, HANDLE_COUNT_MAX, Reached, Seed};
use crate::loaded::{LoadOutcome, Loaded};
use crate::log_book::LogBook;
use crate::meter::CpuMeter;
use crate::text::size;
use crate::{Config, Error};

/// Engine, linker, instances and loaded components.
pub(crate) struct Machine {
    engine: Engine,
    linker: Linker<Guest>,
    ticker: EpochTicker,
    stage_slots: Semaphore,
    preview_slots: Semaphore,
    pub(crate) loaded: Loaded,
}

/// Which instances a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// For stages that may wait long.
    Stages,
    /// For calls that end by themselves within their computing time.
    Previews,
}

/// One call into a guest.
pub(crate) struct Visit<'a> {
    pub(crate) culprit: &'a Culprit,
    pub(crate) limits: &'a Limits,
    pub(crate) seed: Seed,
    pub(crate) reached: Reached,
    pub(crate) slots: Slots,
}

/// What came of a call.
pub(crate) struct Visited<R> {
    pub(crate) outcome: Result<R, Fault>,
    pub(crate) log: StageLog,
    pub(crate) consumed: Consumed,
    /// The errors of model calls that the guest was told of.
    pub(crate) model_errors: Vec<ModelError>,
}

impl<R> Visited<R> {
    /// A call that did not begin.
    pub(crate) fn failed(fault: Fault) -> Self {
        Self {
            outcome: Err(fault),
            log: StageLog::default(),
            consumed: Consumed::default(),
            model_errors: Vec::new(),
        }
    }
}

impl Machine {
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        let engine = engine::open(&config.cache_dir, config.instance_count_max)?;
        let mut linker = Linker::new(&engine);
        guest::add_to_linker(&mut linker)
            .map_err(|error| Error::Engine { detail: format!("{error:#}") })?;
        let ticker = EpochTicker::start(&engine)?;
        Ok(Self {
            engine,
            linker,
            ticker,
            stage_slots: Semaphore::new(config.instance_count_max as usize),
            preview_slots: Semaphore::new(PREVIEW_SLOT_COUNT as usize),
            loaded: Loaded::default(),
        })
    }

    /// Loads a component, or gives what an earlier call loaded. Blocks for as long as compiling takes.
    pub(crate) fn load(&self, digest: &Digest, bytes: &[u8]) -> LoadOutcome {
        self.loaded.get_or_load(digest, || component::load(&self.linker, bytes))
    }

    /// Makes one call into a fresh instance of a component. Dropping the future stops the guest.
    pub(crate) async fn visit<R: Send>(
        &self,
        component: &LoadedComponent,
        visit: Visit<'_>,
        call: impl for<'a> FnOnce(
            &'a mut Store<Guest>,
            &'a StagePlugin,
        ) -> BoxFuture<'a, wasmtime::Result<R>>
        + Send,
    ) -> Visited<R> {
        let Visit { culprit, limits, seed, reached, slots } = visit;
        if limits.memory_bytes_max > MEMORY_BYTES_BOUND {
            return Visited::failed(too_much_memory(culprit, limits));
        }
        let slots = match slots {
            Slots::Stages => &self.stage_slots,
            Slots::Previews => &self.preview_slots,
        };
        // The permit is declared before the store, so that it is given back after the instance.
        let _permit = slots.acquire().await;
        let cpu = CpuMeter::new(self.ticker.ticks(), limits.cpu_time_max);
        let guest = Guest::new(limits, &seed, reached, cpu);
        let halt = guest.http.halt();
        let pre = component.pre_for(&guest);
        let mut store = self.store(guest);
        let running = async {
            let plugin = pre.instantiate_async(&mut store).await?;
            call(&mut store, &plugin).await
        };
        let ended = tokio::time::timeout(limits.wall_time_max, async {
            tokio::select! {
                biased;
                stopped = halt.wait() => Err(stopped.into()),
                ended = running => ended,
            }
        })
        .await;
        let guest = store.data_mut();
        let consumed =
            Consumed { cpu_time: guest.cpu.used_time(), memory_bytes: guest.memory.peak_bytes() };
        let outcome = guest.log.with(|log| {
            log.finish();
            match ended {
                Ok(ended) => ended.map_err(|error| culprit.fault_of(&error, log, limits)),
                Err(_) => Err(too_long(culprit, limits.wall_time_max, log)),
            }
        });
        let log = guest.log.with(|log| log.take());
        Visited { outcome, log, consumed, model_errors: std::mem::take(&mut guest.model_errors) }
    }

    fn store(&self, guest: Guest) -> Store<Guest> {
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_max_component_handles(HANDLE_COUNT_MAX);
        store.call_hook(|mut store, hook| {
            let bytes = store.data_mut().transfer.after(hook);
            store.set_hostcall_fuel(bytes);
            Ok(())
        });
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let cpu = store.data_mut().cpu.clone();
            cpu.charge()?;
            // A guest that computes gives the thread back at every tick, so that it cannot starve the others.
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    cpu.enter();
                }),
            ))
        });
        store
    }
}

fn too_much_memory(culprit: &Culprit, limits: &Limits) -> Fault {
    let message = format!(
        "`limits.memory_mib` in the profile grants {}, and this host has at most {} for a stage; lower it",
        size(limits.memory_bytes_max),
        size(MEMORY_BYTES_BOUND)
    );
    culprit.fault(FaultKind::Limit(Limit::Memory), &message)
}

fn too_long(culprit: &Culprit, wall_time_max: Duration, log: &LogBook) -> Fault {
    let allowed = format!("{} ms", wall_time_max.as_millis());
    let message = over_limit(Limit::WallTime, "not done", &allowed);
    culprit.fault_with_lines(FaultKind::Limit(Limit::WallTime), &message, log.lines())
}

#[cfg(test)]
impl Machine {
    pub(crate) fn ticks(&self) -> std::sync::Arc<std::sync::atomic::AtomicU64> {
        self.ticker.ticks()
    }

    pub(crate) fn free_stage_slots(&self) -> usize {
        self.stage_slots.available_permits()
    }
}
