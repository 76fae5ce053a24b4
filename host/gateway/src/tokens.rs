//! Counts tokens where a provider did not. An estimate: other models cut text differently, mostly within a tenth.
use domain::model::{ModelRequest, ResponseFormat, Usage, UsageSource};
use tiktoken_rs::o200k_base_singleton;
use tokio::time::Instant;

/// What chat formats put around each message, in tokens: role, start and end marks.
const MESSAGE_OVERHEAD_TOKENS: u64 = 4;
/// What chat formats put before the answer, in tokens.
const ANSWER_OVERHEAD_TOKENS: u64 = 3;
/// Text is counted in pieces of this many bytes. The tokenizer's expressions give up, with a panic, on runs of blanks
/// of some hundred thousand characters; a cut costs at most one token.
const PIECE_BYTES: usize = 16 << 10;
/// English text has about four bytes per token. Good enough where there is no time to count.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens of a prompt.
pub(crate) fn of_request(request: &ModelRequest) -> u64 {
    sum_over_request(request, &mut |text| Some(of_text(text))).expect("counting has no bound")
}

/// Tokens of a text.
pub(crate) fn of_text(text: &str) -> u64 {
    pieces(text).map(count).fold(0, u64::saturating_add)
}

/// The usage of a call whose provider said nothing about it, as far as there is time to count.
pub(crate) fn estimate_until(
    request: &ModelRequest,
    text: &str,
    reasoning: &str,
    until: Instant,
) -> Option<Usage> {
    estimate_by(request, text, reasoning, &mut |text| {
        pieces(text).try_fold(0, |sum: u64, piece| {
            (Instant::now() < until).then(|| sum.saturating_add(count(piece)))
        })
    })
}

/// The same without counting, from the sizes alone: takes no time.
pub(crate) fn estimate_by_size(request: &ModelRequest, text: &str, reasoning: &str) -> Usage {
    let by_size = &mut |text: &str| Some(text.len().div_ceil(BYTES_PER_TOKEN) as u64);
    estimate_by(request, text, reasoning, by_size).expect("a size is known at once")
}

fn estimate_by(
    request: &ModelRequest,
    text: &str,
    reasoning: &str,
    tokens_of: &mut dyn FnMut(&str) -> Option<u64>,
) -> Option<Usage> {
    let reasoning_tokens = tokens_of(reasoning)?;
    Some(Usage {
        input_tokens: Some(sum_over_request(request, tokens_of)?),
        output_tokens: Some(tokens_of(text)?.saturating_add(reasoning_tokens)),
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: (!reasoning.is_empty()).then_some(reasoning_tokens),
        source: UsageSource::Estimated,
    })
}

fn sum_over_request(
    request: &ModelRequest,
    tokens_of: &mut dyn FnMut(&str) -> Option<u64>,
) -> Option<u64> {
    let mut sum = ANSWER_OVERHEAD_TOKENS;
    for message in &request.messages {
        sum = sum.saturating_add(tokens_of(&message.content)?);
        sum = sum.saturating_add(MESSAGE_OVERHEAD_TOKENS);
    }
    if let ResponseFormat::JsonSchema { name, schema } = &request.options.response_format {
        sum = sum.saturating_add(tokens_of(name)?).saturating_add(tokens_of(schema)?);
    }
    Some(sum)
}

fn count(piece: &str) -> u64 {
    o200k_base_singleton().count_ordinary(piece) as u64
}

fn pieces(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_words_are_about_one_token_each() {
        assert_eq!(of_text("the quick brown fox jumps over the lazy dog"), 9);
        assert_eq!(of_text(""), 0);
    }

    #[tokio::test]
    async fn counting_ends_when_its_time_is_over() {
        let request = ModelRequest {
            messages: Vec::new(),
            options: domain::model::ModelOptions::default(),
            label: None,
        };
        let now = Instant::now();
        assert_eq!(estimate_until(&request, "bees", "", now), None);
        let later = now + std::time::Duration::from_secs(3600);
        let counted = estimate_until(&request, "bees fly", "", later);
        assert_eq!(counted.and_then(|usage| usage.output_tokens), Some(of_text("bees fly")));
        assert_eq!(estimate_by_size(&request, "bees fly.", "hm").output_tokens, Some(4));
    }

    #[test]
    fn half_a_megabyte_of_blanks_and_of_one_letter_is_counted() {
        assert!(of_text(&" ".repeat(512 << 10)) > 0);
        assert!(of_text(&"ä".repeat(32 << 10)) > 0);
    }
}
