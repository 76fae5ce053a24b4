//! Work that is finished even if whoever waits for it goes away.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Work that is done in the task of whoever waits for it; dropped before its end, it goes on in a task of its own. Most
/// work is waited for, and a task of its own from the start would cost two changes of threads each time.
pub(crate) struct Finishing<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: TaskTracker,
}

impl<T: Send + 'static> Finishing<T> {
    pub(crate) fn new(
        tasks: &TaskTracker,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Finishing<T> {
        Finishing { work: Some(Box::pin(work)), tasks: tasks.clone() }
    }
}

impl<T: Send + 'static> Future for Finishing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Finishing<T> {
    fn drop(&mut self) {
        // Without a runtime the process is past its end; and work that panicked cannot go on.
        if let Some(work) = self.work.take()
            && Handle::try_current().is_ok()
            && !std::thread::panicking()
        {
            self.tasks.spawn(async move {
                work.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Waker;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_finished() {
        let tasks = TaskTracker::new();
        let (go, gone) = oneshot::channel::<()>();
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let mut work = Box::pin(Finishing::new(&tasks, async move {
            gone.await.ok();
            done.store(true, Ordering::SeqCst);
        }));
        assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());

        drop(work);
        go.send(()).unwrap();
        tasks.close();
        tasks.wait().await;

        assert!(seen.load(Ordering::SeqCst));
    }
}
