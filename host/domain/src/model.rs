//! One question to a language model, and its answer.

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Standing instructions.
    System,
    /// What is asked.
    User,
    /// What the model answered earlier.
    Assistant,
}

impl Role {
    /// The word that protocols and records use.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// The form that the answer has to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    JsonSchema {
        /// Short name of the schema.
        name: String,
        /// JSON text of the schema.
        schema: String,
    },
}

/// How to answer. What is `None` is left to the provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOptions {
    /// Upper bound of the answer, in tokens, reasoning included.
    pub max_tokens: Option<u32>,
    /// 0.0 to 2.0.
    pub temperature: Option<f32>,
    /// More than 0.0, at most 1.0.
    pub top_p: Option<f32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Asks for a repeatable answer.
    pub seed: Option<u64>,
    /// The form of the answer.
    pub response_format: ResponseFormat,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self {
            max_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
            response_format: ResponseFormat::Text,
        }
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// At least one.
    pub messages: Vec<Message>,
    /// How to answer.
    pub options: ModelOptions,
    /// A name for the call in the records.
    pub label: Option<String>,
}

impl ModelRequest {
    /// Bytes of all texts that the request carries.
    pub fn size_bytes(&self) -> u64 {
        let format = match &self.options.response_format {
            ResponseFormat::Text | ResponseFormat::Json => 0,
            ResponseFormat::JsonSchema { name, schema } => name.len() + schema.len(),
        };
        let messages: usize = self.messages.iter().map(|message| message.content.len()).sum();
        let stop: usize = self.options.stop.iter().map(String::len).sum();
        (format + messages + stop + self.label.as_ref().map_or(0, String::len)) as u64
    }

    /// The bytes over which the digest of a question is made, by which a replay recognizes it.
    ///
    /// Every part goes in with its length before it, so that no two questions run together; the order of the parts is
    /// part of the journal's format and must not change.
    pub fn digest_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        part(&mut bytes, &(self.messages.len() as u64).to_le_bytes());
        for message in &self.messages {
            part(&mut bytes, message.role.as_str().as_bytes());
            part(&mut bytes, message.content.as_bytes());
        }
        let options = &self.options;
        part(&mut bytes, &number(options.max_tokens.map(u64::from)));
        part(&mut bytes, &number(options.temperature.map(|value| u64::from(value.to_bits()))));
        part(&mut bytes, &number(options.top_p.map(|value| u64::from(value.to_bits()))));
        part(&mut bytes, &(options.stop.len() as u64).to_le_bytes());
        options.stop.iter().for_each(|stop| part(&mut bytes, stop.as_bytes()));
        part(&mut bytes, &number(options.seed));
        match &options.response_format {
            ResponseFormat::Text => part(&mut bytes, b"text"),
            ResponseFormat::Json => part(&mut bytes, b"json"),
            ResponseFormat::JsonSchema { name, schema } => {
                part(&mut bytes, b"json_schema");
                part(&mut bytes, name.as_bytes());
                part(&mut bytes, schema.as_bytes());
            }
        }
        part(&mut bytes, self.label.as_deref().unwrap_or_default().as_bytes());
        bytes
    }
}

fn part(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(value);
}

fn number(value: Option<u64>) -> Vec<u8> {
    value.map(|value| value.to_le_bytes().to_vec()).unwrap_or_default()
}

/// What a call used. `None` means that it is not known; 0 means 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: Option<u64>,
    /// The part of the input that was read from the provider's cache.
    pub cached_tokens: Option<u64>,
    /// The part of the input that was written into the provider's cache, which some providers charge more for.
    pub cache_write_tokens: Option<u64>,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Where the numbers come from.
    pub source: UsageSource,
}

impl Usage {
    /// Input and output together, with 0 for what is not known.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.unwrap_or(0).saturating_add(self.output_tokens.unwrap_or(0))
    }
}

/// Who counted the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageSource {
    /// The provider said so.
    #[default]
    Provider,
    /// The host counted, because the provider did not.
    Estimated,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AnswerSource {
    /// The provider was asked.
    #[default]
    Provider,
    /// The host's cache. Nothing was used and nothing is to be paid.
    Cache,
    /// Another call that asked the same at the same time. Nothing was used and nothing is to be paid.
    SharedCall,
}

impl AnswerSource {
    /// All of them.
    pub const ALL: [AnswerSource; 3] =
        [AnswerSource::Provider, AnswerSource::Cache, AnswerSource::SharedCall];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerSource::Provider => "provider",
            AnswerSource::Cache => "cache",
            AnswerSource::SharedCall => "shared_call",
        }
    }

    /// The source with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// The bound on tokens was reached: the text is cut.
    Length,
    /// The provider's content policy ended it.
    ContentFilter,
    /// Another reason, in the provider's words.
    Other(String),
}

