//! Leaving behind what does not fit the contract, and failing in every way that the contract has.
use serde_json::{Value, json};
use stage_sdk::{Failure, LlmError, StageContext, StageError, StageOutput, Variable, log};

use super::{behaved, len_or, or};
use crate::{ARTIFACT, Settings, Verb};

/// Over the usual bound of one call, and well within the usual memory of a guest.
const BIG_BYTES: u64 = 6 << 20;

pub(super) fn too_much(settings: &Settings) -> StageOutput {
    let mut output = behaved("Fine.");
    match settings.verb {
        Verb::BigData => {
            output.data = format!("\"{}\"", "x".repeat(len_or(settings.count, BIG_BYTES)));
        }
        Verb::BigLog => log::info(&"x".repeat(len_or(settings.count, BIG_BYTES)), &[]),
        Verb::BigArtifact => output.artifacts[0].body = "x".repeat(len_or(settings.count, 8 << 20)),
        Verb::LongSummary => {
            output.summary = "long\u{1b}[31m\n".repeat(len_or(settings.count, 1 << 20) / 10);
        }
        _ => {
            for number in 1..or(settings.count, 1000) {
                output = output.with_markdown(format!("rogue-{number}.md"), "One of many.");
            }
        }
    }
    output
}

pub(super) fn wrong_artifacts(settings: &Settings) -> StageOutput {
    let mut output = behaved("Fine.");
    match settings.verb {
        Verb::BadName => {
            let name = if settings.text.is_empty() { "../evil.md" } else { &settings.text };
            output.artifacts[0].name = name.to_owned();
        }
        Verb::MissingArtifact => output.artifacts.clear(),
        Verb::ExtraArtifact => output = output.with_markdown("extra.md", "Nobody announced this."),
        _ => output = output.with_markdown(ARTIFACT, "The same again."),
    }
    output
}

pub(super) fn wrong_values(settings: &Settings) -> StageOutput {
    let mut output = behaved("Fine.");
    match settings.verb {
        Verb::NotJson => output.data = "{not json".to_owned(),
        Verb::BadVariable => output = output.with_variable("Not A Name!", &1),
        Verb::BadVariableValue => {
            output
                .variables
                .push(Variable { name: "value".to_owned(), value: "{not json".to_owned() });
        }
        _ => {
            for number in 0..or(settings.count, 100_000) {
                output = output.with_variable(format!("variable_{number}"), &number);
            }
        }
    }
    output
}

pub(super) fn failure(verb: Verb) -> StageError {
    match verb {
        Verb::BadInput => {
            StageError::bad_input("rogue_bad_input", "the rogue stage refuses its input")
        }
        Verb::InvalidOutput => StageError::invalid_output(
            "rogue_invalid_output",
            "the rogue stage cannot use the answer",
        ),
        Verb::Transient => StageError::transient("rogue_transient", "something passed"),
        Verb::LiarLlm => StageError::Llm(LlmError::Unauthorized("no model said this".to_owned())),
        Verb::BadFailure => StageError::BadInput(Failure {
            code: "../Not a code\u{1b}[31m\n".repeat(100),
            message: "m\u{0}\u{1b}[31m ".repeat(1 << 17),
        }),
        _ => StageError::needs_human("rogue_needs_human", "somebody has to decide"),
    }
}

pub(super) fn log() -> StageOutput {
    log::debug("a debug line", &[]);
    log::info("an info line", &[("key", "value"), ("other", "two words")]);
    log::warn("a warning", &[("escape", "\u{1b}[31m")]);
    log::error("an error\nwith two lines", &[]);
    behaved("Logged.")
}

pub(super) fn echo(context: &StageContext) -> Value {
    let artifacts: Vec<Value> = context
        .artifacts
        .iter()
        .map(|earlier| {
            let artifact = &earlier.artifact;
            json!({
                "stage": earlier.stage,
                "name": artifact.name,
                "media_type": artifact.media_type,
                "body": artifact.body,
            })
        })
        .collect();
    let revision = context.revision.as_ref().map(|revision| {
        let previous: Vec<&str> =
            revision.previous.iter().map(|artifact| artifact.name.as_str()).collect();
        json!({ "feedback": revision.feedback, "previous": previous })
    });
    let variables: Vec<(&str, &str)> = context
        .variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable.value.as_str()))
        .collect();
    let skills: Vec<(&str, &str)> =
        context.skills.iter().map(|skill| (skill.name.as_str(), skill.body.as_str())).collect();
    json!({
        "request_text": context.request_text,
        "run_id": context.run_id,
        "thread_id": context.thread_id,
        "brand_id": context.brand_id,
        "project_id": context.project_id,
        "stage_key": context.stage_key,
        "attempt": context.attempt,
        "settings": context.settings,
        "variables": variables,
        "artifacts": artifacts,
        "skills": skills,
        "revision": revision,
    })
}
