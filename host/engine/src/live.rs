//! What happens to a run, as it happens: for pages and terminals that watch. Nothing here is durable; the log is.
use std::sync::Arc;

use domain::StageKey;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::registry::RunCell;

/// Messages that a watcher may fall behind before it is told to read the log again. A model writes about 100 pieces
/// in a second, so this is a few seconds.
pub(crate) const LIVE_COUNT_MAX: usize = 256;

/// Something that a watcher may want to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// There are new events in the log of the run.
    Appended,
    /// The watcher fell behind: some live text is lost to it. Events never are: read the log.
    Lagged,
    /// A model is asked.
    CallStarted {
        /// The stage.
        stage: StageKey,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// Who is asked.
        provider: String,
        /// Which model.
        model: String,
    },
    /// A try failed, and another follows.
    Retrying {
        /// The stage.
        stage: StageKey,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// Number of the try that follows.
        try_number: u32,
        /// How long it is waited for.
        wait_ms: u64,
        /// Why the try before failed.
        cause: String,
    },
    /// Somebody else is asked, because the one before was not available.
    FallingBack {
        /// The stage.
        stage: StageKey,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// Who is asked now.
        provider: String,
        /// Which model.
        model: String,
        /// Why the one before was not available.
        cause: String,
    },
    /// A piece of the answer that a model is writing. It counts only when the answer is in the log.
    Text {
        /// The stage.
        stage: StageKey,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// The piece.
        text: String,
    },
    /// A piece of what a model thinks before it answers.
    Reasoning {
        /// The stage.
        stage: StageKey,
        /// The attempt.
        attempt: u32,
        /// 1 for the first question of the attempt.
        ordinal: u32,
        /// The piece.
        text: String,
    },
}

/// Watches one run.
pub struct Subscription {
    receiver: broadcast::Receiver<Live>,
    closing: CancellationToken,
    /// Keeps the sending end alive.
    cell: Arc<RunCell>,
}

impl Subscription {
    pub(crate) fn new(cell: Arc<RunCell>, closing: CancellationToken) -> Self {
        Self { receiver: cell.live.subscribe(), closing, cell }
    }

    /// Waits for the next message. `None` when the host shuts down, or the run was removed.
    pub async fn next(&mut self) -> Option<Live> {
        tokio::select! {
            biased;
            message = self.receiver.recv() => match message {
                Ok(live) => Some(live),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Live::Lagged),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            () = self.closing.cancelled() => None,
            () = self.cell.gone.cancelled() => None,
        }
    }
}
