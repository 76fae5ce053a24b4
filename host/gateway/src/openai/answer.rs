//! Reads the events of a stream and whole answers.
use domain::model::{FinishReason, Usage};
use serde_json::Value;

use super::wire::{Chunk, Piece};
use crate::server::body::{Progress, unreadable_line};
use crate::server::{Broken, Hearing};

/// Takes one event of a stream. After `[DONE]` nothing follows.
pub(crate) fn take_event(
    event: &str,
    data: &str,
    progress: &mut Progress,
    hearing: &mut Hearing<'_>,
) -> Result<(), Broken> {
    if data == "[DONE]" {
        progress.done = true;
        return Ok(());
    }
    let chunk: Chunk = serde_json::from_str(data).map_err(|_| unreadable_line(data))?;
    if event == "error" && chunk.error.is_none() {
        return Err(Broken::Refused(serde_json::from_str(data).unwrap_or(Value::Null)));
    }
    take_chunk(chunk, progress, hearing)
}

/// Takes a whole answer. What is none leaves no trace in `progress`.
pub(crate) fn take_whole(
    body: &[u8],
    progress: &mut Progress,
    hearing: &mut Hearing<'_>,
) -> Result<(), Broken> {
    match serde_json::from_slice::<Chunk>(body) {
        Ok(chunk) => take_chunk(chunk, progress, hearing),
        Err(_) => Ok(()),
    }
}

fn take_chunk(
    chunk: Chunk,
    progress: &mut Progress,
    hearing: &mut Hearing<'_>,
) -> Result<(), Broken> {
    if let Some(error) = chunk.error {
        return Err(Broken::Refused(error));
    }
    hearing.model(chunk.model);
    for choice in chunk.choices.unwrap_or_default() {
        if choice.index.is_some_and(|index| index > 0) {
            continue;
        }
        progress.found = true;
        if let Some(usage) = choice.usage {
            count(hearing.usage(), usage.into_usage());
        }
        for piece in choice.delta.into_iter().chain(choice.message) {
            take_piece(piece, hearing)?;
        }
        if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
            // A refusal in the model's own words was noticed before.
            hearing.finish(FinishReason::from_word(&word));
        }
    }
    if let Some(usage) = chunk.usage {
        count(hearing.usage(), usage.into_usage());
    }
    Ok(())
}

/// Some servers count up in every chunk: the last count is the right one.
fn count(counted: &mut Usage, told: Usage) {
    *counted = Usage {
        input_tokens: told.input_tokens.or(counted.input_tokens),
        output_tokens: told.output_tokens.or(counted.output_tokens),
        cached_tokens: told.cached_tokens.or(counted.cached_tokens),
        cache_write_tokens: told.cache_write_tokens.or(counted.cache_write_tokens),
        reasoning_tokens: told.reasoning_tokens.or(counted.reasoning_tokens),
        source: told.source,
    };
}

fn take_piece(piece: Piece, hearing: &mut Hearing<'_>) -> Result<(), Broken> {
    // Some servers send the same reasoning under both names.
    let reasoning = piece.reasoning_content.filter(|text| !text.is_empty()).or(piece.reasoning);
    hearing.reasoning(reasoning.unwrap_or_default())?;
    hearing.text(piece.content.map(|content| content.into_text()).unwrap_or_default())?;
    let refusal = piece.refusal.unwrap_or_default();
    if !refusal.is_empty() {
        hearing.finish(FinishReason::ContentFilter);
    }
    hearing.text(refusal)
}
