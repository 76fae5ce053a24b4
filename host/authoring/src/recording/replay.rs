//! Does a recorded attempt again, and finds where it first differs.
mod answers;

use std::sync::Arc;

use domain::port::{Attempt, HttpPort, KnownPlugin, Ports, StageJob, StageRunner};
use domain::stage::{StageOutput, Variable};
use domain::{Artifact, Fault, FaultKind, Json};

use super::{FaultForm, Recording};
use crate::Failure;
use crate::context::written_yaml;
use crate::difference::unified;
use crate::exchange::CallBound;
use answers::Answers;

/// What came of a replay.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The attempt, as it went this time.
    pub attempt: Attempt,
    /// Where it first differs; `None`: it is equal.
    pub divergence: Option<Divergence>,
    /// Whether another component was run than the recorded one.
    pub is_other_component: bool,
}

impl Replayed {
    /// How the stage failed in the replay, if it did by itself: one that was stopped because it asked something else did
    /// not.
    pub fn failure(&self) -> Option<Failure> {
        let failed = self.attempt.outcome.as_ref().err()?;
        (failed.kind != FaultKind::ReplayDiverged).then(|| Failure::of(&self.attempt)).flatten()
    }
}

/// Where a replay first differs from its recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// What differs.
    pub part: Part,
    /// How, in one sentence.
    pub message: String,
    /// Both as a unified diff; may be empty.
    pub diff: String,
}

/// A part of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The question with this number, from 1.
    Question(usize),
    /// The HTTP request with this number, from 1.
    Request(usize),
    /// Whether it failed, and how.
    Outcome,
    /// The artifact with this name.
    Artifact(String),
    /// The result for programs.
    Data,
    /// The line for people.
    Summary,
    /// The variables that it sets.
    Variables,
}

impl std::fmt::Display for Part {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Part::Question(ordinal) => write!(out, "question {ordinal}"),
            Part::Request(ordinal) => write!(out, "HTTP request {ordinal}"),
            Part::Outcome => out.write_str("the outcome"),
            Part::Artifact(name) => write!(out, "artifact `{name}`"),
            Part::Data => out.write_str("the data"),
            Part::Summary => out.write_str("the summary"),
            Part::Variables => out.write_str("the variables"),
        }
    }
}

/// Runs the recorded attempt with this plugin, and compares it. Nothing is asked: every answer is the recorded one.
pub async fn replay(
    runner: &dyn StageRunner,
    recording: &Recording,
    plugin: &KnownPlugin,
) -> Replayed {
    let answers = Arc::new(Answers::of(recording));
    let bound = CallBound::new(answers.clone(), recording.limits.model_call_count_max);
    let job = StageJob {
        plugin: plugin.pin(),
        context: recording.context.clone(),
        limits: recording.limits.clone(),
        makes: recording.makes.clone().unwrap_or_else(|| plugin.info.makes.clone()),
    };
    // Without a grant the stage had no network, and has none here.
    let http = (!recording.requests.is_empty()).then(|| answers.clone() as Arc<dyn HttpPort>);
    let attempt = runner.run(job, Ports { models: Arc::new(bound), http }).await;
    let divergence = answers.divergence().or_else(|| differing(&recording.outcome, &attempt));
    let is_other_component =
        recording.plugin.digest.as_ref().is_some_and(|digest| *digest != plugin.digest);
    Replayed { attempt, divergence, is_other_component }
}

/// Where the end of an attempt first differs from the recorded one.
fn differing(recorded: &Result<StageOutput, Fault>, attempt: &Attempt) -> Option<Divergence> {
    match (recorded, &attempt.outcome) {
        (Ok(before), Ok(after)) => output_differing(before, after),
        (Err(before), Err(after)) => {
            let [one, other] = [before, after].map(FaultForm::comparable);
            (one != other).then(|| Divergence {
                part: Part::Outcome,
                message: "it fails in another way than when it was recorded".to_owned(),
                diff: fault_diff(Some(before), Some(after)),
            })
        }
        (Ok(_), Err(fault)) => Some(Divergence {
            part: Part::Outcome,
            message: "it succeeded when it was recorded, and fails in the replay".to_owned(),
            diff: fault_diff(None, Some(fault)),
        }),
        (Err(fault), Ok(_)) => Some(Divergence {
            part: Part::Outcome,
            message: "it failed when it was recorded, and succeeds in the replay".to_owned(),
            diff: fault_diff(Some(fault), None),
        }),
    }
}

