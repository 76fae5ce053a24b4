//! What to do without after a refusal.
use domain::model::{ModelErrorKind, ModelOptions, ResponseFormat};

use crate::server::ProviderWords;
use crate::server::dialect::{Change, Dialect, FormatSupport, Lasts, TokenBound};

/// What to change after the server refused with these words; `None` if they name nothing that can be left out.
pub(crate) fn change_after(
    dialect: Dialect,
    options: &ModelOptions,
    kind: ModelErrorKind,
    words: &ProviderWords,
) -> Option<(Change, Lasts)> {
    if kind != ModelErrorKind::Rejected {
        return None;
    }
    let lasts = |parts: &[&str]| match parts.iter().any(|part| words.calls_unsupported(part)) {
        true => Lasts::ForTheModel,
        false => Lasts::ForTheCall,
    };
    if words.names("response_format") || words.names("json_schema") {
        let less = format_below(dialect, &options.response_format)?;
        return Some((Change::Format(less), lasts(&["response_format", "json_schema"])));
    }
    let bound_is_refused =
        words.names("max_completion_tokens") && dialect.bound == TokenBound::MaxTokens;
    if bound_is_refused && options.max_tokens.is_some() {
        // The server's own words for a bound that it was not sent: there is no value to dislike.
        return Some((Change::Bound, Lasts::ForTheModel));
    }
    if dialect.stream_options && (words.names("stream_options") || words.names("include_usage")) {
        return Some((Change::StreamOptions, lasts(&["stream_options", "include_usage"])));
    }
    // Without a number that the asking side chose, the answer would be another: only if there is no way with it.
    let is_refused = |part, is_sent: bool| is_sent && words.calls_unsupported(part);
    if is_refused("temperature", dialect.temperature && options.temperature.is_some()) {
        return Some((Change::Temperature, Lasts::ForTheModel));
    }
    is_refused("top_p", dialect.top_p && options.top_p.is_some())
        .then_some((Change::TopP, Lasts::ForTheModel))
}

fn format_below(dialect: Dialect, asked: &ResponseFormat) -> Option<FormatSupport> {
    match (asked, dialect.format) {
        (ResponseFormat::Text, _) | (_, FormatSupport::Instructions) => None,
        (ResponseFormat::JsonSchema { .. }, FormatSupport::Schema) => Some(FormatSupport::Object),
        (ResponseFormat::Json, FormatSupport::Schema) | (_, FormatSupport::Object) => {
            Some(FormatSupport::Instructions)
        }
    }
}
