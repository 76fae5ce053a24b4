//! What a server turned out not to understand, and how to do without it.
//!
//! Servers that call themselves compatible refuse different parts of a request. A refusal that names such a part is
//! answered with another request without it, and what was learnt is remembered for the model. A dialect only ever
//! loses features, so this ends.
use domain::model::{ModelOptions, ResponseFormat};

use super::refusal::ProviderWords;

/// How one model of one server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) format: FormatSupport,
    pub(super) bound: TokenBound,
    /// Whether usage is asked for with `stream_options`.
    pub(super) stream_options: bool,
    /// Whether `temperature` and `top_p` are sent.
    pub(super) sampling: bool,
}

/// How an answer in JSON is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormatSupport {
    /// `json_schema`, and `json_object`.
    Schema,
    /// `json_object`; a schema goes into the instructions.
    Object,
    /// In the instructions alone.
    Instructions,
}

/// The name of the bound on the answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenBound {
    /// `max_tokens`, which nearly all servers know.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models demand.
    MaxCompletionTokens,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: FormatSupport::Schema,
            bound: TokenBound::MaxTokens,
            stream_options: true,
            sampling: true,
        }
    }
}

impl Dialect {
    /// How to ask after the server refused with these words; `None` if they name nothing that can be left out.
    pub(super) fn without_refused(
        self,
        options: &ModelOptions,
        words: &ProviderWords,
    ) -> Option<Self> {
        if words.names("response_format") || words.names("json_schema") {
            return self.with_less_format(&options.response_format);
        }
        let bound_is_refused =
            words.names("max_completion_tokens") && self.bound == TokenBound::MaxTokens;
        if bound_is_refused && options.max_tokens.is_some() {
            return Some(Self { bound: TokenBound::MaxCompletionTokens, ..self });
        }
        if self.stream_options && (words.names("stream_options") || words.names("include_usage")) {
            return Some(Self { stream_options: false, ..self });
        }
        let sampling_is_refused = words.names("temperature") || words.names("top_p");
        let sampling_is_sent = options.temperature.is_some() || options.top_p.is_some();
        (self.sampling && sampling_is_sent && sampling_is_refused)
            .then_some(Self { sampling: false, ..self })
    }

    fn with_less_format(self, asked: &ResponseFormat) -> Option<Self> {
        let format = match (asked, self.format) {
            (ResponseFormat::Text, _) | (_, FormatSupport::Instructions) => return None,
            (ResponseFormat::JsonSchema { .. }, FormatSupport::Schema) => FormatSupport::Object,
            (ResponseFormat::Json, FormatSupport::Schema) | (_, FormatSupport::Object) => {
                FormatSupport::Instructions
            }
        };
        Some(Self { format, ..self })
    }
}
