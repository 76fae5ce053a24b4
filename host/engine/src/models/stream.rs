//! An answer as it comes, and one that is kept given again.
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::model::{Completion, ModelError};
use domain::port::{AnswerStream, AskError, BoxFuture};
use domain::{Fault, FaultKind};
use tokio::sync::{mpsc, oneshot};

use super::Attempted;
use super::call::{Ending, Outcome};
use super::record::was_stopped_by_stage;

/// Pieces that wait for the stage. More would be read from the provider, and paid for, ahead of a stage that may have
/// enough.
pub(super) const PIECE_COUNT_MAX: usize = 16;

/// Says that a stream is open, and that nothing else may be asked until it is not.
pub(super) struct OpenStream(Arc<Attempted>);

impl OpenStream {
    pub(super) fn begin(attempt: &Arc<Attempted>) -> Self {
        attempt.is_streaming.store(true, Ordering::Release);
        Self(Arc::clone(attempt))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.is_streaming.store(false, Ordering::Release);
    }
}

/// An answer that is being written.
pub(super) struct LiveStream {
    pub(super) pieces: mpsc::Receiver<String>,
    pub(super) outcome: oneshot::Receiver<Outcome>,
    pub(super) ending: Arc<Ending>,
    /// `None` when the answer has ended.
    pub(super) open: Option<OpenStream>,
    pub(super) ended: Option<Result<Completion, AskError>>,
}

impl LiveStream {
    /// How it ended, when all pieces are read: then it is durable.
    async fn end(&mut self) -> Result<Completion, AskError> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let ended = match (&mut self.outcome).await {
            Ok(outcome) => outcome.and_then(|outcome| outcome.map_err(AskError::Model)),
            Err(_) => {
                let message = "the host gave the call up".to_owned();
                Err(AskError::Stop(Fault { kind: FaultKind::Host, message }))
            }
        };
        self.open = None;
        self.ended.insert(ended).clone()
    }
}

impl AnswerStream for LiveStream {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>> {
        Box::pin(async {
            match self.pieces.recv().await {
                Some(piece) => Ok(Some(piece)),
                None => self.end().await.map(|_| None),
            }
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async {
            while self.pieces.recv().await.is_some() {}
            self.end().await
        })
    }

    fn unwanted(mut self: Box<Self>) {
        if self.open.take().is_some() {
            self.ending.stop_by_stage();
        }
    }
}

/// The attempt has ended in the middle of an answer.
impl Drop for LiveStream {
    fn drop(&mut self) {
        if self.open.is_some() {
            self.ending.stop.cancel();
        }
    }
}

/// An answer that is kept.
pub(super) struct KeptStream {
    /// What is not given yet.
    pub(super) text: Option<String>,
    pub(super) outcome: Result<Completion, ModelError>,
    /// `None` when the answer has ended.
    pub(super) open: Option<OpenStream>,
}

impl KeptStream {
    fn end(&mut self) -> Result<Completion, AskError> {
        self.text = None;
        self.open = None;
        if was_stopped_by_stage(&self.outcome) {
            let message = "the stage wants the rest of an answer that it did not want before the interruption: nothing was asked again. A stage must depend on nothing but its context; retry the stage to start it anew.".to_owned();
            return Err(AskError::Stop(Fault { kind: FaultKind::ReplayDiverged, message }));
        }
        self.outcome.clone().map_err(AskError::Model)
    }
}

impl AnswerStream for KeptStream {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>> {
        let next = match self.text.take().filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(text)),
            None => self.end().map(|_| None),
        };
        Box::pin(std::future::ready(next))
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(std::future::ready(self.end()))
    }

    fn unwanted(self: Box<Self>) {}
}
