//! Saying why a stage could not do its work.
use crate::{Failure, LlmError, StageError};

/// Bytes of a failure's message that the contract allows.
const MESSAGE_BYTES_MAX: usize = 2000;

impl Failure {
    /// A code for programs and words for people. Longer words than the contract allows are cut.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let message = crate::text::cut(&message.into(), MESSAGE_BYTES_MAX);
        Self { code: code.into(), message }
    }
}

impl StageError {
    /// The context or the settings cannot be worked on.
    pub fn bad_input(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::BadInput(Failure::new(code, message))
    }

    /// The model's answer cannot be used. The message is what the model is told when it is asked again.
    pub fn invalid_output(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidOutput(Failure::new(code, message))
    }

    /// Something passed that may be gone at the next attempt.
    pub fn transient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Transient(Failure::new(code, message))
    }

    /// A person has to decide something.
    pub fn needs_human(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::NeedsHuman(Failure::new(code, message))
    }

    /// The plugin's own words, where there are some.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::BadInput(failure)
            | Self::InvalidOutput(failure)
            | Self::Transient(failure)
            | Self::NeedsHuman(failure) => Some(failure),
            Self::Llm(_) => None,
        }
    }
}

impl From<LlmError> for StageError {
    fn from(error: LlmError) -> Self {
        Self::Llm(error)
    }
}
