//! A model for tests: it gives the answers that it was told, in their order, and remembers what it was asked.
use std::collections::VecDeque;

use crate::{Completion, FinishReason, LlmError, Model, ModelRequest};

/// A model whose answers are known beforehand. Asked once too often, it answers [`LlmError::BudgetExhausted`].
#[derive(Debug, Default)]
pub struct ScriptedModel {
    answers: VecDeque<Result<Completion, LlmError>>,
    requests: Vec<ModelRequest>,
}

impl ScriptedModel {
    /// A model with these answers.
    pub fn answering<T: Into<String>>(answers: impl IntoIterator<Item = T>) -> Self {
        let mut model = Self::default();
        for answer in answers {
            model.push(answer);
        }
        model
    }

    /// Adds an answer.
    pub fn push(&mut self, answer: impl Into<String>) {
        self.answers.push_back(Ok(Completion::of(answer)));
    }

    /// Adds an answer that was cut at the bound of tokens.
    pub fn push_cut(&mut self, answer: impl Into<String>) {
        self.answers.push_back(Ok(Completion {
            finish_reason: FinishReason::Length,
            ..Completion::of(answer)
        }));
    }

    /// Adds a failure.
    pub fn push_error(&mut self, error: LlmError) {
        self.answers.push_back(Err(error));
    }

    /// What was asked.
    pub fn requests(&self) -> &[ModelRequest] {
        &self.requests
    }
}

impl Model for ScriptedModel {
    fn ask(&mut self, request: &ModelRequest) -> Result<Completion, LlmError> {
        self.requests.push(request.clone());
        self.answers.pop_front().unwrap_or_else(|| {
            Err(LlmError::BudgetExhausted("the script has no more answers".to_owned()))
        })
    }
}
