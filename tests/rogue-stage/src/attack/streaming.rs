//! Answers in pieces: taken, left, kept, and mixed with other questions.
use std::ops::ControlFlow;

use serde_json::json;
use stage_sdk::{LlmError, Model, ModelRequest, StageContext, StageError, StageOutput};

use super::asking::question;
use super::{behaved, len_or, or, report, using_up};
use crate::Settings;

#[cfg(target_arch = "wasm32")]
use stage_sdk::bindings::stagewright::stage::llm::{CompletionStream, stream as open};

/// Pieces of one answer that are taken at most. An answer for a test has fewer.
const PIECE_COUNT_MAX: usize = 10_000;

pub(super) fn stream(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    let mut pieces: Vec<String> = Vec::new();
    let answer = model.stream(&question(context, settings), &mut |piece| {
        pieces.push(piece.to_owned());
        ControlFlow::Continue(())
    })?;
    let whole = answer.map(|answer| answer.content).unwrap_or_default();
    let data = json!({ "is_whole": pieces.concat() == whole, "pieces": pieces });
    Ok(behaved(&whole).with_data(&data))
}

pub(super) fn drop_early(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    let wanted = len_or(settings.count, 1);
    let mut pieces: Vec<String> = Vec::new();
    let answer = model.stream(&question(context, settings), &mut |piece| {
        pieces.push(piece.to_owned());
        if pieces.len() < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(report(&json!({ "pieces": pieces, "dropped": answer.is_none() })))
}

pub(super) fn trap(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    model.stream(&question(context, settings), &mut |_| using_up::trap())?;
    Ok(behaved("The answer had no piece."))
}

pub(super) fn finish(context: &StageContext, settings: &Settings) -> StageOutput {
    let stream = match open(&question(context, settings)) {
        Ok(stream) => stream,
        Err(error) => return report(&json!({ "refused": said(&error) })),
    };
    let taken: Vec<String> = (0..or(settings.count, 1)).map(|_| next(&stream)).collect();
    let whole = match stream.finish() {
        Ok(completion) => completion.content,
        Err(error) => said(&error),
    };
    let mut rest: Vec<String> = Vec::new();
    while rest.last().is_none_or(|last| !is_end(last)) && rest.len() < PIECE_COUNT_MAX {
        rest.push(next(&stream));
    }
    let after_the_end = next(&stream);
    report(&json!({ "taken": taken, "whole": whole, "rest": rest, "after_the_end": after_the_end }))
}

pub(super) fn ask_meanwhile(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> StageOutput {
    let request = question(context, settings);
    let meanwhile = match open(&request) {
        Ok(_open) => {
            let second = open(&request).map_or_else(|error| said(&error), drop_it);
            [asked(&request, model), second]
        }
        Err(error) => return report(&json!({ "refused": said(&error) })),
    };
    report(&json!({ "meanwhile": meanwhile, "afterwards": asked(&request, model) }))
}

pub(super) fn hoard(context: &StageContext, settings: &Settings) -> StageOutput {
    let request = question(context, settings);
    let mut hoard = Vec::new();
    let mut error = None;
    for _ in 0..or(settings.count, 1000) {
        match open(&request).and_then(|stream| stream.finish().map(|_| stream)) {
            Ok(stream) => hoard.push(stream),
            Err(refusal) => {
                error = Some(said(&refusal));
                break;
            }
        }
    }
    report(&json!({ "streams": hoard.len(), "error": error }))
}

fn drop_it(_: CompletionStream) -> String {
    "a second stream".to_owned()
}

fn asked(request: &ModelRequest, model: &mut dyn Model) -> String {
    model.ask(request).map_or_else(|error| said(&error), |answer| answer.content)
}

/// The next piece, or what came in its place, in parentheses.
fn next(stream: &CompletionStream) -> String {
    match stream.next() {
        Ok(Some(piece)) => piece,
        Ok(None) => "(none)".to_owned(),
        Err(error) => said(&error),
    }
}

fn said(error: &LlmError) -> String {
    format!("({error:?})")
}

fn is_end(piece: &str) -> bool {
    piece.starts_with('(')
}

/// Outside of WebAssembly there is no host, and no stream.
#[cfg(not(target_arch = "wasm32"))]
enum CompletionStream {}

#[cfg(not(target_arch = "wasm32"))]
impl CompletionStream {
    fn next(&self) -> Result<Option<String>, LlmError> {
        match *self {}
    }

    fn finish(&self) -> Result<stage_sdk::Completion, LlmError> {
        match *self {}
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn open(_: &ModelRequest) -> Result<CompletionStream, LlmError> {
    Err(LlmError::NotGranted("there is no host".to_owned()))
}
