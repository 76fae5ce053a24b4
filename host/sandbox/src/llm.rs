//! The host's side of `llm`: checks a guest's question, has it answered, and hands the answer over.
//!
//! Who answers, keeps, limits and prices is behind [`ModelPort`]. A question that is malformed, or comes while another
//! answer is still being read, is rejected here and never asked.
//!
//! Invariant: what a guest sees is a function of its questions and of the texts that come back. It cannot tell how a
//! provider cut an answer, nor whether an answer is new or kept.
use std::sync::Arc;

use domain::model::{Completion, FinishReason, ModelError, ModelErrorKind, ModelRequest};
use domain::port::{AnswerStream, AskError, ModelPort};
use wasmtime::component::Resource;

use crate::bindings::stagewright::stage::llm;
use crate::bindings::stagewright::stage::types as wit;
use crate::convert::{completion_to_guest, model_error_to_guest, request_from_guest};
use crate::fault::Stopped;
use crate::guest::{Guest, Models};
use crate::pieces::Pieces;

/// Errors of model calls that are remembered; an older one is passed on by its case alone.
const MODEL_ERROR_COUNT_MAX: usize = 64;

/// What comes of a call of a guest: it is told an error of the model, and any other stops it.
type Told<T> = wasmtime::Result<Result<T, wit::LlmError>>;

/// An answer that a guest takes in pieces, while it is written. If it goes with the guest's store and not by the guest's
/// own will, the attempt has ended, and the port is told nothing else.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct CompletionStream {
    answer: Box<dyn AnswerStream>,
    /// What has come and is not given yet.
    pieces: Pieces,
    /// How the answer ended; `None` while it may go on.
    ended: Option<Result<(), ModelError>>,
}

impl CompletionStream {
    fn new(answer: Box<dyn AnswerStream>) -> Self {
        Self { answer, pieces: Pieces::default(), ended: None }
    }

    /// The last piece comes when the answer has ended, because it is durable then.
    async fn next(&mut self) -> Result<Option<String>, AskError> {
        loop {
            if let Some(piece) = self.pieces.take(self.ended.is_some()) {
                return Ok(Some(piece));
            }
            match &self.ended {
                Some(Ok(())) => return Ok(None),
                Some(Err(error)) => return Err(AskError::Model(error.clone())),
                None => self.read_on().await?,
            }
        }
    }

    /// What was not given in pieces stays there for [`next`](Self::next).
    async fn finish(&mut self) -> Result<Completion, AskError> {
        while self.ended.is_none() {
            self.read_on().await?;
        }
        match &self.ended {
            Some(Err(error)) => Err(AskError::Model(error.clone())),
            Some(Ok(())) | None => self.answer.finish().await,
        }
    }

    async fn read_on(&mut self) -> Result<(), AskError> {
        match self.answer.next().await {
            Ok(Some(text)) => self.pieces.put(&text),
            Ok(None) => self.ended = Some(Ok(())),
            Err(AskError::Model(error)) => self.ended = Some(Err(error)),
            Err(stop @ AskError::Stop(_)) => return Err(stop),
        }
        Ok(())
    }
}

impl Guest {
    /// Who answers, and what is to be asked; or why it is not asked.
    fn admit(&mut self, request: wit::ModelRequest) -> Told<(Arc<dyn ModelPort>, ModelRequest)> {
        let models = match &self.models {
            Models::Port(models) => Arc::clone(models),
            Models::Nobody { function } => {
                return Err(Stopped::ModelCallInPreview { function }.into());
            }
        };
        if self.open_stream.is_some() {
            let problem =
                "an answer is still being streamed: read it to its end or drop it, and ask then";
            return Ok(Err(self.reject(problem.to_owned())));
        }
        let request = match request_from_guest(request) {
            Ok(request) => request,
            Err(problem) => return Ok(Err(self.reject(problem))),
        };
        self.check_call_bytes("the question", request.size_bytes())?;
        Ok(Ok((models, request)))
    }

