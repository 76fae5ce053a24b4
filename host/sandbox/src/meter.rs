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

/// Counts the ticks that pass while a guest computes.
///
/// A tick is charged when the guest meets it in its own code, at most one at a time, and not if the guest was waiting
/// for a model when it passed. Calls to the host that do not wait are charged like the guest's own code: a guest that
/// does nothing but log pays for it.
pub(crate) struct CpuMeter {
    host_ticks: Arc<AtomicU64>,
    resumed_at: u64,
    used_ticks: u64,
    time_max: Duration,
}

impl CpuMeter {
    pub(crate) fn new(host_ticks: Arc<AtomicU64>, time_max: Duration) -> Self {
        let resumed_at = host_ticks.load(Ordering::Acquire);
        Self { host_ticks, resumed_at, used_ticks: 0, time_max }
    }

    /// The guest goes on after a wait: what has passed until now is not its own time.
    pub(crate) fn resume(&mut self) {
        self.resumed_at = self.host_ticks.load(Ordering::Acquire);
    }

    /// Charges the tick that has just interrupted the guest.
    pub(crate) fn charge(&mut self) -> Result<(), Stopped> {
        if self.host_ticks.load(Ordering::Acquire) > self.resumed_at {
            self.used_ticks += 1;
        }
        if self.used_time() > self.time_max {
            return Err(Stopped::over(
                Limit::CpuTime,
                &format!("{} ms", self.used_time().as_millis()),
                &format!("{} ms", self.time_max.as_millis()),
            ));
        }
        Ok(())
    }

    pub(crate) fn used_time(&self) -> Duration {
        EPOCH_TICK.saturating_mul(u32::try_from(self.used_ticks).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_wait_are_not_charged() {
        let ticks = Arc::new(AtomicU64::new(7));
        let mut meter = CpuMeter::new(Arc::clone(&ticks), Duration::from_secs(1));
        ticks.store(500, Ordering::Release);
        meter.resume();
        meter.charge().unwrap();
        assert_eq!(meter.used_time(), Duration::ZERO);
        ticks.store(501, Ordering::Release);
        meter.charge().unwrap();
        assert_eq!(meter.used_time(), EPOCH_TICK);
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
