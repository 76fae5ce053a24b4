//! Reading what a model answered, before anybody looks into the text.
use crate::{Completion, FinishReason, StageError, Usage};

impl Completion {
    /// An answer as a model gives it that is done. For tests.
    pub fn of(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            finish_reason: FinishReason::Stop,
            model: "test".to_owned(),
            usage: Usage {
                input_tokens: None,
                output_tokens: None,
                cached_tokens: None,
                reasoning_tokens: None,
                estimated: true,
            },
            cost_nano_usd: None,
        }
    }

    /// The text, if it is all there.
    ///
    /// # Errors
    /// [`StageError::InvalidOutput`] with the code `answer_cut`, `answer_filtered` or `answer_empty`.
    pub fn whole_text(&self) -> Result<&str, StageError> {
        match &self.finish_reason {
            FinishReason::Length => Err(StageError::invalid_output(
                "answer_cut",
                "the answer was cut because it reached the bound of tokens; write it shorter, so that it ends by itself",
            )),
            FinishReason::ContentFilter => Err(StageError::invalid_output(
                "answer_filtered",
                "the provider's content policy ended the answer; leave out what it objects to",
            )),
            FinishReason::Stop | FinishReason::Other(_) if self.content.trim().is_empty() => {
                Err(StageError::invalid_output("answer_empty", "the answer has no text"))
            }
            FinishReason::Stop | FinishReason::Other(_) => Ok(&self.content),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(answer: &Completion, expected: &str) {
        let Err(StageError::InvalidOutput(failure)) = answer.whole_text() else {
            panic!("it is usable")
        };
        assert_eq!(failure.code, expected);
    }

    #[test]
    fn an_answer_that_is_not_all_there_is_not_read() {
        refused(
            &Completion { finish_reason: FinishReason::Length, ..Completion::of("half") },
            "answer_cut",
        );
        refused(
            &Completion { finish_reason: FinishReason::ContentFilter, ..Completion::of("") },
            "answer_filtered",
        );
        refused(&Completion::of(" \n"), "answer_empty");
        let odd = Completion {
            finish_reason: FinishReason::Other("eos".to_owned()),
            ..Completion::of("whole")
        };
        assert_eq!(odd.whole_text().unwrap(), "whole");
    }
}
