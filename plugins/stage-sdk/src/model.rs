//! How a stage asks: behind a trait, so that a test needs no host.
use std::ops::ControlFlow;

use crate::{Completion, LlmError, ModelRequest};

/// Answers questions, one after another.
pub trait Model {
    /// Asks and waits for the whole answer.
    ///
    /// # Errors
    /// [`LlmError`] if no model answered.
    fn ask(&mut self, request: &ModelRequest) -> Result<Completion, LlmError>;

    /// Asks, hands each piece of the answer to `on_piece` as it comes, and gives the whole answer at the end. `None` if
    /// `on_piece` broke off. Where the pieces are cut means nothing.
    ///
    /// # Errors
    /// [`LlmError`] if no model answered, or not to the end.
    fn stream(
        &mut self,
        request: &ModelRequest,
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Option<Completion>, LlmError> {
        let completion = self.ask(request)?;
        Ok(on_piece(&completion.content).is_continue().then_some(completion))
    }
}

/// The model that the host chose for the stage. Outside of WebAssembly there is no host, and every question is answered
/// with [`LlmError::NotGranted`].
#[derive(Debug, Clone, Copy, Default)]
pub struct HostModel;

#[cfg(target_arch = "wasm32")]
impl Model for HostModel {
    fn ask(&mut self, request: &ModelRequest) -> Result<Completion, LlmError> {
        crate::bindings::stagewright::stage::llm::chat(request)
    }

    fn stream(
        &mut self,
        request: &ModelRequest,
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Option<Completion>, LlmError> {
        let stream = crate::bindings::stagewright::stage::llm::stream(request)?;
        while let Some(piece) = stream.next()? {
            if on_piece(&piece).is_break() {
                return Ok(None);
            }
        }
        stream.finish().map(Some)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Model for HostModel {
    fn ask(&mut self, _: &ModelRequest) -> Result<Completion, LlmError> {
        Err(LlmError::NotGranted(
            "there is no host outside of WebAssembly: hand in a `ScriptedModel`".to_owned(),
        ))
    }
}
