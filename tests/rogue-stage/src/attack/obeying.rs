//! Doing what the model says: a stage whose questions, result and failures all follow from its answers.
use serde_json::json;
use stage_sdk::{Model, ModelRequest, StageContext, StageError, StageOutput};

use super::{behaved, failure, or};
use crate::{Settings, Verb};

/// Whatever was lost or changed on the way to the stage makes it ask something else.
fn question(context: &StageContext, number: u64, answers: &[String]) -> ModelRequest {
    let mut told =
        format!("{}\nQuestion {number} of {}.\n", context.request_text, context.stage_key);
    for earlier in &context.artifacts {
        told.push_str(&format!("{} made: {}\n", earlier.stage, earlier.artifact.body));
    }
    for variable in &context.variables {
        told.push_str(&format!("{} is {}\n", variable.name, variable.value));
    }
    if let Some(revision) = &context.revision {
        for previous in &revision.previous {
            told.push_str(&format!("It was: {}\n", previous.body));
        }
        told.push_str(&format!("Feedback: {}\n", revision.feedback));
    }
    for answer in answers {
        told.push_str(&format!("Answered: {answer}\n"));
    }
    ModelRequest::new("You answer for a test.", told).labeled("obey")
}

pub(super) fn obey(
    context: &StageContext,
    settings: &Settings,
    model: &mut dyn Model,
) -> Result<StageOutput, StageError> {
    let mut answers = Vec::new();
    for number in 1..=or(settings.count, 1) {
        let answer = model.ask(&question(context, number, &answers))?.content;
        if let Some(verb) = told_to_fail(&answer) {
            return Err(failure(verb));
        }
        answers.push(answer);
    }
    let mut body = answers.join("\n");
    if let Some(revision) = &context.revision {
        body.push_str(&format!("\nFeedback: {}", revision.feedback));
    }
    let variable = context.stage_key.replace('-', "_");
    let output = behaved(&body).with_variable(variable, &answers.last());
    Ok(output.with_data(&json!({ "answers": answers })))
}

fn told_to_fail(answer: &str) -> Option<Verb> {
    let verbs = [Verb::Transient, Verb::BadInput, Verb::InvalidOutput, Verb::NeedsHuman];
    let order = answer.strip_prefix("FAIL ")?;
    verbs.into_iter().find(|verb| order.starts_with(&verb.word()))
}
