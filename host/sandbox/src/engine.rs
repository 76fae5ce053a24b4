//! The one Wasmtime engine: what guests may use of WebAssembly, how much room each has, and the clock that interrupts
//! them.
//!
//! Invariant: whatever a slot of the pool admits is at least what a profile may grant, so that a limit is met as a
//! fault with a name and never as a failure of the allocator.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig, WasmBacktraceDetails,
};

use crate::{Error, files};

/// How often a computing guest is interrupted to see whether its time is up.
///
/// A guest overruns its time by this much and no more. 10 ms is invisible to a person and costs under 0.1 % of a core.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Most memory, in bytes, that a profile may grant to a stage.
///
/// It is address space that every slot has, not memory. 512 MiB holds a Python runtime with its libraries; a stage that
/// needs more works on something else than texts.
pub const MEMORY_BYTES_BOUND: u64 = 512 << 20;

/// Most linear memories of a component: its own, and one for an adapter.
pub(crate) const MEMORIES_PER_COMPONENT: u32 = 2;

/// Most tables of a component. Rust needs two; runtimes that load libraries need one per library group.
pub(crate) const TABLES_PER_COMPONENT: u32 = 8;

/// Most core instances of a component. Rust needs four; Python brings one per library, about thirty.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;

/// Most elements of one table. CPython's has about 10,000; an element is 8 bytes of address space.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Instances that are kept back for `describe` and `build-prompt`, so that a person who looks at a prompt does not wait
/// behind stages that wait for a model.
pub(crate) const PREVIEW_SLOT_COUNT: u32 = 4;

/// Most stages at one time that an address space of 47 bits has room for, with two memories of 4 GiB each.
const INSTANCE_COUNT_BOUND: u32 = 10_000;

/// Stack, in bytes, for guest code. It is Wasmtime's default: a recursion of some ten thousand calls.
pub(crate) const GUEST_STACK_BYTES: usize = 512 << 10;

/// Stack, in bytes, for a guest together with the host functions that it calls.
const ASYNC_STACK_BYTES: usize = 2 << 20;

pub(crate) fn open(cache_dir: &Path, instance_count_max: u32) -> Result<Engine, Error> {
    if instance_count_max == 0 || instance_count_max > INSTANCE_COUNT_BOUND {
        return Err(Error::InstanceCount { found: instance_count_max });
    }
    let mut config = Config::new();
    limit_features(&mut config);
    config
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .cache(open_cache(cache_dir))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(
            instance_count_max + PREVIEW_SLOT_COUNT,
        )));
    Engine::new(&config).map_err(|error| Error::Engine { detail: format!("{error:#}") })
}

/// Switches off what stages do not need, and what would let two runs of the same code differ. Threads, garbage
/// collection and exceptions are not even compiled into the program.
fn limit_features(config: &mut Config) {
    config
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_shared_everything_threads(false)
        .shared_memory(false);
}

/// What a slot keeps of the machine's memory between two attempts, in bytes, cleared. To give it back and to fault it in
/// again costs more time than a stage computes; what the shipped stages use fits into it. A slot that was never used
/// has none.
const MEMORY_KEPT_BYTES: usize = 2 << 20;
const TABLE_KEPT_BYTES: usize = 64 << 10;
const STACK_KEPT_BYTES: usize = 64 << 10;

fn pool(instance_count: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instance_count)
        .total_stacks(instance_count)
        .total_core_instances(instance_count.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(instance_count.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(instance_count.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .async_stack_keep_resident(STACK_KEPT_BYTES)
        .pagemap_scan(Enabled::Auto)
        .max_memory_size(usize::try_from(MEMORY_BYTES_BOUND).unwrap_or(usize::MAX));
    pool
}

/// Where compiled code lies.
pub(crate) fn compiled_dir(cache_dir: &Path) -> PathBuf {
    cache_dir.join("compiled")
}

/// Opens the cache of compiled code, or goes on without one: a cache is never a reason to fail.
///
/// The folders are the host's alone, because what lies in them is run as native code: one that others may enter is
/// closed, and one that cannot be closed is not used.
fn open_cache(cache_dir: &Path) -> Option<Cache> {
    let folder = std::path::absolute(compiled_dir(cache_dir)).ok()?;
    let opened = open_private_folders(cache_dir, &folder)
        .map_err(|error| error.to_string())
        .and_then(|()| {
            let mut config = CacheConfig::new();
            config.with_directory(&folder);
            Cache::new(config).map_err(|error| format!("{error:#}"))
        });
    match opened {
        Ok(cache) => Some(cache),
        Err(detail) => {
            let folder = folder.display();
            tracing::debug!(%folder, %detail, "compiled plugins are not kept in `{folder}`");
            None
        }
    }
}

/// Both: whoever may write to the outer one could put another in the place of the inner one.
fn open_private_folders(cache_dir: &Path, compiled_dir: &Path) -> std::io::Result<()> {
    files::create_private_folder(cache_dir)?;
    files::create_private_folder(compiled_dir)
}

/// The thread that moves the engine's epoch, and the count of its ticks. Dropping it stops and joins the thread.
pub(crate) struct EpochTicker {
    ticks: Arc<AtomicU64>,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EpochTicker {
    pub(crate) fn start(engine: &Engine) -> Result<Self, Error> {
        let ticks = Arc::new(AtomicU64::new(0));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let engine = engine.weak();
        let thread = thread::Builder::new().name("epoch-ticker".to_owned()).spawn({
            let (ticks, is_stopped) = (Arc::clone(&ticks), Arc::clone(&is_stopped));
            move || {
                while !is_stopped.load(Ordering::Acquire) {
                    thread::park_timeout(EPOCH_TICK);
                    let Some(engine) = engine.upgrade() else { return };
                    // The count goes first: a guest that sees the new epoch must also see the new count.
                    ticks.fetch_add(1, Ordering::Release);
                    engine.increment_epoch();
                }
            }
        });
        let thread = thread.map_err(|source| Error::Ticker { source })?;
        Ok(Self { ticks, is_stopped, thread: Some(thread) })
    }

    /// The count of ticks, to be read while guests run.
    pub(crate) fn ticks(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.ticks)
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that interrupts guests panicked");
            }
        }
    }
}
