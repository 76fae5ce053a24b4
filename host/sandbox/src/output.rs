//! What a stage gave back, checked. A guest's word is taken for nothing.
use std::collections::HashSet;

use domain::fault::Limit;
use domain::ids::VariableName;
use domain::model::ModelError;
use domain::stage::{ArtifactSpec, StageOutput, Variable};
use domain::{Artifact, ArtifactName, FaultKind, Json, Limits};

use crate::bindings::stagewright::stage::types as wit;
use crate::convert::model_error_from_guest;
use crate::fault::over_limit;
use crate::text::{clean_code, clean_line, clean_text, size};

/// Longest summary, in bytes; the contract says so. A longer one is cut.
const SUMMARY_BYTES_MAX: usize = 300;

/// Longest message of a failure, in bytes; the contract says so. A longer one is cut.
const MESSAGE_BYTES_MAX: usize = 2000;

/// Most variables that one attempt may set. Each is a row, and is handed to every later stage.
const VARIABLE_COUNT_MAX: usize = 256;

/// Deepest nesting of JSON. It is where this program's JSON reader stops, so that what passes here can be read again.
const JSON_DEPTH_MAX: usize = 127;

/// Bytes that `run` may hand over: all its artifacts at their largest, and one call's worth for the rest.
pub(crate) fn output_bytes_max(limits: &Limits) -> u64 {
    limits
        .artifact_bytes_max
        .saturating_mul(u64::from(limits.artifact_count_max))
        .saturating_add(limits.call_bytes_max)
}

/// What is wrong with an output.
type Wrong = (FaultKind, String);

/// Checks what `run` gave back.
pub(crate) fn check_output(
    output: wit::StageOutput,
    makes: &[ArtifactSpec],
    limits: &Limits,
) -> Result<StageOutput, Wrong> {
    check_sizes(&output, limits)?;
    let artifacts = check_artifacts(output.artifacts, makes)?;
    let data = check_json(output.data, "`data`")?;
    let variables = check_variables(output.variables)?;
    let summary = clean_line(&output.summary, SUMMARY_BYTES_MAX);
    Ok(StageOutput { artifacts, data, summary, variables })
}

fn check_sizes(output: &wit::StageOutput, limits: &Limits) -> Result<(), Wrong> {
    let count = output.artifacts.len() as u64;
    if count > u64::from(limits.artifact_count_max) {
        let allowed = limits.artifact_count_max.to_string();
        return Err(over(Limit::ArtifactCount, &count.to_string(), &allowed));
    }
    for artifact in &output.artifacts {
        let bytes = artifact.body.len() as u64;
        if bytes > limits.artifact_bytes_max {
            let used = format!("`{}` has {}", clean_line(&artifact.name, 128), size(bytes));
            return Err(over(Limit::ArtifactBytes, &used, &size(limits.artifact_bytes_max)));
        }
    }
    let names: usize = output
        .artifacts
        .iter()
        .map(|artifact| artifact.name.len() + artifact.media_type.len())
        .sum();
    let variables: usize =
        output.variables.iter().map(|variable| variable.name.len() + variable.value.len()).sum();
    let bytes = (output.data.len() + output.summary.len() + names + variables) as u64;
    if bytes > limits.call_bytes_max {
        let used = format!("{} beside the artifacts", size(bytes));
        return Err(over(Limit::CallBytes, &used, &size(limits.call_bytes_max)));
    }
    Ok(())
}

fn over(limit: Limit, used: &str, allowed: &str) -> Wrong {
    (FaultKind::Limit(limit), over_limit(limit, used, allowed))
}

/// Names have to be names, and exactly those that the plugin announces. The media type is the announced one: what a
/// guest says here decides how a browser treats its text.
fn check_artifacts(
    artifacts: Vec<wit::Artifact>,
    makes: &[ArtifactSpec],
) -> Result<Vec<Artifact>, Wrong> {
    let mut checked: Vec<Artifact> = Vec::with_capacity(artifacts.len());
    let mut wrong = Vec::new();
    for artifact in artifacts {
        let name = artifact.name.parse::<ArtifactName>().map_err(|reason| {
            let shown = clean_line(&artifact.name, 128);
            (FaultKind::ArtifactName, format!("`{shown}` is no name for an artifact: {reason}"))
        })?;
        if checked.iter().any(|other| other.name == name) {
            wrong.push(format!("it made `{name}` twice"));
            continue;
        }
        match makes.iter().find(|spec| spec.name == name.as_str()) {
            Some(spec) => checked.push(Artifact {
                name,
                media_type: spec.media_type.clone(),
                body: artifact.body,
            }),
            None => wrong.push(format!("it made `{name}`, which it does not announce")),
        }
    }
    for spec in makes {
        if !checked.iter().any(|artifact| artifact.name.as_str() == spec.name) {
            wrong.push(format!("it announces `{}` and did not make it", spec.name));
        }
    }
    if wrong.is_empty() { Ok(checked) } else { Err((FaultKind::ArtifactSet, wrong.join("; "))) }
}

