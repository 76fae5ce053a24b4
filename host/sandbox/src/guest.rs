//! The inside of the box: what one guest has while it runs, and the host functions that it can call.
//!
//! Invariant: everything here belongs to one attempt and is dropped with it; nothing is shared between guests.
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use domain::fault::Limit;
use domain::model::ModelError;
use domain::port::{HttpPort, ModelPort};
use domain::stage::{LogLevel, StageContext};
use domain::{Digest, Limits};
use sha2::{Digest as _, Sha256};
use wasmtime::CallHook;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::stagewright::stage::{llm, log};
use crate::clock::{FrozenWallClock, GuestClock, GuestClockView, HasGuestClock};
use crate::fault::{Denial, Stopped, over_limit};
use crate::http::{Flights, GuestHttp};
use crate::log_book::{Output, SharedLogBook};
use crate::meter::{CpuMeter, MemoryMeter};
use crate::output::output_bytes_max;
use crate::text::size;

/// Most handles that a guest may hold. A stage needs a handful: its outputs, and one answer at a time.
pub(crate) const HANDLE_COUNT_MAX: usize = 1024;

/// Most random bytes that a guest gets at once. A hash map asks for 16.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Room, in bytes, for what lists and records take up beside their texts.
const CALL_OVERHEAD_BYTES: u64 = 64 << 10;

/// Who answers a guest's questions to a model.
pub(crate) enum Models {
    Port(Arc<dyn ModelPort>),
    /// Nobody, because `function` has to work without.
    Nobody {
        function: &'static str,
    },
}

/// Whom a guest reaches.
pub(crate) struct Reached {
    pub(crate) models: Models,
    /// Carries its HTTP requests; `None`: it has no network.
    pub(crate) http: Option<Arc<dyn HttpPort>>,
}

impl Reached {
    /// Nobody, in a function that has to work without.
    pub(crate) fn nobody(function: &'static str) -> Self {
        Self { models: Models::Nobody { function }, http: None }
    }
}

/// From what a guest's randomness is made.
pub(crate) struct Seed([u8; 32]);

impl Seed {
    /// The same for every repetition of an attempt, another for every other attempt.
    pub(crate) fn of_attempt(context: &StageContext) -> Self {
        let attempt = context.attempt.to_string();
        Self::of(&["attempt", context.run_id.as_str(), context.stage_key.as_str(), &attempt])
    }

    /// For a call that belongs to no run.
    pub(crate) fn of_plugin(digest: &Digest) -> Self {
        Self::of(&["plugin", digest.as_str()])
    }

    fn of(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update("stagewright guest seed 1");
        for part in parts {
            hasher.update([0]);
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(purpose);
        hasher.finalize().into()
    }
}

/// What a store holds for one guest.
pub(crate) struct Guest {
    wasi: WasiCtx,
    clock: GuestClock,
    pub(crate) table: ResourceTable,
    pub(crate) memory: MemoryMeter,
    pub(crate) cpu: CpuMeter,
    pub(crate) log: SharedLogBook,
    pub(crate) models: Models,
    pub(crate) http: GuestHttp,
    /// The answer that the guest is reading, by its place in the table. It may not ask until that has ended.
    pub(crate) open_stream: Option<u32>,
    /// The errors of model calls that the guest was told of, to recognise one that it passes on.
    pub(crate) model_errors: Vec<ModelError>,
    call_bytes_max: u64,
    pub(crate) transfer: Transfer,
}

/// How many bytes the guest may hand to the host at one time: little in a call to the host, more when its own function
/// returns, because then all artifacts come at once. The bound of a call keeps a guest from making the host work for long
/// on one list; `llm` and `log` then compare with the profile to the byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    /// Guest functions that have not returned yet. Copying into the guest runs its allocator, inside its own call.
    depth: u32,
    call_bytes: usize,
    return_bytes: usize,
}

impl Transfer {
    fn new(limits: &Limits) -> Self {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let overhead = limits.call_bytes_max.saturating_add(CALL_OVERHEAD_BYTES);
        Self {
            depth: 0,
            call_bytes: bytes(limits.call_bytes_max.saturating_add(overhead)),
            return_bytes: bytes(output_bytes_max(limits).saturating_add(overhead)),
        }
    }

