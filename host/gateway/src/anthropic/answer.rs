//! Reads the events of a stream and whole answers.
//!
//! Invariant: the count of output tokens in `message_start` is a placeholder and never kept. What an answer really used
//! is in `message_delta`; if that never comes, it is not known.
use domain::model::{FinishReason, UsageSource};
use serde::Deserialize;
use serde_json::Value;

use crate::server::body::{Progress, unreadable_line};
use crate::server::lenient::{believed, lenient};
use crate::server::{Broken, Hearing};

/// An event of a stream. Each type fills some of the fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    /// In `message_start`.
    #[serde(deserialize_with = "lenient")]
    message: Option<Whole>,
    /// In `content_block_start`.
    #[serde(deserialize_with = "lenient")]
    content_block: Option<Block>,
    /// In `content_block_delta` and `message_delta`.
    #[serde(deserialize_with = "lenient")]
    delta: Option<Block>,
    /// In `message_delta`.
    #[serde(deserialize_with = "lenient")]
    usage: Option<Counts>,
    error: Option<Value>,
}

/// A whole answer, or the frame of one in `message_start`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Whole {
    #[serde(deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    content: Option<Vec<Block>>,
    #[serde(deserialize_with = "lenient")]
    stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    usage: Option<Counts>,
    error: Option<Value>,
}

/// A block of content, or a change of one. Blocks of tools and signatures have neither text nor thinking.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block {
    #[serde(deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(deserialize_with = "lenient")]
    thinking: Option<String>,
    #[serde(deserialize_with = "lenient")]
    stop_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Counts {
    /// Without the tokens that were read from the cache or written into it.
    #[serde(deserialize_with = "lenient")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    output_tokens_details: Option<OutputCounts>,
}

/// Parts of the output.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputCounts {
    #[serde(deserialize_with = "lenient")]
    thinking_tokens: Option<u64>,
}

/// Takes one event of a stream.
pub(crate) fn take_event(
    name: &str,
    data: &str,
    progress: &mut Progress,
    hearing: &mut Hearing<'_>,
) -> Result<(), Broken> {
    let event: Event = serde_json::from_str(data).map_err(|_| unreadable_line(data))?;
    match event.kind.as_deref().unwrap_or(name) {
        "error" => {
            let whole = || serde_json::from_str(data).unwrap_or(Value::Null);
            return Err(Broken::Refused(event.error.unwrap_or_else(whole)));
        }
        "message_start" => {
            progress.found = true;
            let message = event.message.unwrap_or_default();
            hearing.model(message.model);
            count_input(message.usage, hearing);
        }
        "content_block_start" | "content_block_delta" => {
            progress.found = true;
            for block in event.content_block.into_iter().chain(event.delta) {
                take_block(block, hearing)?;
            }
        }
        "message_delta" => {
            progress.found = true;
            if let Some(word) = event.delta.and_then(|delta| delta.stop_reason) {
                hearing.finish(finish_reason(word));
            }
            count_input(event.usage, hearing);
            count_output(event.usage, hearing);
        }
        "message_stop" => progress.done = true,
        // Pings, ends of blocks, and what the protocol may get in addition.
        _ => {}
    }
    Ok(())
}

/// Takes a whole answer. What is none leaves no trace in `progress`.
pub(crate) fn take_whole(
    body: &[u8],
    progress: &mut Progress,
    hearing: &mut Hearing<'_>,
) -> Result<(), Broken> {
    let Ok(whole) = serde_json::from_slice::<Whole>(body) else {
        return Ok(());
    };
    if let Some(error) = whole.error {
        return Err(Broken::Refused(error));
    }
    let Some(blocks) = whole.content else {
        return Ok(());
    };
    progress.found = true;
    hearing.model(whole.model);
    for block in blocks {
        take_block(block, hearing)?;
    }
    if let Some(word) = whole.stop_reason {
        hearing.finish(finish_reason(word));
    }
    count_input(whole.usage, hearing);
    count_output(whole.usage, hearing);
    Ok(())
}

fn take_block(block: Block, hearing: &mut Hearing<'_>) -> Result<(), Broken> {
    hearing.reasoning(block.thinking.unwrap_or_default())?;
    hearing.text(block.text.unwrap_or_default())
}

/// The prompt is counted in three parts that exclude each other. The counts of a stream only ever grow, and servers
/// that imitate the protocol know them at its beginning or at its end only: the highest is the right one.
fn count_input(counts: Option<Counts>, hearing: &mut Hearing<'_>) {
    let counts = counts.unwrap_or_default();
    let (written, read) =
        (believed(counts.cache_creation_input_tokens), believed(counts.cache_read_input_tokens));
    let total = believed(counts.input_tokens)
        .map(|fresh| fresh.saturating_add(written.unwrap_or(0)).saturating_add(read.unwrap_or(0)));
    let usage = hearing.usage();
    usage.input_tokens = usage.input_tokens.max(believed(total));
    usage.cache_write_tokens = usage.cache_write_tokens.max(written);
    usage.cached_tokens = usage.cached_tokens.max(read);
    usage.source = UsageSource::Provider;
}

fn count_output(counts: Option<Counts>, hearing: &mut Hearing<'_>) {
    let counts = counts.unwrap_or_default();
    let reasoning = counts.output_tokens_details.and_then(|details| details.thinking_tokens);
    let usage = hearing.usage();
    usage.output_tokens = usage.output_tokens.max(believed(counts.output_tokens));
    usage.reasoning_tokens = usage.reasoning_tokens.max(believed(reasoning));
}

fn finish_reason(word: String) -> FinishReason {
    match word.as_str() {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Other(word),
    }
}
