//! What is known of an answer while it comes.
use domain::model::{FinishReason, Usage};
use tokio::time::Instant;

use super::ANSWER_BYTES_MAX;
use super::body::Broken;
use crate::question::{Delta, Listener};

/// Longest reason for an end, and longest name of a model, in bytes, that is kept in the provider's words.
const WORDS_BYTES_MAX: usize = 256;

/// What is known of an answer. It outlives the future of the try, so that a call that is stopped in the middle knows
/// what had come.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) content: String,
    pub(crate) reasoning: String,
    pub(crate) finish_reason: Option<FinishReason>,
    /// The model that answers, in the provider's words.
    pub(crate) model: Option<String>,
    /// What the provider counted. `None` where it said nothing.
    pub(crate) usage: Usage,
    /// The server answered the request with a 2xx: it may have to be paid for.
    pub(crate) accepted: bool,
    /// When the first piece was heard.
    pub(crate) first_token_at: Option<Instant>,
    /// Requests that were sent, or attempted, over all tries.
    pub(crate) request_count: u32,
}

impl Answer {
    /// What the provider counted; `None` where it said nothing.
    pub(crate) fn told_usage(&self) -> Usage {
        self.usage
    }

    /// Something came that a provider charges for.
    pub(crate) fn has_begun(&self) -> bool {
        self.first_token_at.is_some()
            || self.usage.input_tokens.is_some()
            || self.usage.output_tokens.is_some()
    }

    /// Forgets what a try left that did nothing.
    pub(super) fn forget(&mut self) {
        *self = Self { request_count: self.request_count, ..Self::default() };
    }
}

/// Takes what is read of an answer: keeps it, and hands it on.
pub(crate) struct Hearing<'a> {
    answer: &'a mut Answer,
    listener: &'a dyn Listener,
    /// Something was handed on since it was last asked.
    heard: bool,
}

impl<'a> Hearing<'a> {
    pub(crate) fn new(answer: &'a mut Answer, listener: &'a dyn Listener) -> Self {
        Self { answer, listener, heard: false }
    }

    pub(crate) fn text(&mut self, text: String) -> Result<(), Broken> {
        if text.is_empty() {
            return Ok(());
        }
        self.make_room(text.len())?;
        self.answer.content.push_str(&text);
        self.listener.hear(Delta::Text(text));
        Ok(())
    }

    pub(crate) fn reasoning(&mut self, text: String) -> Result<(), Broken> {
        if text.is_empty() {
            return Ok(());
        }
        self.make_room(text.len())?;
        self.answer.reasoning.push_str(&text);
        self.listener.hear(Delta::Reasoning(text));
        Ok(())
    }

    /// The model that answers; the first name holds.
    pub(crate) fn model(&mut self, model: Option<String>) {
        if self.answer.model.is_none() {
            self.answer.model = model.filter(|model| !model.is_empty()).map(bounded);
        }
    }

    /// Why the answer ended; the first reason holds.
    pub(crate) fn finish(&mut self, reason: FinishReason) {
        let reason = match reason {
            FinishReason::Other(word) => FinishReason::Other(bounded(word)),
            known => known,
        };
        self.answer.finish_reason.get_or_insert(reason);
    }

    /// The counts so far.
    pub(crate) fn usage(&mut self) -> &mut Usage {
        &mut self.answer.usage
    }

    pub(super) fn is_finished(&self) -> bool {
        self.answer.finish_reason.is_some()
    }

    /// Whether something was handed on since this was last asked.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// A reader cannot be expected to hear of an answer that nobody will keep.
    fn make_room(&mut self, size_bytes: usize) -> Result<(), Broken> {
        let answer = &*self.answer;
        if answer.content.len() + answer.reasoning.len() + size_bytes > ANSWER_BYTES_MAX {
            return Err(Broken::TooLarge { part: "answer", bytes_max: ANSWER_BYTES_MAX });
        }
        self.answer.first_token_at.get_or_insert_with(Instant::now);
        self.heard = true;
        Ok(())
    }
}

fn bounded(mut words: String) -> String {
    words.truncate(words.floor_char_boundary(WORDS_BYTES_MAX));
    words
}
