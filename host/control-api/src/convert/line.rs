//! An event in one line, for logs and terminals: who, what, where; never several lines.
use super::budget::budget_words;
use crate::dto::{EventArtifactDto, EventKindDto};

pub(super) fn line(what: &EventKindDto) -> String {
    match what {
        EventKindDto::RunCreated { .. } => created(what),
        EventKindDto::StageStarted { stage, attempt: 1 } => format!("{stage}: started"),
        EventKindDto::StageStarted { stage, attempt } => {
            format!("{stage}: started (attempt {attempt})")
        }
        EventKindDto::ModelAnswered { .. } => answered(what),
        EventKindDto::StageFinished { stage, summary, artifacts, .. } => {
            format!("{stage}: done: {}{}", first_line(summary), made(artifacts))
        }
        EventKindDto::StageFailed { stage, fault, .. } => {
            format!("{stage}: failed: {}: {}", fault.error_code, first_line(&fault.error_message))
        }
        EventKindDto::GateOpened { stage, approval_id, .. } => {
            format!("{stage}: waits for approval {approval_id}")
        }
        EventKindDto::BudgetWarned { stage, bound, .. } => {
            format!("{stage}: budget nearly used up: {}", budget_words(bound))
        }
        EventKindDto::BudgetGateOpened { stage, approval_id, bound, .. } => {
            let words = budget_words(bound);
            format!("{stage}: waits for approval {approval_id}: budget used up: {words}")
        }
        EventKindDto::GateGranted { stage, actor, comment, .. } => {
            by(stage, "granted", actor, comment.as_deref())
        }
        EventKindDto::GateRejected { stage, actor, comment, .. } => {
            by(stage, "rejected", actor, comment.as_deref())
        }
        EventKindDto::GateRevised { stage, actor, comment, .. } => {
            by(stage, "sent back", actor, comment.as_deref())
        }
        EventKindDto::GateGrantAdded { stage, actor, comment, .. } => {
            by(stage, "granted, with more grants to come,", actor, comment.as_deref())
        }
        EventKindDto::ArtifactsEdited { stage, actor, artifacts, .. } => {
            format!("{stage}: edited by {actor}{}", made(artifacts))
        }
        EventKindDto::GateReminded { stage, number, failure, .. } => {
            reminded(stage, *number, failure.as_deref())
        }
        EventKindDto::GateEscalated { stage, .. } => {
            format!("{stage}: nobody decided in time; others may decide as well")
        }
        EventKindDto::RetryScheduled { stage, retry_at, .. } => {
            format!("{stage}: is tried again at {retry_at}")
        }
        EventKindDto::RetryDue { stage } => format!("{stage}: is tried again"),
        EventKindDto::RetriesSpent { stage, fault } => {
            format!("run paused at {stage}: retries are spent: {}", fault.error_code)
        }
        EventKindDto::PauseRequested { actor } => format!("pause requested by {actor}"),
        EventKindDto::RunPaused {} => "run paused".to_owned(),
        EventKindDto::RunResumed { actor } => format!("run resumed by {actor}"),
        EventKindDto::RunRetried { stage, actor } => {
            format!("run started again from {stage} by {actor}")
        }
        EventKindDto::RunCompleted {} => "run completed".to_owned(),
        EventKindDto::RunFailed { stage, fault } => {
            format!("run failed at {stage}: {}", fault.error_code)
        }
        EventKindDto::RunCanceled { actor, reason } => {
            format!("run canceled by {actor}{}", words(reason.as_deref()))
        }
    }
}

fn created(what: &EventKindDto) -> String {
    let EventKindDto::RunCreated {
        requested_mode, effective_mode, fallback_applied, stages, ..
    } = what
    else {
        return String::new();
    };
    let stages = match stages.len() {
        1 => "1 stage".to_owned(),
        count => format!("{count} stages"),
    };
    match fallback_applied {
        true => format!("run created: `{effective_mode}` instead of `{requested_mode}`, {stages}"),
        false => format!("run created: `{effective_mode}`, {stages}"),
    }
}

fn by(stage: &str, did: &str, actor: &str, comment: Option<&str>) -> String {
    format!("{stage}: {did} by {actor}{}", words(comment))
}

fn reminded(stage: &str, number: u16, failure: Option<&str>) -> String {
    match failure {
        None => format!("{stage}: reminder {number} sent"),
        Some(failure) => {
            format!("{stage}: reminder {number} could not be sent: {}", first_line(failure))
        }
    }
}

fn answered(what: &EventKindDto) -> String {
    let EventKindDto::ModelAnswered {
        stage,
        ordinal,
        model,
        input_tokens,
        output_tokens,
        error_code,
        error_message,
        ..
    } = what
    else {
        return String::new();
    };
    match (model, error_code) {
        (Some(model), _) => {
            let count = |tokens: &Option<u64>| tokens.map_or("?".to_owned(), |n| n.to_string());
            let (input, output) = (count(input_tokens), count(output_tokens));
            format!("{stage}: {model} answered call {ordinal}: {input} tokens in, {output} out")
        }
        (None, Some(code)) => {
            let message = first_line(error_message.as_deref().unwrap_or_default());
            format!("{stage}: no answer to call {ordinal}: {code}: {message}")
        }
        (None, None) => format!("{stage}: no answer to call {ordinal}"),
    }
}

fn made(artifacts: &[EventArtifactDto]) -> String {
    if artifacts.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    format!(" [{}]", names.join(", "))
}

fn words(comment: Option<&str>) -> String {
    comment
        .map(first_line)
        .filter(|words| !words.is_empty())
        .map_or_else(String::new, |words| format!(": {words}"))
}

/// The first line that says something. Plugins and people write what they like; a line here is one line.
fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|char| !char.is_control()).collect()
}
