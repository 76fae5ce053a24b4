//! The built-in writer: lets every workflow run without a key and without a network.
//!
//! It is no model and says so in every answer. What it writes follows from the prompt alone: the same prompt gives the
//! same answer. It knows one convention of prompts, a line `Required sections, in this order:` with lines
//! `## Heading - what belongs in it` below, with code where a `fenced code block` belongs in it, and JSON Schemas; it
//! understands nothing else.
mod brief;
mod draft;
mod instance;

use std::sync::Arc;

use domain::model::{
    FinishReason, ModelError, ModelErrorKind, ModelRequest, ResponseFormat, Usage, UsageSource,
};

use brief::Brief;

/// What every answer carries, so that nobody takes it for a model's work.
const LABEL: &str = "Draft by the built-in scripted writer, not by a language model. \
                     Set KIMI_API_KEY for a real one.";
/// Size of the pieces of an answer, in bytes. They come all at once, and each wakes whoever watches.
const PIECE_BYTES: usize = 256;
/// English text has about four bytes per token. Good enough for a writer that costs nothing, and a thousand times faster
/// than counting.
const BYTES_PER_TOKEN: usize = 4;
/// Largest request, in bytes, that is answered on the thread that asks: it takes less than a millisecond, and another
/// thread takes a good part of that. Larger ones must not keep others from their turn.
const INLINE_BYTES_MAX: u64 = 64 << 10;

/// Writes the answer.
pub(crate) async fn write_answer(
    request: &Arc<ModelRequest>,
) -> Result<(String, FinishReason), ModelError> {
    if request.size_bytes() <= INLINE_BYTES_MAX {
        return write(request);
    }
    let request = Arc::clone(request);
    let writing = tokio::task::spawn_blocking(move || write(&request));
    writing.await.unwrap_or_else(|error| Err(not_written(&error)))
}

fn not_written(error: &tokio::task::JoinError) -> ModelError {
    ModelError {
        kind: ModelErrorKind::Unavailable,
        message: format!("the scripted writer did not come to its end: {error}; ask again"),
    }
}

fn write(request: &ModelRequest) -> Result<(String, FinishReason), ModelError> {
    let brief = Brief::of(&request.messages);
    let mut content = match &request.options.response_format {
        ResponseFormat::JsonSchema { name, schema } => {
            let schema = serde_json::from_str(schema).map_err(|error| ModelError {
                kind: ModelErrorKind::Rejected,
                message: format!(
                    "the JSON schema `{name}` is not JSON: {error}; correct the stage that asks"
                ),
            })?;
            instance::of_schema(&schema, &brief).to_string()
        }
        ResponseFormat::Json => instance::of_brief(&brief).to_string(),
        ResponseFormat::Text if brief.sections.is_empty() => draft::reply(&brief),
        ResponseFormat::Text => draft::document(&brief),
    };
    let stops = request.options.stop.iter().filter(|stop| !stop.is_empty());
    if let Some(end) = stops.filter_map(|stop| content.find(stop.as_str())).min() {
        content.truncate(end);
    }
    let bytes_max = request
        .options
        .max_tokens
        .map_or(usize::MAX, |tokens| (tokens as usize).saturating_mul(BYTES_PER_TOKEN));
    if content.len() <= bytes_max {
        return Ok((content, FinishReason::Stop));
    }
    content.truncate(content.floor_char_boundary(bytes_max));
    Ok((content, FinishReason::Length))
}

/// What an answer used, by its size.
pub(crate) fn usage(request: &ModelRequest, content: &str) -> Usage {
    Usage {
        input_tokens: Some(request.size_bytes().div_ceil(BYTES_PER_TOKEN as u64)),
        output_tokens: Some(content.len().div_ceil(BYTES_PER_TOKEN) as u64),
        cached_tokens: Some(0),
        cache_write_tokens: None,
        reasoning_tokens: Some(0),
        source: UsageSource::Estimated,
    }
}

/// The answer as it is handed on.
pub(crate) fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES));
        text = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests;
