//! The clocks that a guest sees. Both are made up, so that an attempt can be repeated to the letter.
//!
//! The wall clock stands still. The monotonic clock moves by one step whenever it is looked at, and jumps to the end of
//! a sleep: sleeping takes no time, and wakes in the order of the deadlines.
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostWallClock, async_trait};

use crate::http::Flights;
use crate::meter::CpuMeter;

/// What the wall clock shows: 2000-01-01T00:00:00Z, which nobody takes for the real time.
const WALL_CLOCK: Duration = Duration::from_secs(946_684_800);

/// How far the monotonic clock moves when it is looked at, in nanoseconds. It has to move, or a guest that waits for it
/// in a loop would never end.
const STEP_NS: u64 = 1000;

/// A wall clock that stands still.
pub(crate) struct FrozenWallClock;

impl HostWallClock for FrozenWallClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        WALL_CLOCK
    }
}

/// The monotonic clock of one guest.
#[derive(Clone)]
pub(crate) struct GuestClock {
    moments: Arc<Mutex<Moments>>,
    cpu: CpuMeter,
    flights: Flights,
}

#[derive(Default)]
struct Moments {
    now_ns: u64,
    alarm_count: u64,
    /// Deadlines that the guest waits for at this moment, with a number that tells equal ones apart.
    awaited: BTreeSet<(u64, u64)>,
}

impl GuestClock {
    pub(crate) fn new(cpu: CpuMeter, flights: Flights) -> Self {
        Self { moments: Arc::default(), cpu, flights }
    }

    fn moments(&self) -> MutexGuard<'_, Moments> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> u64 {
        let mut moments = self.moments();
        moments.now_ns = moments.now_ns.saturating_add(STEP_NS);
        moments.now_ns
    }
}

/// The end of a sleep, as a guest waits for it.
struct Alarm {
    clock: GuestClock,
    deadline_ns: u64,
}

/// Takes a deadline back when the guest no longer waits for it.
struct Awaited<'a> {
    clock: &'a GuestClock,
    entry: (u64, u64),
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.clock.moments().awaited.remove(&self.entry);
    }
}

#[async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        if self.clock.look() >= self.deadline_ns {
            return;
        }
        let awaited = {
            let mut moments = self.clock.moments();
            moments.alarm_count += 1;
            let entry = (self.deadline_ns, moments.alarm_count);
            moments.awaited.insert(entry);
            Awaited { clock: &self.clock, entry }
        };
        // In the first round everything else that the guest waits for gets its turn: what is ready without a sleep
        // comes first, and every other deadline is known. In the second round the earliest deadline is reached.
        let mut is_first_round = true;
        self.clock.cpu.leave();
        self.clock.flights.all_landed().await;
        poll_fn(|context| {
            let mut moments = awaited.clock.moments();
            let is_earliest = moments.awaited.first() == Some(&awaited.entry);
            if !is_first_round && (is_earliest || moments.now_ns >= awaited.entry.0) {
                moments.now_ns = moments.now_ns.max(awaited.entry.0);
                return Poll::Ready(());
            }
            is_first_round = false;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.clock.cpu.enter();
    }
}

/// What `wasi:clocks/monotonic-clock` works on.
pub(crate) struct GuestClockView<'a> {
    pub(crate) clock: &'a GuestClock,
    pub(crate) table: &'a mut ResourceTable,
}

/// Names [`GuestClockView`] to the linker.
pub(crate) struct HasGuestClock;

impl HasData for HasGuestClock {
    type Data<'a> = GuestClockView<'a>;
}

impl GuestClockView<'_> {
    fn alarm(&mut self, deadline_ns: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let alarm = self.table.push(Alarm { clock: self.clock.clone(), deadline_ns })?;
        subscribe(self.table, alarm)
    }
}

impl monotonic_clock::Host for GuestClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.look())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(STEP_NS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.alarm(when)
    }

    fn subscribe_duration(&mut self, duration_ns: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let deadline_ns = self.clock.look().saturating_add(duration_ns);
        self.alarm(deadline_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> GuestClock {
        let cpu = CpuMeter::new(Arc::default(), Duration::from_secs(1));
        GuestClock::new(cpu, Flights::default())
    }

    fn alarm(clock: &GuestClock, deadline_ns: u64) -> Alarm {
        Alarm { clock: clock.clone(), deadline_ns }
    }

    #[tokio::test]
    async fn the_earliest_of_two_sleeps_ends_first_and_takes_no_time() {
        let clock = clock();
        let (mut late, mut early) = (alarm(&clock, 5_000_000_000), alarm(&clock, 1_000_000_000));
        tokio::select! {
            biased;
            () = late.ready() => panic!("the later sleep ended first"),
            () = early.ready() => {}
        }
        assert_eq!(clock.moments().now_ns, 1_000_000_000);
        late.ready().await;
        assert_eq!(clock.moments().now_ns, 5_000_000_000);
        assert!(clock.moments().awaited.is_empty());
    }

    #[tokio::test]
    async fn a_sleep_without_end_ends() {
        let clock = clock();
        alarm(&clock, u64::MAX).ready().await;
        assert_eq!(clock.look(), u64::MAX);
    }
}