    /// Takes note that a guest function begins or returns, and says what may be handed over from here on.
    pub(crate) fn after(&mut self, hook: CallHook) -> usize {
        match hook {
            CallHook::CallingWasm => self.depth += 1,
            CallHook::ReturningFromWasm => self.depth = self.depth.saturating_sub(1),
            CallHook::CallingHost | CallHook::ReturningFromHost => {}
        }
        if self.depth == 0 { self.return_bytes } else { self.call_bytes }
    }
}

impl Guest {
    pub(crate) fn new(limits: &Limits, seed: &Seed, reached: Reached, cpu: CpuMeter) -> Self {
        let Reached { models, http } = reached;
        let log = SharedLogBook::new(limits.log_bytes_max);
        let flights = Flights::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLE_COUNT_MAX);
        Self {
            wasi: empty_wasi(seed, &log),
            clock: GuestClock::new(cpu.clone(), flights.clone()),
            http: GuestHttp::new(http, flights, log.clone(), limits.call_bytes_max),
            table,
            memory: MemoryMeter::new(limits.memory_bytes_max),
            cpu,
            log,
            models,
            open_stream: None,
            model_errors: Vec::new(),
            call_bytes_max: limits.call_bytes_max,
            transfer: Transfer::new(limits),
        }
    }

    /// Refuses more bytes in one call than the profile allows.
    /// Says why a function of `wasi:http` stops the guest.
    pub(crate) fn denied(&self, function: &str) -> Stopped {
        let denial = match (&self.models, self.http.has_port()) {
            (Models::Nobody { function }, _) => Denial::InPreview { function },
            (Models::Port(_), false) => Denial::NotGranted,
            (Models::Port(_), true) => Denial::OtherForm,
        };
        Stopped::Denied { function: function.to_owned(), denial }
    }

    pub(crate) fn check_call_bytes(&self, what: &str, bytes: u64) -> Result<(), Stopped> {
        check_call_bytes(what, bytes, self.call_bytes_max)
            .map_err(|message| Stopped::Limit { limit: Limit::CallBytes, message })
    }
}

/// Refuses more bytes in one call than the profile allows, whichever way they go.
///
/// # Errors
/// What has how many bytes, how many are allowed, and the setting that raises it.
pub(crate) fn check_call_bytes(what: &str, bytes: u64, bytes_max: u64) -> Result<(), String> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let used = format!("{what} has {}", size(bytes));
    Err(over_limit(Limit::CallBytes, &used, &size(bytes_max)))
}

/// A WASI without environment, arguments, files, input, network and real time.
fn empty_wasi(seed: &Seed, log: &SharedLogBook) -> WasiCtx {
    let mut insecure_seed = [0; 16];
    insecure_seed.copy_from_slice(&seed.derive("insecure seed")[..16]);
    WasiCtx::builder()
        .stdout(log.writer(Output::Stdout))
        .stderr(log.writer(Output::Stderr))
        .wall_clock(FrozenWallClock)
        .secure_random(ChaCha20Rng::from_seed(seed.derive("secure")))
        .insecure_random(ChaCha20Rng::from_seed(seed.derive("insecure")))
        .insecure_random_seed(u128::from_le_bytes(insecure_seed))
        .max_random_size(RANDOM_BYTES_MAX)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Everything that any guest can be linked to, apart from `wasi:http`, which is denied per component.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    wasmtime_wasi::p2::bindings::clocks::monotonic_clock::add_to_linker::<_, HasGuestClock>(
        linker,
        |guest| GuestClockView { clock: &guest.clock, table: &mut guest.table },
    )?;
    linker.allow_shadowing(false);
    llm::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    log::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl log::Host for Guest {
    async fn write(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<log::Field>,
    ) -> wasmtime::Result<()> {
        let fields_bytes: usize =
            fields.iter().map(|field| field.key.len() + field.value.len()).sum();
        self.check_call_bytes("the log line", (message.len() + fields_bytes) as u64)?;
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        let fields: Vec<(String, String)> =
            fields.into_iter().map(|field| (field.key, field.value)).collect();
        self.log.with(|book| book.write_line(level, &message, &fields));
        Ok(())
    }
}
