//! The host's side of `llm`: checks a guest's question, has it answered, and hands the answer over.
//!
//! Who answers, keeps, limits and prices is behind [`ModelPort`](domain::port::ModelPort). A question that is malformed
//! is rejected here and never asked.
use std::sync::Arc;

use domain::model::{Completion, FinishReason, ModelError, ModelErrorKind};
use domain::port::AskError;
use wasmtime::component::Resource;

use crate::bindings::stagewright::stage::llm;
use crate::bindings::stagewright::stage::types as wit;
use crate::convert::{completion_to_guest, model_error_to_guest, request_from_guest};
use crate::fault::Stopped;
use crate::guest::{Guest, Models};

/// About how many bytes a piece of a streamed answer has. The cut comes at the next blank, so that a word stays whole.
const PIECE_BYTES: usize = 64;

/// Longest piece, in bytes, of a text without blanks.
const PIECE_BYTES_MAX: usize = 256;

/// Errors of model calls that are remembered; an older one is passed on by its case alone.
const MODEL_ERROR_COUNT_MAX: usize = 64;

/// An answer that a guest takes in pieces. All of it is here already: that is what makes a repetition exact.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct CompletionStream {
    completion: Completion,
    given_bytes: usize,
}

impl CompletionStream {
    fn next_piece(&mut self) -> Option<String> {
        let rest = &self.completion.content[self.given_bytes..];
        let piece = &rest[..piece_len(rest)];
        self.given_bytes += piece.len();
        (!piece.is_empty()).then(|| piece.to_owned())
    }
}

/// Where to cut: a function of the text alone.
fn piece_len(text: &str) -> usize {
    let longest = &text[..text.floor_char_boundary(PIECE_BYTES_MAX)];
    if longest.len() <= PIECE_BYTES {
        return longest.len();
    }
    longest
        .char_indices()
        .map(|(start, character)| (start + character.len_utf8(), character))
        .find(|(end, character)| *end >= PIECE_BYTES && character.is_whitespace())
        .map_or(longest.len(), |(end, _)| end)
}

impl Guest {
    /// Asks, and waits for the whole answer. The wait is not the guest's computing time.
    async fn ask(
        &mut self,
        request: wit::ModelRequest,
    ) -> wasmtime::Result<Result<Completion, wit::LlmError>> {
        let models = match &self.models {
            Models::Port(models) => Arc::clone(models),
            Models::Nobody { function } => {
                return Err(Stopped::ModelCallInPreview { function }.into());
            }
        };
        let request = match request_from_guest(request) {
            Ok(request) => request,
            Err(problem) => {
                let error = ModelError { kind: ModelErrorKind::Rejected, message: problem };
                return Ok(Err(self.tell(error)));
            }
        };
        self.check_call_bytes("the question", request.size_bytes())?;
        self.cpu.leave();
        let answer = models.ask(request).await;
        self.cpu.enter();
        match answer {
            Ok(completion) => Ok(Ok(completion)),
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

    fn tell(&mut self, error: ModelError) -> wit::LlmError {
        let told = model_error_to_guest(&error);
        if self.model_errors.len() == MODEL_ERROR_COUNT_MAX {
            self.model_errors.remove(0);
        }
        self.model_errors.push(error);
        told
    }
}

impl llm::Host for Guest {
    async fn chat(
        &mut self,
        request: wit::ModelRequest,
    ) -> wasmtime::Result<Result<wit::Completion, wit::LlmError>> {
        match self.ask(request).await? {
            Ok(completion) => Ok(Ok(self.hand_over(&completion)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn stream(
        &mut self,
        request: wit::ModelRequest,
    ) -> wasmtime::Result<Result<Resource<CompletionStream>, wit::LlmError>> {
        match self.ask(request).await? {
            Ok(completion) => {
                Ok(Ok(self.table.push(CompletionStream { completion, given_bytes: 0 })?))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

impl llm::HostCompletionStream for Guest {
    async fn next(
        &mut self,
        stream: Resource<CompletionStream>,
    ) -> wasmtime::Result<Result<Option<String>, wit::LlmError>> {
        let piece = self.table.get_mut(&stream)?.next_piece();
        self.check_call_bytes(
            "a piece of the answer",
            piece.as_ref().map_or(0, String::len) as u64,
        )?;
        Ok(Ok(piece))
    }

    async fn finish(
        &mut self,
        stream: Resource<CompletionStream>,
    ) -> wasmtime::Result<Result<wit::Completion, wit::LlmError>> {
        Ok(Ok(self.hand_over(&self.table.get(&stream)?.completion)?))
    }

    async fn drop(&mut self, stream: Resource<CompletionStream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::model::Usage;

    use super::*;

    fn pieces(content: &str) -> Vec<String> {
        let completion = Completion {
            content: content.to_owned(),
            finish_reason: FinishReason::Stop,
            model: String::new(),
            usage: Usage::default(),
            cost_nano_usd: None,
        };
        let mut stream = CompletionStream { completion, given_bytes: 0 };
        std::iter::from_fn(|| stream.next_piece()).collect()
    }

    #[test]
    fn pieces_put_together_are_the_answer() {
        for content in ["", "short", &"word ".repeat(100), &"ü".repeat(1000), &" ".repeat(200)] {
            let pieces = pieces(content);
            assert_eq!(pieces.concat(), content);
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE_BYTES_MAX));
        }
    }

    #[test]
    fn words_stay_whole() {
        assert!(pieces(&"word ".repeat(100)).iter().all(|piece| piece.ends_with(' ')));
    }
}
