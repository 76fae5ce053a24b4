//! What is kept of a call that has ended.
use domain::Timestamp;
use domain::model::{Completion, FinishReason, ModelError, ModelErrorKind, Usage, UsageSource};
use domain::run::CallOutcome;
use gateway::{Answered, BrokenOff, PassedOver};
use store::{CallAnswered, CallStarted, CallTiming, Spent};

/// The record of a call that has ended.
pub(crate) fn kept_answer(started: CallStarted, answered: Answered, at: Timestamp) -> CallAnswered {
    let timing = CallTiming {
        queue_ms: answered.timing.queue_ms,
        first_token_ms: answered.timing.first_token_ms,
        total_ms: answered.timing.total_ms,
        tries: answered.timing.tries,
    };
    CallAnswered {
        started,
        outcome: answered.outcome,
        spent: answered.broken_off.map(spent),
        provider: answered.route.provider,
        model: answered.route.model,
        source: answered.source,
        fallback_reason: fallback_reason(&answered.passed_over),
        timing,
        at,
    }
}

fn spent(broken_off: BrokenOff) -> Spent {
    let BrokenOff { content, usage, cost_nano_usd } = broken_off;
    Spent { content, usage, cost_nano_usd }
}

/// A line for each that did not answer.
fn fallback_reason(passed_over: &[PassedOver]) -> Option<String> {
    let line = |PassedOver { route, error }: &PassedOver| {
        format!("{}/{}: {error}", route.provider, route.model)
    };
    let lines: Vec<String> = passed_over.iter().map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether nobody wanted the answer any more, so that there is none.
pub(crate) fn is_canceled(outcome: &Result<Completion, ModelError>) -> bool {
    matches!(outcome, Err(ModelError { kind: ModelErrorKind::Canceled, .. }))
}

/// A canceled call as an answer that ends where the stage did not want more of it: a replay gives it again.
pub(super) fn stopped_by_stage(answer: CallAnswered) -> CallAnswered {
    let nothing = || Spent {
        content: String::new(),
        usage: Usage {
            input_tokens: Some(0),
            output_tokens: Some(0),
            source: UsageSource::Estimated,
            ..Usage::default()
        },
        cost_nano_usd: Some(0),
    };
    let Spent { content, usage, cost_nano_usd } = answer.spent.unwrap_or_else(nothing);
    let completion = Completion {
        content,
        finish_reason: FinishReason::Other(FinishReason::STOPPED_BY_STAGE.to_owned()),
        model: answer.model.clone(),
        usage,
        cost_nano_usd,
    };
    CallAnswered { outcome: Ok(completion), spent: None, ..answer }
}

/// Whether the stage did not want the whole of this answer.
pub(super) fn was_stopped_by_stage(outcome: &Result<Completion, ModelError>) -> bool {
    let Ok(completion) = outcome else { return false };
    completion.finish_reason == FinishReason::Other(FinishReason::STOPPED_BY_STAGE.to_owned())
}

/// What the log says about a call.
pub(super) fn noted(outcome: &Result<Completion, ModelError>) -> CallOutcome {
    match outcome {
        Ok(completion) => CallOutcome::Answered {
            model: completion.model.clone(),
            input_tokens: completion.usage.input_tokens,
            output_tokens: completion.usage.output_tokens,
        },
        Err(error) => CallOutcome::Failed {
            code: error.kind.code().to_owned(),
            message: error.message.clone(),
        },
    }
}