impl FinishReason {
    /// Why the text of an answer ends whose rest the stage did not want.
    pub const STOPPED_BY_STAGE: &str = "stopped_by_stage";

    /// The word that records use.
    pub fn as_str(&self) -> &str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Other(words) => words,
        }
    }

    /// Reads the word that records use.
    pub fn from_word(word: &str) -> Self {
        match word {
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "content_filter" => FinishReason::ContentFilter,
            other => FinishReason::Other(other.to_owned()),
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub content: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The model that answered, in the provider's words.
    pub model: String,
    /// What was used.
    pub usage: Usage,
    /// What it cost, in billionths of a US dollar; `None` if the price is not known.
    pub cost_nano_usd: Option<u64>,
}

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// What went wrong.
    pub kind: ModelErrorKind,
    /// What is wrong, where, and what to do. Never holds a key.
    pub message: String,
}

impl ModelError {
    /// A stage has asked as often as one attempt may. The same every time, so that no journal need know of it.
    pub fn too_many_calls(call_count_max: u32) -> Self {
        let message = format!(
            "the stage may ask {call_count_max} times in one attempt; raise `limits.model_calls` in the profile"
        );
        Self { kind: ModelErrorKind::BudgetExhausted, message }
    }
}

/// The ways in which a model call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelErrorKind {
    /// The provider asks to slow down.
    RateLimited {
        /// The wait that it named, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// The provider could not be reached, failed, or broke off.
    Unavailable,
    /// No answer within the deadline.
    Timeout,
    /// The provider answered with something that is not its protocol: an empty body, or no JSON.
    BadResponse,
    /// The provider refused the request.
    Rejected,
    /// The provider did not accept the key.
    Unauthorized,
    /// There is no such model at the provider.
    ModelNotFound,
    /// The account's money or quota at the provider is used up.
    QuotaExhausted,
    /// The prompt does not fit into the model's context.
    ContextTooLong,
    /// Tokens, money or calls of the stage or the run are used up.
    BudgetExhausted,
    /// The profile does not grant the call.
    NotGranted,
    /// The run was canceled, or the host shuts down.
    Canceled,
}

impl ModelErrorKind {
    /// All of them; a rate limit without the wait.
    pub const ALL: [ModelErrorKind; 12] = [
        ModelErrorKind::RateLimited { retry_after_ms: None },
        ModelErrorKind::Unavailable,
        ModelErrorKind::Timeout,
        ModelErrorKind::BadResponse,
        ModelErrorKind::Rejected,
        ModelErrorKind::Unauthorized,
        ModelErrorKind::ModelNotFound,
        ModelErrorKind::QuotaExhausted,
        ModelErrorKind::ContextTooLong,
        ModelErrorKind::BudgetExhausted,
        ModelErrorKind::NotGranted,
        ModelErrorKind::Canceled,
    ];

    /// The stable code of the kind.
    pub fn code(self) -> &'static str {
        match self {
            ModelErrorKind::RateLimited { .. } => "model_rate_limited",
            ModelErrorKind::Unavailable => "model_unavailable",
            ModelErrorKind::Timeout => "model_timeout",
            ModelErrorKind::BadResponse => "model_bad_response",
            ModelErrorKind::Rejected => "model_rejected",
            ModelErrorKind::Unauthorized => "model_unauthorized",
            ModelErrorKind::ModelNotFound => "model_not_found",
            ModelErrorKind::QuotaExhausted => "model_quota_exhausted",
            ModelErrorKind::ContextTooLong => "model_context_too_long",
            ModelErrorKind::BudgetExhausted => "budget_exhausted",
            ModelErrorKind::NotGranted => "model_not_granted",
            ModelErrorKind::Canceled => "model_canceled",
        }
    }

    /// The kind that has this code. A rate limit comes back without the wait.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The same with the wait that the provider named, where the kind has one.
    pub fn with_retry_after(self, retry_after_ms: Option<u64>) -> Self {
        if let ModelErrorKind::RateLimited { .. } = self {
            ModelErrorKind::RateLimited { retry_after_ms }
        } else {
            self
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_retryable(self) -> bool {
        match self {
            ModelErrorKind::RateLimited { .. }
            | ModelErrorKind::Unavailable
            | ModelErrorKind::Timeout
            | ModelErrorKind::BadResponse
            | ModelErrorKind::Canceled => true,
            ModelErrorKind::Rejected
            | ModelErrorKind::Unauthorized
            | ModelErrorKind::ModelNotFound
            | ModelErrorKind::QuotaExhausted
            | ModelErrorKind::ContextTooLong
            | ModelErrorKind::BudgetExhausted
            | ModelErrorKind::NotGranted => false,
        }
    }
}
