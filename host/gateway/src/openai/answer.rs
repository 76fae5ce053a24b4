//! Reads an answer from the bytes of a body, whatever they are cut into: server-sent events, or one JSON object where a
//! server does not stream. Does no input and no output, and knows no time.
use std::num::NonZeroUsize;

use domain::model::FinishReason;
use serde_json::Value;
use sse_core::{MessageEvent, SseDecoder, SseEvent};

use super::wire::{Chunk, Piece, WireUsage, finish_reason};
use super::{ANSWER_BYTES_MAX, STREAM_BYTES_MAX};

/// Bytes of a body that are kept to be shown if it is no answer.
const HEAD_BYTES_MAX: usize = 2 << 10;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
const EVENT_BYTES_MAX: NonZeroUsize = NonZeroUsize::new(ANSWER_BYTES_MAX).unwrap();

/// Why a body is not an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Broken {
    /// It is not the protocol.
    NotTheProtocol(String),
    /// The server says that it failed.
    Refused(Value),
    /// It is larger than any answer.
    TooLarge { part: &'static str, bytes_max: usize },
    /// It ended before the answer did.
    Ended,
}

/// A piece of the answer that has just been read.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    Text(String),
    Reasoning(String),
}

/// What is known of an answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) content: String,
    pub(super) reasoning: String,
    pub(super) finish_reason: Option<FinishReason>,
    pub(super) model: Option<String>,
    pub(super) usage: Option<WireUsage>,
}

/// Reads one body.
pub(super) struct AnswerReader {
    form: Form,
    /// The beginning of the body.
    head: Vec<u8>,
    size_bytes: usize,
    decoder: SseDecoder,
    /// What came while the form was unknown, and then all of a JSON body.
    json: Vec<u8>,
    /// A chunk had something that belongs to an answer.
    found: bool,
    done: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing but blanks has come yet.
    Unknown,
    Events,
    Json,
}

impl AnswerReader {
    pub(super) fn new() -> Self {
        Self {
            form: Form::Unknown,
            head: Vec::new(),
            size_bytes: 0,
            decoder: SseDecoder::with_limit(EVENT_BYTES_MAX),
            json: Vec::new(),
            found: false,
            done: false,
        }
    }

    /// The server said that nothing follows.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The body is one JSON object, so that no piece can be expected before its end.
    pub(super) fn is_whole(&self) -> bool {
        self.form == Form::Json
    }

