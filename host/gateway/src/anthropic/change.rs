//! What to do without after a refusal.
use domain::model::{ModelErrorKind, ModelOptions, ResponseFormat};

use crate::server::ProviderWords;
use crate::server::dialect::{Change, Dialect, FormatSupport, Lasts};

/// Fewest tokens for an answer that are worth a request, where a long prompt leaves little room. With less, the prompt
/// is too long.
const ROOM_TOKENS_MIN: u64 = 1_024;

/// What to change after the server refused with these words; `None` if they name nothing that can be left out.
pub(crate) fn change_after(
    dialect: Dialect,
    options: &ModelOptions,
    kind: ModelErrorKind,
    words: &ProviderWords,
) -> Option<(Change, Lasts)> {
    match kind {
        ModelErrorKind::ContextTooLong if options.max_tokens.is_none() => {
            // The bound was ours, so it may be lower for this prompt.
            let room = room_left(&words.lowered())?;
            lower(dialect, room).map(|change| (change, Lasts::ForTheCall))
        }
        ModelErrorKind::Rejected => format_refused(dialect, options, words)
            .or_else(|| bound_refused(dialect, words))
            .or_else(|| number_refused(dialect, options, words)),
        _ => None,
    }
}

fn format_refused(
    dialect: Dialect,
    options: &ModelOptions,
    words: &ProviderWords,
) -> Option<(Change, Lasts)> {
    const NAMES: &[&str] =
        &["output_config", "output_format", "output format", "structured output"];
    let is_asked = matches!(options.response_format, ResponseFormat::JsonSchema { .. })
        && dialect.format == FormatSupport::Schema;
    if !is_asked || !NAMES.iter().any(|name| words.names(name)) {
        return None;
    }
    // A schema with something that the server does not know says nothing about other schemas.
    let is_content = words.lowered().contains("schema");
    let is_unknown = NAMES.iter().any(|name| words.calls_unsupported(name));
    let lasts = if is_unknown && !is_content { Lasts::ForTheModel } else { Lasts::ForTheCall };
    Some((Change::Format(FormatSupport::Instructions), lasts))
}

/// `max_tokens: 16384 > 8192, which is the maximum allowed number of output tokens for ...`: more than that does not
/// come anyway, whoever chose the bound.
fn bound_refused(dialect: Dialect, words: &ProviderWords) -> Option<(Change, Lasts)> {
    let message = words.lowered();
    let is_bound = message.contains("max_tokens") && message.contains("output tokens");
    let highest = number_after(message.split_once('>').filter(|_| is_bound)?.1)?;
    lower(dialect, highest).map(|change| (change, Lasts::ForTheModel))
}

fn number_refused(
    dialect: Dialect,
    options: &ModelOptions,
    words: &ProviderWords,
) -> Option<(Change, Lasts)> {
    let temperature_is_sent = dialect.temperature && options.temperature.is_some();
    let top_p_is_sent = dialect.top_p && options.top_p.is_some();
    let are_refused_together = words.names("temperature")
        && words.names("top_p")
        && words.lowered().contains("cannot both be specified");
    let change = if are_refused_together && temperature_is_sent && top_p_is_sent {
        Change::TopP
    } else if temperature_is_sent && words.calls_unsupported("temperature") {
        Change::Temperature
    } else if top_p_is_sent && words.calls_unsupported("top_p") {
        Change::TopP
    } else {
        return None;
    };
    Some((change, Lasts::ForTheModel))
}

/// `input length and max_tokens exceed context limit: 188240 + 16384 > 200000`.
fn room_left(message: &str) -> Option<u64> {
    let (_, numbers) = message.split_once("exceed context limit")?;
    let (input, limit) = numbers.split_once('>')?;
    let room = number_after(limit)?.checked_sub(number_after(input)?)?;
    Some(room).filter(|room| *room >= ROOM_TOKENS_MIN)
}

/// The lower bound, if it is one.
fn lower(dialect: Dialect, tokens_max: u64) -> Option<Change> {
    let tokens_max = u32::try_from(tokens_max).ok().filter(|tokens_max| *tokens_max > 0)?;
    let is_lower = dialect.tokens_max.is_none_or(|known| tokens_max < known);
    is_lower.then_some(Change::TokensMax(tokens_max))
}

/// The first number of a text.
fn number_after(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
