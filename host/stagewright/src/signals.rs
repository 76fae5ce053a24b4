//! What the operating system sends to end the process. From the first call on, a signal no longer ends it by itself.
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for Ctrl-C, or for an order to end.
pub(crate) async fn ending() {
    Endings::listen().next().await;
}

/// Orders to end, one after another: none is missed from the moment on at which this listens.
pub(crate) struct Endings {
    #[cfg(unix)]
    signals: Vec<Signal>,
}

#[cfg(unix)]
impl Endings {
    pub(crate) fn listen() -> Endings {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        // One that cannot be listened for ends the process as it always does.
        Endings { signals: kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect() }
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let is_sent =
                self.signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_sent { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

#[cfg(not(unix))]
impl Endings {
    pub(crate) fn listen() -> Endings {
        Endings {}
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