    /// Takes the next bytes of the body.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        answer: &mut Answer,
        on_read: &mut dyn FnMut(Read),
    ) -> Result<(), Broken> {
        self.size_bytes = self.size_bytes.saturating_add(bytes.len());
        if self.size_bytes > STREAM_BYTES_MAX {
            return Err(Broken::TooLarge { part: "stream", bytes_max: STREAM_BYTES_MAX });
        }
        let held;
        let mut bytes: &[u8] = bytes;
        if self.form == Form::Unknown {
            // Servers that do not stream may send empty lines while their model writes.
            if self.head.is_empty() {
                bytes = bytes.trim_ascii_start();
            }
            self.form = self.form_with(bytes);
            if self.form == Form::Events {
                held = [std::mem::take(&mut self.json).as_slice(), bytes].concat();
                bytes = &held;
            }
        } else {
            self.keep_head(bytes);
        }
        if self.form != Form::Events {
            return self.hold(bytes);
        }
        while let Some(event) = self.decoder.next(&mut bytes) {
            let Ok(event) = event else {
                return Err(Broken::TooLarge { part: "line", bytes_max: ANSWER_BYTES_MAX });
            };
            if let SseEvent::Message(message) = event {
                self.take_event(&message, answer, on_read)?;
            }
        }
        Ok(())
    }

    fn keep_head(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn form_with(&mut self, bytes: &[u8]) -> Form {
        self.keep_head(bytes);
        form_of(&self.head)
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.json.len() + bytes.len() > ANSWER_BYTES_MAX {
            return Err(Broken::TooLarge { part: "body", bytes_max: ANSWER_BYTES_MAX });
        }
        self.json.extend_from_slice(bytes);
        Ok(())
    }

    /// The body has ended.
    pub(super) fn finish(
        mut self,
        answer: &mut Answer,
        on_read: &mut dyn FnMut(Read),
    ) -> Result<(), Broken> {
        if self.form == Form::Json {
            return self.take_json(answer, on_read);
        }
        // A last event may lack the empty line that ends it. If it is cut in its middle, it is not JSON.
        let mut end: &[u8] = b"\n\n";
        while let Some(Ok(event)) = self.decoder.next(&mut end) {
            if let SseEvent::Message(message) = event {
                self.take_event(&message, answer, on_read).map_err(|broken| match broken {
                    Broken::NotTheProtocol(_) if self.found => Broken::Ended,
                    other => other,
                })?;
            }
        }
        if !self.found {
            return Err(Broken::NotTheProtocol(self.described_head()));
        }
        if self.done || answer.finish_reason.is_some() { Ok(()) } else { Err(Broken::Ended) }
    }

    fn take_event(
        &mut self,
        message: &MessageEvent,
        answer: &mut Answer,
        on_read: &mut dyn FnMut(Read),
    ) -> Result<(), Broken> {
        let data = message.data.trim();
        if data.is_empty() || self.done {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|_| {
            Broken::NotTheProtocol(format!("a line that is not JSON as it should be: `{data}`"))
        })?;
        if message.event == "error" && chunk.error.is_none() {
            return Err(Broken::Refused(serde_json::from_str(data).unwrap_or(Value::Null)));
        }
        self.take_chunk(chunk, answer, on_read)
    }

    fn take_json(
        &mut self,
        answer: &mut Answer,
        on_read: &mut dyn FnMut(Read),
    ) -> Result<(), Broken> {
        let body = self.json.strip_prefix(UTF8_BOM).unwrap_or(&self.json);
        let chunk: Chunk = serde_json::from_slice(body)
            .map_err(|_| Broken::NotTheProtocol(self.described_head()))?;
        self.take_chunk(chunk, answer, on_read)?;
        if self.found { Ok(()) } else { Err(Broken::NotTheProtocol(self.described_head())) }
    }

    fn take_chunk(
        &mut self,
        chunk: Chunk,
        answer: &mut Answer,
        on_read: &mut dyn FnMut(Read),
    ) -> Result<(), Broken> {
        if let Some(error) = chunk.error {
            return Err(Broken::Refused(error));
        }
        if answer.model.is_none() {
            answer.model = chunk.model.filter(|model| !model.is_empty());
        }
        // Some servers count up in every chunk: the last count is the right one.
        if chunk.usage.is_some() {
            answer.usage = chunk.usage;
        }
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index.is_some_and(|index| index > 0) {
                continue;
            }
            self.found = true;
            if choice.usage.is_some() && answer.usage.is_none() {
                answer.usage = choice.usage;
            }
            let pieces = choice.delta.into_iter().chain(choice.message);
            pieces.for_each(|piece| answer.take_piece(piece, on_read));
            if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
                // A refusal in the model's own words was noticed before.
                let reason = finish_reason(word);
                answer.finish_reason.get_or_insert(reason);
            }
        }
        if answer.content.len() + answer.reasoning.len() > ANSWER_BYTES_MAX {
            return Err(Broken::TooLarge { part: "answer", bytes_max: ANSWER_BYTES_MAX });
        }
        Ok(())
    }

    fn described_head(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        if head.trim().is_empty() {
            "an empty body".to_owned()
        } else {
            format!("a body that is not an answer: `{}`", head.trim())
        }
    }
}

impl Answer {
    fn take_piece(&mut self, piece: Piece, on_read: &mut dyn FnMut(Read)) {
        // Some servers send the same reasoning under both names.
        let reasoning = piece.reasoning_content.or(piece.reasoning);
        if let Some(reasoning) = reasoning.filter(|text| !text.is_empty()) {
            self.reasoning.push_str(&reasoning);
            on_read(Read::Reasoning(reasoning));
        }
        let text = piece.content.map(|content| content.into_text()).unwrap_or_default();
        let refusal = piece.refusal.unwrap_or_default();
        if !refusal.is_empty() {
            self.finish_reason = Some(FinishReason::ContentFilter);
        }
        for text in [text, refusal].into_iter().filter(|text| !text.is_empty()) {
            self.content.push_str(&text);
            on_read(Read::Text(text));
        }
    }

    /// Something came that a provider charges for.
    pub(super) fn has_begun(&self) -> bool {
        !self.content.is_empty() || !self.reasoning.is_empty() || self.usage.is_some()
    }
}

/// An event stream cannot begin with a brace, and a JSON object begins with nothing else.
fn form_of(head: &[u8]) -> Form {
    let head = head.strip_prefix(UTF8_BOM).unwrap_or(head);
    match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
        // The mark itself may be cut in two.
        None | Some(0xef | 0xbb) => Form::Unknown,
        Some(b'{') => Form::Json,
        Some(_) => Form::Events,
    }
}

#[cfg(test)]
mod tests;
