//! Which requests of a guest are under way. While any is, the guest's clock stands still: a deadline that it waits for
//! beside an answer would otherwise be reached at once, and another time not, when the answer is a kept one.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The requests of one guest. A clone knows the same ones.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Sky>);

#[derive(Default)]
struct Sky {
    open: Mutex<Vec<Flight>>,
    landed: Notify,
}

struct Flight {
    task: AbortHandle,
    /// The task is about to end.
    is_landing: Arc<AtomicBool>,
}

/// Tells of the end of a request, however it ends.
pub(super) struct Landing {
    flights: Flights,
    is_landing: Arc<AtomicBool>,
}

impl Landing {
    pub(super) fn mark(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_landing)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.is_landing.store(true, Ordering::Release);
        self.flights.0.landed.notify_waiters();
    }
}

impl Flights {
    pub(super) fn landing(&self) -> Landing {
        Landing { flights: self.clone(), is_landing: Arc::default() }
    }

    pub(super) fn add(&self, task: AbortHandle, is_landing: Arc<AtomicBool>) {
        self.open().push(Flight { task, is_landing });
    }

    fn open(&self) -> MutexGuard<'_, Vec<Flight>> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|flight| !flight.task.is_finished());
        open
    }

    /// Waits until no request is under way, and every outcome can be seen.
    pub(crate) async fn all_landed(&self) {
        loop {
            // Before the look, so that no landing falls between the two.
            let landed = self.0.landed.notified();
            let is_one_landing = {
                let open = self.open();
                if open.is_empty() {
                    return;
                }
                open.iter().any(|flight| flight.is_landing.load(Ordering::Acquire))
            };
            if is_one_landing {
                // Between the task's last word and its end lie some instructions of another thread.
                tokio::task::yield_now().await;
            } else {
                landed.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_sees_every_task_ended() {
        let flights = Flights::default();
        flights.all_landed().await;
        let mut handles = Vec::new();
        for _ in 0..3 {
            let landing = flights.landing();
            let mark = landing.mark();
            let handle = wasmtime_wasi::runtime::spawn(async move {
                let _landing = landing;
                tokio::task::yield_now().await;
            });
            flights.add(handle.abort_handle(), mark);
            handles.push(handle);
        }
        flights.all_landed().await;
        assert!(handles.iter().all(|handle| handle.is_finished()));
        assert!(flights.open().is_empty());
    }

    #[tokio::test]
    async fn a_request_that_the_guest_drops_has_landed() {
        let flights = Flights::default();
        let landing = flights.landing();
        let mark = landing.mark();
        let handle = wasmtime_wasi::runtime::spawn(async move {
            let _landing = landing;
            std::future::pending::<()>().await;
        });
        flights.add(handle.abort_handle(), mark);
        drop(handle);
        flights.all_landed().await;
    }
}