fn check_json(text: String, what: &str) -> Result<Json, Wrong> {
    match parse_json(&text) {
        Ok(()) => Ok(Json::from_parsed(text)),
        Err(reason) => Err((FaultKind::OutputNotJson, format!("{what} is not JSON: {reason}"))),
    }
}

/// Whether a text is JSON that this program can read again.
pub(crate) fn parse_json(text: &str) -> Result<(), String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| error.to_string())?;
    if json_depth(text) > JSON_DEPTH_MAX {
        return Err(format!("it is nested deeper than {JSON_DEPTH_MAX} levels"));
    }
    Ok(())
}

/// How deep well-formed JSON is nested. The parser above reads without a stack, and has no bound on depth itself.
fn json_depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn check_variables(variables: Vec<wit::Variable>) -> Result<Vec<Variable>, Wrong> {
    if variables.len() > VARIABLE_COUNT_MAX {
        let what =
            format!("it set {} variables, not at most {VARIABLE_COUNT_MAX}", variables.len());
        return Err((FaultKind::OutputNotJson, what));
    }
    let mut names = HashSet::new();
    let mut checked = Vec::with_capacity(variables.len());
    for variable in variables {
        let name: VariableName = variable.name.parse().map_err(|reason| {
            let shown = clean_line(&variable.name, 64);
            (FaultKind::OutputNotJson, format!("`{shown}` is no name for a variable: {reason}"))
        })?;
        if !names.insert(name.clone()) {
            return Err((FaultKind::OutputNotJson, format!("it set the variable `{name}` twice")));
        }
        let value = check_json(variable.value, &format!("the variable `{name}`"))?;
        checked.push(Variable { name, value });
    }
    Ok(checked)
}

/// The fault that a stage declares itself.
pub(crate) fn stage_failure(error: wit::StageError, told: &[ModelError]) -> Wrong {
    let (kind, failure): (fn(String) -> FaultKind, wit::Failure) = match error {
        wit::StageError::BadInput(failure) => (|code| FaultKind::BadInput { code }, failure),
        wit::StageError::InvalidOutput(failure) => {
            (|code| FaultKind::InvalidOutput { code }, failure)
        }
        wit::StageError::Transient(failure) => (|code| FaultKind::Transient { code }, failure),
        wit::StageError::NeedsHuman(failure) => (|code| FaultKind::NeedsHuman { code }, failure),
        wit::StageError::Llm(error) => {
            let error = model_error_from_guest(&error, told);
            let message = clean_text(&error.message, MESSAGE_BYTES_MAX);
            let message = if message.is_empty() { error.kind.code().to_owned() } else { message };
            return (FaultKind::Model(error.kind), message);
        }
    };
    let code = clean_code(&failure.code);
    let message = clean_text(failure.message.trim(), MESSAGE_BYTES_MAX);
    let message = if message.is_empty() { format!("`{code}`") } else { message };
    (kind(code), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_cannot_be_read_again_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_json(&nested(JSON_DEPTH_MAX)).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&nested(JSON_DEPTH_MAX)).is_ok());
        assert!(parse_json(&nested(JSON_DEPTH_MAX + 1)).is_err());
        assert!(parse_json(&nested(1_000_000)).is_err());
        assert!(parse_json(&format!("\"{}\"", "[".repeat(1000))).is_ok());
        assert!(parse_json(r#""\"[""#).is_ok());
        assert!(parse_json("{} {}").is_err());
    }

    fn output(names: &[&str]) -> wit::StageOutput {
        let artifacts = names
            .iter()
            .map(|name| wit::Artifact {
                name: (*name).to_owned(),
                media_type: "text/html".to_owned(),
                body: "body".to_owned(),
            })
            .collect();
        wit::StageOutput {
            artifacts,
            data: "null".to_owned(),
            summary: "line\nother".to_owned(),
            variables: Vec::new(),
        }
    }

    fn checked(names: &[&str]) -> Result<StageOutput, Wrong> {
        let makes = ["a.md", "b.md"].map(|name| ArtifactSpec {
            name: name.to_owned(),
            media_type: "text/markdown".to_owned(),
            summary: String::new(),
        });
        check_output(output(names), &makes, &Limits::DEFAULT)
    }

    #[test]
    fn the_announced_media_type_counts() {
        let output = checked(&["a.md", "b.md"]).unwrap();
        assert_eq!(output.artifacts[0].media_type, "text/markdown");
        assert_eq!(output.summary, "line other");
    }

    #[test]
    fn every_difference_to_what_is_announced_is_named() {
        let (kind, message) = checked(&["a.md", "a.md", "c.md"]).unwrap_err();
        assert_eq!(kind, FaultKind::ArtifactSet);
        assert_eq!(
            message,
            "it made `a.md` twice; it made `c.md`, which it does not announce; it announces `b.md` and did not make it"
        );
    }

    #[test]
    fn a_failure_without_words_says_its_code() {
        let failure = wit::Failure { code: "No Brand".to_owned(), message: " ".to_owned() };
        assert_eq!(
            stage_failure(wit::StageError::NeedsHuman(failure), &[]),
            (FaultKind::NeedsHuman { code: "no_brand".to_owned() }, "`no_brand`".to_owned())
        );
    }
}
