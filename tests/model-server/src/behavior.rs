//! What the server does with a request.
use serde::{Deserialize, Serialize};

/// What to do with one request for a completion.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Behavior {
    /// Answers as a model would, in the given form.
    Answer(Answer),
    /// Answers with this status and body, whatever was asked.
    Status {
        status: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
        #[serde(default)]
        body: String,
    },
    /// Answers 200 with exactly these bytes.
    Raw {
        content_type: String,
        body: String,
        /// Size of the pieces that the body is cut into. `None`: one piece.
        #[serde(default)]
        piece_bytes: Option<usize>,
        #[serde(default)]
        after: After,
    },
    /// Answers with a recording, byte by byte as it is in its file.
    Replay(Replay),
    /// Answers with one line of a stream of this size, which never ends.
    HugeLine { size_bytes: usize },
    /// Waits, and then does something else.
    Slow { wait_ms: u64, then: Box<Behavior> },
    /// Never answers.
    Hang,
    /// Closes the connection instead of answering.
    Close,
}

/// How a recording is played.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replay {
    /// Name of the recording: that of a file in `tests/fixtures/wire` without its ending.
    pub recording: String,
    /// How its body is cut.
    #[serde(default)]
    pub split: Split,
    /// Nothing is sent after this many bytes of the body, and the connection stays open.
    #[serde(default)]
    pub stall_at: Option<usize>,
    /// The connection is closed after this many bytes of the body.
    #[serde(default)]
    pub cut_at: Option<usize>,
}

impl Replay {
    /// The recording in one piece.
    pub fn of(recording: &str) -> Self {
        Self {
            recording: recording.to_owned(),
            split: Split::default(),
            stall_at: None,
            cut_at: None,
        }
    }
}

/// How a body is cut into pieces. Each piece is handed to the connection on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Not at all.
    #[default]
    Whole,
    /// Each byte is a piece.
    EachByte,
    /// Pieces of this many bytes.
    Every(usize),
    /// At these offsets, wherever that cuts.
    At(Vec<usize>),
}

/// What follows the last byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// The proper end of the body.
    #[default]
    End,
    /// The connection is closed in the middle of the body.
    Drop,
    /// Silence.
    Hang,
}

/// The form of a plausible answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// The text. `None`: one that fits the prompt.
    pub text: Option<String>,
    /// Sent before the text, as the protocol sends reasoning.
    pub reasoning: Option<String>,
    /// One JSON object in place of a stream.
    pub whole: bool,
    /// Size of the pieces that the stream is cut into, wherever that cuts. `None`: one piece per event.
    pub piece_bytes: Option<usize>,
    /// Begins the stream with a byte-order mark.
    pub bom: bool,
    /// Ends lines with CRLF.
    pub crlf: bool,
    /// Puts comments and pings between the events.
    pub pings: bool,
    /// Ends the stream with `[DONE]` or `message_stop`.
    pub done: bool,
    /// Where the counts stand.
    pub usage: UsageForm,
    pub finish_reason: String,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            text: None,
            reasoning: None,
            whole: false,
            piece_bytes: None,
            bom: false,
            crlf: false,
            pings: false,
            done: true,
            usage: UsageForm::Usual,
            finish_reason: "stop".to_owned(),
        }
    }
}

/// Where the counts stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageForm {
    /// In a last chunk without choices, with cached tokens in `prompt_tokens_details`.
    #[default]
    Usual,
    /// As Kimi sends them: in the last choice, with `cached_tokens` beside the others.
    Kimi,
    /// All counts are 0.
    Zero,
    Missing,
}

impl Behavior {
    /// A plausible answer.
    pub fn answer() -> Self {
        Behavior::Answer(Answer::default())
    }

    /// The same after some time.
    #[must_use]
    pub fn after_ms(self, wait_ms: u64) -> Self {
        Behavior::Slow { wait_ms, then: Box::new(self) }
    }

    /// This text.
    pub fn text(text: impl Into<String>) -> Self {
        Behavior::Answer(Answer { text: Some(text.into()), ..Answer::default() })
    }

    /// A status with a body.
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Behavior::Status { status, headers: Vec::new(), body: body.into() }
    }

    /// A status with an error object as OpenAI sends it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({
            "error": { "message": message, "type": code, "code": code, "param": null }
        });
        Self::status(status, body.to_string())
    }

    /// A status with an error object as Anthropic sends it.
    pub fn anthropic_error(status: u16, kind: &str, message: &str) -> Self {
        let body = serde_json::json!({
            "type": "error",
            "error": { "type": kind, "message": message },
            "request_id": "req_1"
        });
        Self::status(status, body.to_string())
    }

    /// A recording in one piece.
    pub fn replay(recording: &str) -> Self {
        Behavior::Replay(Replay::of(recording))
    }

    /// 429 with a wait in `Retry-After`.
    pub fn rate_limit(retry_after: &str) -> Self {
        let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
        let body = r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#.to_owned();
        Behavior::Status { status: 429, headers, body }
    }

    /// 200 with a body of one piece.
    pub fn raw(content_type: &str, body: impl Into<String>) -> Self {
        Self::raw_then(content_type, body, After::End)
    }

    /// 200 with a body, and what follows it.
    pub fn raw_then(content_type: &str, body: impl Into<String>, after: After) -> Self {
        let content_type = content_type.to_owned();
        Behavior::Raw { content_type, body: body.into(), piece_bytes: None, after }
    }

    /// The beginning of a stream: one event with this text, and what follows it.
    pub fn begun(text: &str, after: After) -> Self {
        let event =
            serde_json::json!({ "choices": [{ "index": 0, "delta": { "content": text } }] });
        Self::raw_then("text/event-stream", format!("data: {event}\n\n"), after)
    }
}
