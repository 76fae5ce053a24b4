//! What every handler works with.
use std::sync::Arc;

use engine::{Engine, Retention};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Access, Code, Problem};

/// Most event streams that may be open at the same time. Each holds a connection, a place in the engine's broadcast
/// and a few KiB; the bound keeps a client that forgets to close its streams from using up the process's files.
pub const STREAM_COUNT_MAX: usize = 512;

/// Most plugins that may be on their way at the same time: each takes a file of up to 64 MiB before anybody looks at it.
/// More than are checked or wait for it, so that a slow sender does not keep others out.
const UPLOAD_COUNT_MAX: usize = 8;

/// Writes the server's metrics as text in the form of Prometheus.
pub(crate) type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) engine: Engine,
    pub(crate) access: Access,
    pub(crate) metrics: Option<RenderMetrics>,
    /// Which ended runs stay, where a request does not say it.
    pub(crate) retention: Arc<Retention>,
    streams: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

impl ApiState {
    /// The API of an engine, for whoever the rules let in.
    pub fn new(engine: Engine, access: Access) -> Self {
        Self {
            engine,
            access,
            metrics: None,
            retention: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAM_COUNT_MAX)),
            uploads: Arc::new(Semaphore::new(UPLOAD_COUNT_MAX)),
        }
    }

    /// With something to show at `/metrics`: the server's metrics as text in the form of Prometheus.
    #[must_use]
    pub fn with_metrics(mut self, render: Arc<dyn Fn() -> String + Send + Sync>) -> Self {
        self.metrics = Some(render);
        self
    }

    /// With rules for which ended runs stay, where a request does not say it.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = Arc::new(retention);
        self
    }

    /// Room for one event stream, until the permit is dropped.
    pub(crate) fn stream_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let detail = format!("{STREAM_COUNT_MAX} event streams are open");
            Problem::new(Code::TooManyStreams, detail)
        })
    }

    /// Room for one plugin on its way, until the permit is dropped.
    pub(crate) fn upload_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| {
            let detail = format!("{UPLOAD_COUNT_MAX} plugins are on their way");
            Problem::new(Code::TooManyUploads, detail)
        })
    }

    /// Does work that waits for the disk or computes for long, without holding up other requests.
    pub(crate) async fn off_the_loop<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> T + Send + 'static,
    {
        let engine = self.engine.clone();
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        done.map_err(|panic| Problem::hidden(Code::Internal, panic.to_string()))
    }
}
