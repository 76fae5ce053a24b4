//! Reads an answer from the bytes of a body, whatever they are cut into: server-sent events, or one JSON object where a
//! server does not stream. Does no input and no output; what an event means is the protocol's to say.
//!
//! Invariant: no more is held than one event or one JSON body of [`ANSWER_BYTES_MAX`], and the beginning of the body.
use std::num::NonZeroUsize;

use serde_json::Value;
use sse_core::{MessageEvent, SseDecoder, SseEvent};

use super::{ANSWER_BYTES_MAX, Hearing, Protocol, STREAM_BYTES_MAX};
use crate::{anthropic, openai};

/// Bytes of a body that are kept to be shown if it is no answer.
const HEAD_BYTES_MAX: usize = 2 << 10;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
const EVENT_BYTES_MAX: NonZeroUsize = NonZeroUsize::new(ANSWER_BYTES_MAX).unwrap();

/// Why a body is not an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Broken {
    /// It is not the protocol.
    NotTheProtocol(String),
    /// The server says that it failed.
    Refused(Value),
    /// It is larger than any answer.
    TooLarge { part: &'static str, bytes_max: usize },
    /// It ended before the answer did.
    Ended,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Something came that belongs to an answer.
    pub(crate) found: bool,
    /// The server said that nothing follows.
    pub(crate) done: bool,
}

/// Reads one body.
pub(crate) struct BodyReader {
    protocol: Protocol,
    form: Form,
    /// The beginning of the body.
    head: Vec<u8>,
    size_bytes: usize,
    decoder: SseDecoder,
    /// What came while the form was unknown, and then all of a JSON body.
    json: Vec<u8>,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing but blanks has come yet.
    Unknown,
    Events,
    Json,
}

impl BodyReader {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            form: Form::Unknown,
            head: Vec::new(),
            size_bytes: 0,
            decoder: SseDecoder::with_limit(EVENT_BYTES_MAX),
            json: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// The server said that nothing follows.
    pub(crate) fn is_done(&self) -> bool {
        self.progress.done
    }

    /// The body is one JSON object, so that no piece can be expected before its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.form == Form::Json
    }

    /// Takes the next bytes of the body.
    pub(crate) fn feed(&mut self, bytes: &[u8], hearing: &mut Hearing<'_>) -> Result<(), Broken> {
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
            self.keep_head(bytes);
            self.form = form_of(&self.head);
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
                self.take_event(&message, hearing)?;
            }
        }
        Ok(())
    }

    /// The body has ended.
    pub(crate) fn finish(mut self, hearing: &mut Hearing<'_>) -> Result<(), Broken> {
        if self.form == Form::Json {
            return self.take_whole(hearing);
        }
        // A last event may lack the empty line that ends it. If it is cut in its middle, it is not JSON.
        let mut end: &[u8] = b"\n\n";
        while let Some(Ok(event)) = self.decoder.next(&mut end) {
            if let SseEvent::Message(message) = event {
                self.take_event(&message, hearing).map_err(|broken| match broken {
                    Broken::NotTheProtocol(_) if self.progress.found => Broken::Ended,
                    other => other,
                })?;
            }
        }
        if !self.progress.found {
            return Err(Broken::NotTheProtocol(self.described_head()));
        }
        if self.progress.done || hearing.is_finished() { Ok(()) } else { Err(Broken::Ended) }
    }

    fn keep_head(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.json.len() + bytes.len() > ANSWER_BYTES_MAX {
            return Err(Broken::TooLarge { part: "body", bytes_max: ANSWER_BYTES_MAX });
        }
        self.json.extend_from_slice(bytes);
        Ok(())
    }

    fn take_event(
        &mut self,
        message: &MessageEvent,
        hearing: &mut Hearing<'_>,
    ) -> Result<(), Broken> {
        let data = message.data.trim();
        if data.is_empty() || self.progress.done {
            return Ok(());
        }
        match self.protocol {
            Protocol::OpenAi => {
                openai::take_event(&message.event, data, &mut self.progress, hearing)
            }
            Protocol::Anthropic => {
                anthropic::take_event(&message.event, data, &mut self.progress, hearing)
            }
        }
    }

    fn take_whole(&mut self, hearing: &mut Hearing<'_>) -> Result<(), Broken> {
        let body = self.json.strip_prefix(UTF8_BOM).unwrap_or(&self.json);
        match self.protocol {
            Protocol::OpenAi => openai::take_whole(body, &mut self.progress, hearing),
            Protocol::Anthropic => anthropic::take_whole(body, &mut self.progress, hearing),
        }?;
        match self.progress.found {
            true => Ok(()),
            false => Err(Broken::NotTheProtocol(self.described_head())),
        }
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

/// A line of a stream that the protocol does not know.
pub(crate) fn unreadable_line(data: &str) -> Broken {
    let shown = &data[..data.floor_char_boundary(HEAD_BYTES_MAX)];
    Broken::NotTheProtocol(format!("a line that is not JSON as it should be: `{shown}`"))
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
