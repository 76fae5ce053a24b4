//! Asking models: too often, too much, at the wrong time, and not caring for the answer.
use std::hash::{BuildHasher, RandomState};

use serde_json::json;
use stage_sdk::{HostModel, Model, ModelRequest, StageContext, StageError, StageOutput};

use super::{behaved, len_or, or, report};
use crate::Settings;

/// Over the usual bound of one call, and well within the usual memory of a guest.
const BIG_PROMPT_BYTES: u64 = 6 << 20;

pub(super) fn question(context: &StageContext, settings: &Settings) -> ModelRequest {
    let question = if settings.text.is_empty() { &context.request_text } else { &settings.text };
    ModelRequest::new("You answer for a test.", question).labeled("rogue")
}

pub(super) fn big_question(settings: &Settings) -> ModelRequest {
    ModelRequest::new(
        "You answer for a test.",
        "x".repeat(len_or(settings.count, BIG_PROMPT_BYTES)),
    )
}

pub(super) fn ask(
    request: &ModelRequest,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    let answer = model.ask(request)?;
    let data = json!({
        "content_bytes": answer.content.len(),
        "model": answer.model,
        "input_tokens": answer.usage.input_tokens,
        "output_tokens": answer.usage.output_tokens,
        "cost_nano_usd": answer.cost_nano_usd,
    });
    Ok(behaved(&answer.content).with_data(&data))
}

pub(super) fn ask_many(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    let count = or(settings.count, 100);
    for number in 1..=count {
        let mut request = question(context, settings);
        request.label = Some(format!("question {number}"));
        request.messages[1].content.push_str(&format!("\nQuestion {number}."));
        model.ask(&request)?;
    }
    Ok(report(&json!({ "answers": count })))
}

pub(super) fn ask_anyway(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> StageOutput {
    let request = question(context, settings);
    let outcomes: Vec<String> = (0..or(settings.count, 3))
        .map(|_| match model.ask(&request) {
            Ok(answer) => format!("answer: {}", answer.content),
            Err(error) => format!("error: {error:?}"),
        })
        .collect();
    report(&json!({ "outcomes": outcomes }))
}

/// Wall time passes and computing time does not, as long as the model takes its time.
pub(super) fn slow(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    loop {
        model.ask(&question(context, settings))?;
    }
}

pub(super) fn ask_random(
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    let questions: Vec<String> = (0..or(settings.count, 1))
        .map(|number| {
            let chance = RandomState::new().hash_one(number);
            format!("{chance:016x} {:?}", super::reaching::clocks())
        })
        .collect();
    for question in &questions {
        model.ask(&ModelRequest::new("You answer for a test.", question))?;
    }
    Ok(report(&json!({ "questions": questions })))
}

pub(super) fn ask_in_preview(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let request = question(context, settings);
    let answer = HostModel.ask(&request)?;
    Ok(ModelRequest::new("You answer for a test.", answer.content))
}
