//! What a server turned out not to understand, and how to do without it.
//!
//! Servers that call themselves compatible refuse different parts of a request. A refusal that names such a part is
//! answered with another request without it. Where the server says that it does not know the part at all, that is
//! remembered for the model; where it may only dislike a value, it is not, and an option that the asking side chose is
//! not dropped. A dialect only ever loses features, so this ends.
use domain::model::{ModelOptions, ResponseFormat};

use super::refusal::ProviderWords;

/// How one model of one server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) format: FormatSupport,
    pub(super) bound: TokenBound,
    /// Whether usage is asked for with `stream_options`.
    pub(super) stream_options: bool,
    /// Whether `temperature` is sent.
    pub(super) temperature: bool,
    /// Whether `top_p` is sent.
    pub(super) top_p: bool,
}

/// How an answer in JSON is asked for. From more to less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// One thing that is done in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Format(FormatSupport),
    Bound,
    StreamOptions,
    Temperature,
    TopP,
}

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    ForTheCall,
    ForTheModel,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: FormatSupport::Schema,
            bound: TokenBound::MaxTokens,
            stream_options: true,
            temperature: true,
            top_p: true,
        }
    }
}

impl Dialect {
    /// What to change after the server refused with these words; `None` if they name nothing that can be left out.
    pub(super) fn change_after(
        self,
        options: &ModelOptions,
        words: &ProviderWords,
    ) -> Option<(Change, Lasts)> {
        let lasts = |parts: &[&str]| match parts.iter().any(|part| words.calls_unsupported(part)) {
            true => Lasts::ForTheModel,
            false => Lasts::ForTheCall,
        };
        if words.names("response_format") || words.names("json_schema") {
            let less = self.format_below(&options.response_format)?;
            return Some((Change::Format(less), lasts(&["response_format", "json_schema"])));
        }
        let bound_is_refused =
            words.names("max_completion_tokens") && self.bound == TokenBound::MaxTokens;
        if bound_is_refused && options.max_tokens.is_some() {
            // The server's own words for a bound that it was not sent: there is no value to dislike.
            return Some((Change::Bound, Lasts::ForTheModel));
        }
        if self.stream_options && (words.names("stream_options") || words.names("include_usage")) {
            return Some((Change::StreamOptions, lasts(&["stream_options", "include_usage"])));
        }
        // Without a number that the asking side chose, the answer would be another: only if there is no way with it.
        let is_refused = |part, is_sent: bool| is_sent && words.calls_unsupported(part);
        if is_refused("temperature", self.temperature && options.temperature.is_some()) {
            return Some((Change::Temperature, Lasts::ForTheModel));
        }
        is_refused("top_p", self.top_p && options.top_p.is_some())
            .then_some((Change::TopP, Lasts::ForTheModel))
    }

    fn format_below(self, asked: &ResponseFormat) -> Option<FormatSupport> {
        match (asked, self.format) {
            (ResponseFormat::Text, _) | (_, FormatSupport::Instructions) => None,
            (ResponseFormat::JsonSchema { .. }, FormatSupport::Schema) => {
                Some(FormatSupport::Object)
            }
            (ResponseFormat::Json, FormatSupport::Schema) | (_, FormatSupport::Object) => {
                Some(FormatSupport::Instructions)
            }
        }
    }

    /// The dialect with this change.
    pub(super) fn with(self, change: Change) -> Self {
        match change {
            Change::Format(format) => Self { format: self.format.max(format), ..self },
            Change::Bound => Self { bound: TokenBound::MaxCompletionTokens, ..self },
            Change::StreamOptions => Self { stream_options: false, ..self },
            Change::Temperature => Self { temperature: false, ..self },
            Change::TopP => Self { top_p: false, ..self },
        }
    }

    /// The key of a request in this dialect: the usual form has the question's own, each other form another. Providers
    /// refuse a known key with another body, or give the answer to the first body.
    pub(super) fn keyed(self, key: &str) -> String {
        let format = match self.format {
            FormatSupport::Schema => "",
            FormatSupport::Object => "-object",
            FormatSupport::Instructions => "-instructions",
        };
        let bound = match self.bound {
            TokenBound::MaxTokens => "",
            TokenBound::MaxCompletionTokens => "-completion_tokens",
        };
        let without = |is_sent: bool, form: &'static str| if is_sent { "" } else { form };
        let usage = without(self.stream_options, "-no_usage");
        let temperature = without(self.temperature, "-no_temperature");
        let top_p = without(self.top_p, "-no_top_p");
        format!("{key}{format}{bound}{usage}{temperature}{top_p}")
    }
}
