//! What one guest uses up, and the fault when it is too much. Counting needs no cooperation of the guest.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::fault::Limit;
use wasmtime::ResourceLimiter;

use crate::engine::{EPOCH_TICK, TABLES_PER_COMPONENT};
use crate::fault::Stopped;
use crate::text::size;

/// Bytes that one element of a table takes up on the host.
const TABLE_ELEMENT_BYTES: usize = 8;

/// Counts memory over all memories and tables of a component.
pub(crate) struct MemoryMeter {
    used_bytes: u64,
    peak_bytes: u64,
    bytes_max: u64,
    /// What was counted last, so that it can be taken back when the machine has no memory for it.
    last_bytes: u64,
}

impl MemoryMeter {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { used_bytes: 0, peak_bytes: 0, bytes_max, last_bytes: 0 }
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Over the bound the guest is stopped at once. To answer "no" would be kinder in theory; in practice a runtime
    /// without memory ends in an `abort` that tells nobody why.
    fn grow(&mut self, bytes: u64) -> Result<bool, wasmtime::Error> {
        let wanted = self.used_bytes.saturating_add(bytes);
        if wanted > self.bytes_max {
            return Err(Stopped::over(Limit::Memory, &size(wanted), &size(self.bytes_max)).into());
        }
        self.last_bytes = bytes;
        self.used_bytes = wanted;
        self.peak_bytes = self.peak_bytes.max(wanted);
        Ok(true)
    }

    fn take_back(&mut self) {
        self.used_bytes -= std::mem::take(&mut self.last_bytes);
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(
            (desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT_BYTES as u64),
        )
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn tables(&self) -> usize {
        TABLES_PER_COMPONENT as usize
    }
}

/// Counts the ticks that pass while a guest computes. A clone counts the same.
///
/// Time from [`enter`](Self::enter) to [`leave`](Self::leave) is the guest's: its own code, and calls to the host that do
/// not wait. A guest that does nothing but log pays for it. Waiting for a model, for a sleep, or for a thread is not.
#[derive(Clone)]
pub(crate) struct CpuMeter(Arc<CpuCount>);

struct CpuCount {
    host_ticks: Arc<AtomicU64>,
    entered_at: AtomicU64,
    used_ticks: AtomicU64,
    time_max: Duration,
}

impl CpuMeter {
    pub(crate) fn new(host_ticks: Arc<AtomicU64>, time_max: Duration) -> Self {
        let entered_at = AtomicU64::new(host_ticks.load(Ordering::Acquire));
        let used_ticks = AtomicU64::new(0);
        Self(Arc::new(CpuCount { host_ticks, entered_at, used_ticks, time_max }))
    }

    /// The guest goes on after a wait: what has passed until now is not its own time.
    pub(crate) fn enter(&self) {
        self.0.entered_at.store(self.0.host_ticks.load(Ordering::Acquire), Ordering::Release);
    }

    /// The guest begins to wait: what has passed until now is its own time.
    pub(crate) fn leave(&self) {
        let now = self.0.host_ticks.load(Ordering::Acquire);
        let passed = now.saturating_sub(self.0.entered_at.swap(now, Ordering::AcqRel));
        self.0.used_ticks.fetch_add(passed, Ordering::AcqRel);
    }

    /// Waits for something that is not the guest's work.
    pub(crate) async fn without<T>(&self, work: impl Future<Output = T>) -> T {
        self.leave();
        let outcome = work.await;
        self.enter();
        outcome
    }

    /// Charges what has passed, and stops the guest if it is too much.
    pub(crate) fn charge(&self) -> Result<(), Stopped> {
        self.leave();
        let used = self.used_time();
        if used <= self.0.time_max {
            return Ok(());
        }
        Err(Stopped::over(
            Limit::CpuTime,
            &format!("{} ms", used.as_millis()),
            &format!("{} ms", self.0.time_max.as_millis()),
        ))
    }

    pub(crate) fn used_time(&self) -> Duration {
        let ticks = self.0.used_ticks.load(Ordering::Acquire);
        EPOCH_TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_guests_own_time_is_charged() {
        let ticks = Arc::new(AtomicU64::new(7));
        let meter = CpuMeter::new(Arc::clone(&ticks), EPOCH_TICK * 5);
        ticks.store(9, Ordering::Release);
        meter.leave();
        ticks.store(500, Ordering::Release);
        meter.enter();
        meter.charge().unwrap();
        assert_eq!(meter.used_time(), EPOCH_TICK * 2);
        ticks.store(503, Ordering::Release);
        meter.charge().unwrap();
        ticks.store(504, Ordering::Release);
        assert!(meter.charge().is_err());
    }

    #[test]
    fn all_memories_count_together() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.table_growing(0, 5, None).unwrap());
        assert!(meter.memory_growing(0, 1, None).is_err());
        assert_eq!(meter.peak_bytes(), 100);
    }

    #[test]
    fn growth_that_failed_is_taken_back() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 80, None).unwrap());
        meter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(meter.memory_growing(0, 100, None).unwrap());
        assert!(!meter.memory_growing(100, 200, Some(150)).unwrap());
    }
}
