//! What a server turned out not to understand, and how to do without it.
//!
//! Servers that call themselves compatible refuse different parts of a request. A refusal that names such a part is
//! answered with another request without it. Where the server says that it does not know the part at all, that is
//! remembered for the model; where it may only dislike a value, it is not, and an option that the asking side chose is
//! not dropped. What the words of a refusal ask for is each protocol's to say (`change_after`). A dialect only ever
//! loses features, so this ends.

/// How one model of one server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) format: FormatSupport,
    pub(crate) bound: TokenBound,
    /// Highest bound on the answer's tokens that the server takes, where it named one.
    pub(crate) tokens_max: Option<u32>,
    /// Whether usage is asked for with `stream_options`.
    pub(crate) stream_options: bool,
    /// Whether `temperature` is sent.
    pub(crate) temperature: bool,
    /// Whether `top_p` is sent.
    pub(crate) top_p: bool,
}

/// How an answer in JSON is asked for. From more to less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FormatSupport {
    /// A setting for a schema, and one for any object where the protocol has it.
    Schema,
    /// A setting for any object; a schema goes into the instructions.
    Object,
    /// In the instructions alone.
    Instructions,
}

/// The name of the bound on the answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenBound {
    /// `max_tokens`, which nearly all servers know.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models demand.
    MaxCompletionTokens,
}

/// One thing that is done in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Format(FormatSupport),
    Bound,
    TokensMax(u32),
    StreamOptions,
    Temperature,
    TopP,
}

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    ForTheCall,
    ForTheModel,
}

/// A schema is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the JSON schema `{name}` is not JSON: {detail}")]
pub(crate) struct BadSchema {
    pub(crate) name: String,
    pub(crate) detail: String,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: FormatSupport::Schema,
            bound: TokenBound::MaxTokens,
            tokens_max: None,
            stream_options: true,
            temperature: true,
            top_p: true,
        }
    }
}

impl Dialect {
    /// The dialect with this change.
    pub(crate) fn with(self, change: Change) -> Self {
        match change {
            Change::Format(format) => Self { format: self.format.max(format), ..self },
            Change::Bound => Self { bound: TokenBound::MaxCompletionTokens, ..self },
            Change::TokensMax(tokens_max) => {
                let lowest = self.tokens_max.map_or(tokens_max, |known| known.min(tokens_max));
                Self { tokens_max: Some(lowest), ..self }
            }
            Change::StreamOptions => Self { stream_options: false, ..self },
            Change::Temperature => Self { temperature: false, ..self },
            Change::TopP => Self { top_p: false, ..self },
        }
    }

    /// The key of a request in this dialect: the usual form has the question's own, each other form another. Providers
    /// refuse a known key with another body, or give the answer to the first body.
    pub(crate) fn keyed(self, key: &str) -> String {
        if self == Self::default() {
            return key.to_owned();
        }
        let format = match self.format {
            FormatSupport::Schema => "",
            FormatSupport::Object => "-object",
            FormatSupport::Instructions => "-instructions",
        };
        let bound = match self.bound {
            TokenBound::MaxTokens => "",
            TokenBound::MaxCompletionTokens => "-completion_tokens",
        };
        let tokens_max =
            self.tokens_max.map(|tokens_max| format!("-at_most_{tokens_max}")).unwrap_or_default();
        let without = |is_sent: bool, form: &'static str| if is_sent { "" } else { form };
        let usage = without(self.stream_options, "-no_usage");
        let temperature = without(self.temperature, "-no_temperature");
        let top_p = without(self.top_p, "-no_top_p");
        format!("{key}{format}{bound}{tokens_max}{usage}{temperature}{top_p}")
    }
}