fn fault_diff(recorded: Option<&Fault>, replayed: Option<&Fault>) -> String {
    let shown = |fault: Option<&Fault>| {
        fault.map(|fault| written_yaml(&FaultForm::from(fault))).unwrap_or_default()
    };
    unified(("recorded", &shown(recorded)), ("replayed", &shown(replayed)))
}

fn output_differing(before: &StageOutput, after: &StageOutput) -> Option<Divergence> {
    let artifacts = artifacts_differing(&before.artifacts, &after.artifacts);
    artifacts
        .or_else(|| json_differing(Part::Data, &before.data, &after.data))
        .or_else(|| {
            let lines = [&before.summary, &after.summary].map(|line| format!("{line}\n"));
            text_differing(Part::Summary, &lines[0], &lines[1])
        })
        .or_else(|| {
            let [one, other] = [before, after].map(|output| variable_lines(&output.variables));
            text_differing(Part::Variables, &one, &other)
        })
}

fn artifacts_differing(before: &[Artifact], after: &[Artifact]) -> Option<Divergence> {
    for recorded in before {
        let name = recorded.name.to_string();
        let Some(replayed) = after.iter().find(|artifact| artifact.name == recorded.name) else {
            let message = "it was made when it was recorded, and is not in the replay".to_owned();
            let diff = unified(("recorded", &recorded.body), ("replayed", ""));
            return Some(Divergence { part: Part::Artifact(name), message, diff });
        };
        if recorded.media_type != replayed.media_type {
            let message = format!(
                "its media type was `{}`, and is `{}` in the replay",
                recorded.media_type, replayed.media_type
            );
            let part = Part::Artifact(name);
            return Some(Divergence { part, message, diff: String::new() });
        }
        let found = text_differing(Part::Artifact(name), &recorded.body, &replayed.body);
        if found.is_some() {
            return found;
        }
    }
    let is_further =
        |artifact: &&Artifact| !before.iter().any(|recorded| recorded.name == artifact.name);
    let further = after.iter().find(is_further)?;
    Some(Divergence {
        part: Part::Artifact(further.name.to_string()),
        message: "it is made in the replay, and was not when it was recorded".to_owned(),
        diff: unified(("recorded", ""), ("replayed", &further.body)),
    })
}

fn json_differing(part: Part, before: &Json, after: &Json) -> Option<Divergence> {
    // Blanks around JSON are no part of it, and are not recorded.
    let [one, other] = [before, after].map(|json| json.as_str().trim());
    if one == other {
        return None;
    }
    let [before, after] = [one, other].map(pretty);
    let mut diff = unified(("recorded", &before), ("replayed", &after));
    if diff.is_empty() {
        // The same values in other bytes.
        diff = unified(("recorded", &format!("{one}\n")), ("replayed", &format!("{other}\n")));
    }
    let message = "it differs".to_owned();
    Some(Divergence { part, message, diff })
}

fn pretty(json: &str) -> String {
    let pretty = serde_json::from_str::<serde_json::Value>(json)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    format!("{}\n", pretty.as_deref().unwrap_or(json))
}

fn variable_lines(variables: &[Variable]) -> String {
    variables
        .iter()
        .map(|variable| format!("{}: {}\n", variable.name.as_str(), variable.value.as_str().trim()))
        .collect()
}

fn text_differing(part: Part, before: &str, after: &str) -> Option<Divergence> {
    (before != after).then(|| Divergence {
        part,
        message: "it differs".to_owned(),
        diff: unified(("recorded", before), ("replayed", after)),
    })
}