    /// What the guest is told of an outcome, unless it is stopped.
    fn told<T>(&mut self, outcome: Result<T, AskError>) -> Told<T> {
        match outcome {
            Ok(outcome) => Ok(Ok(outcome)),
            Err(AskError::Model(error)) => Ok(Err(self.tell(error))),
            Err(AskError::Stop(fault)) => Err(Stopped::Fault(fault).into()),
        }
    }

    /// The whole answer, if the guest may get as much in one call. In pieces it may get more.
    fn hand_over(&self, completion: &Completion) -> Result<wit::Completion, Stopped> {
        let reason = match &completion.finish_reason {
            FinishReason::Other(words) => words.len(),
            FinishReason::Stop | FinishReason::Length | FinishReason::ContentFilter => 0,
        };
        let bytes = completion.content.len() + completion.model.len() + reason;
        self.check_call_bytes("the model's answer", bytes as u64)?;
        Ok(completion_to_guest(completion))
    }

    fn reject(&mut self, problem: String) -> wit::LlmError {
        self.tell(ModelError { kind: ModelErrorKind::Rejected, message: problem })
    }

    fn tell(&mut self, error: ModelError) -> wit::LlmError {
        let told = model_error_to_guest(&error);
        if self.model_errors.len() == MODEL_ERROR_COUNT_MAX {
            self.model_errors.remove(0);
        }
        self.model_errors.push(error);
        told
    }

    /// The guest may ask again when this stream is the one that was open.
    fn close(&mut self, rep: u32) {
        self.open_stream.take_if(|open| *open == rep);
    }

    fn close_if_ended(&mut self, stream: &Resource<CompletionStream>) -> wasmtime::Result<()> {
        if self.table.get(stream)?.ended.is_some() {
            self.close(stream.rep());
        }
        Ok(())
    }
}

impl llm::Host for Guest {
    async fn chat(&mut self, request: wit::ModelRequest) -> Told<wit::Completion> {
        let (models, request) = match self.admit(request)? {
            Ok(admitted) => admitted,
            Err(error) => return Ok(Err(error)),
        };
        let answer = self.cpu.without(models.ask(request)).await;
        match self.told(answer)? {
            Ok(completion) => Ok(Ok(self.hand_over(&completion)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn stream(&mut self, request: wit::ModelRequest) -> Told<Resource<CompletionStream>> {
        let (models, request) = match self.admit(request)? {
            Ok(admitted) => admitted,
            Err(error) => return Ok(Err(error)),
        };
        let answer = self.cpu.without(models.stream(request)).await;
        match self.told(answer)? {
            Ok(answer) => {
                let stream = self.table.push(CompletionStream::new(answer))?;
                self.open_stream = Some(stream.rep());
                Ok(Ok(stream))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

impl llm::HostCompletionStream for Guest {
    async fn next(&mut self, stream: Resource<CompletionStream>) -> Told<Option<String>> {
        let answer = self.table.get_mut(&stream)?;
        let next = self.cpu.without(answer.next()).await;
        self.close_if_ended(&stream)?;
        if let Ok(Some(piece)) = &next {
            self.check_call_bytes("a piece of the answer", piece.len() as u64)?;
        }
        self.told(next)
    }

    async fn finish(&mut self, stream: Resource<CompletionStream>) -> Told<wit::Completion> {
        let answer = self.table.get_mut(&stream)?;
        let completion = self.cpu.without(answer.finish()).await;
        self.close_if_ended(&stream)?;
        match self.told(completion)? {
            Ok(completion) => Ok(Ok(self.hand_over(&completion)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Called only if the guest itself drops its handle; a guest that was stopped drops nothing.
    async fn drop(&mut self, stream: Resource<CompletionStream>) -> wasmtime::Result<()> {
        self.close(stream.rep());
        self.table.delete(stream)?.answer.unwanted();
        Ok(())
    }
}
