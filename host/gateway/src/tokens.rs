//! Counts tokens where a provider did not. An estimate: other models cut text differently, mostly within a tenth.
use domain::model::{ModelRequest, ResponseFormat, Usage, UsageSource};
use tiktoken_rs::o200k_base_singleton;

/// What chat formats put around each message, in tokens: role, start and end marks.
const MESSAGE_OVERHEAD_TOKENS: u64 = 4;
/// What chat formats put before the answer, in tokens.
const ANSWER_OVERHEAD_TOKENS: u64 = 3;
/// Text is counted in pieces of this many bytes. The tokenizer's expressions give up, with a panic, on runs of blanks
/// of some hundred thousand characters; a cut costs at most one token.
const PIECE_BYTES: usize = 16 << 10;

/// Tokens of a prompt.
pub(crate) fn of_request(request: &ModelRequest) -> u64 {
    let messages: u64 = request
        .messages
        .iter()
        .map(|message| of_text(&message.content) + MESSAGE_OVERHEAD_TOKENS)
        .sum();
    let format = match &request.options.response_format {
        ResponseFormat::Text | ResponseFormat::Json => 0,
        ResponseFormat::JsonSchema { name, schema } => of_text(name) + of_text(schema),
    };
    messages + format + ANSWER_OVERHEAD_TOKENS
}

/// Tokens of a text.
pub(crate) fn of_text(text: &str) -> u64 {
    let encoder = o200k_base_singleton();
    let mut rest = text;
    let mut count = 0;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        count += encoder.count_ordinary(piece) as u64;
        rest = after;
    }
    count
}

/// The usage of a call whose provider said nothing about it.
pub(crate) fn estimate(request: &ModelRequest, text: &str, reasoning: &str) -> Usage {
    let reasoning_tokens = of_text(reasoning);
    Usage {
        input_tokens: Some(of_request(request)),
        output_tokens: Some(of_text(text) + reasoning_tokens),
        cached_tokens: None,
        reasoning_tokens: (!reasoning.is_empty()).then_some(reasoning_tokens),
        source: UsageSource::Estimated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_words_are_about_one_token_each() {
        assert_eq!(of_text("the quick brown fox jumps over the lazy dog"), 9);
        assert_eq!(of_text(""), 0);
    }

    #[test]
    fn half_a_megabyte_of_blanks_and_of_one_letter_is_counted() {
        assert!(of_text(&" ".repeat(512 << 10)) > 0);
        assert!(of_text(&"ä".repeat(32 << 10)) > 0);
    }
}
