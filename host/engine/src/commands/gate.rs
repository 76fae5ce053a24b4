//! Deciding gates: what a reviewer says, and the texts that they put in place of a stage's.
use std::collections::HashSet;
use std::sync::Arc;

use domain::plan::PlannedStage;
use domain::run::{
    Command, DEADLINE_ACTOR, Decision, Edit, Event, GateSubject, OpenGate, Recorded, Refusal, Run,
    Status, Verdict,
};
use domain::{ApprovalId, ArtifactRef, Digest, RunId, StageIdx, is_json_media_type};
use profile::{Problem, Problems};
use serde_json::Value;
use store::{ApprovalRow, ApprovalStatus, Beside};

use super::{actor_problem, problem, words_problem};
use crate::ask::EDIT_COUNT_MAX;
use crate::attempt::content_hash;
use crate::lifecycle::Inner;
use crate::{ArtifactEdit, Engine, Error, GateDecision};

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The run whose gate it was.
    pub run_id: RunId,
    /// Where the run is.
    pub status: Status,
    /// Whether the gate still waits, for more grants.
    pub is_open: bool,
    /// Grants so far, by people.
    pub grants: usize,
    /// Grants that it takes.
    pub grants_wanted: usize,
    /// What the gate is about, edits included.
    pub content_hash: Digest,
}

impl Engine {
    /// Decides a gate. The first decision holds; the same again is no error. A grant lets the run go on by itself, as soon
    /// as there are as many as the gate takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem of the decision, [`Error::UnknownApproval`], or [`Error::Refused`] if it was
    /// decided otherwise, its run has ended, the content is not what was looked at, or the gate's policy does not let this
    /// actor decide so.
    pub async fn decide_gate(&self, decision: GateDecision) -> Result<Decided, Error> {
        Problems::check(decision.problems()).map_err(Error::Invalid)?;
        let row = self.store().approval(&decision.approval).await?;
        let row = row.ok_or_else(|| Error::UnknownApproval(decision.approval.clone()))?;
        let inner = Arc::clone(&self.0);
        self.apart(async move { inner.decide_gate(row, decision).await }).await
    }

    /// The groups that somebody is in at this moment.
    fn groups_of(&self, actor: &str) -> Vec<String> {
        let groups = self.settings().groups.iter();
        let has = |members: &&Vec<String>| members.iter().any(|member| member == actor);
        groups.filter(|(_, members)| has(members)).map(|(name, _)| name.clone()).collect()
    }
}

impl Inner {
    async fn decide_gate(
        self: &Arc<Self>,
        row: ApprovalRow,
        asked: GateDecision,
    ) -> Result<Decided, Error> {
        let GateDecision { approval, verdict, actor, comment, content_hash, edits } = asked;
        let cell = self.registry.cell(&row.run);
        // Held from the look at the artifacts to the append: an edit is made of what it replaces.
        let mut locked = cell.lock(&self.parts.store).await;
        let run = locked.run().await?;
        let before = open_gate(run, &approval).cloned();
        let mut beside = Vec::new();
        let edit = edited(run, (&row, before.is_some()), edits, &mut beside)?;
        let groups = Engine(Arc::clone(self)).groups_of(&actor);
        let decision = Decision { actor, comment };
        let command = Command::DecideGate {
            approval: approval.clone(),
            verdict,
            decision,
            groups,
            content_hash,
            edit,
        };
        let recorded = self.commit_locked(&cell, &mut locked, command, beside).await?;
        let run = locked.run().await?;
        let (status, is_open) = (run.status(), open_gate(run, &approval).is_some());
        drop(locked);
        let (grants, content_hash) = match before {
            Some(gate) => gate_after(&gate, &recorded),
            None => {
                // Read again: it may have been decided between the first look and the lock.
                let decided = self.parts.store.approval(&approval).await?;
                let decided = decided.ok_or_else(|| Error::UnknownApproval(approval.clone()))?;
                (self.grants_of(&decided).await?, decided.content_hash)
            }
        };
        let grants_wanted = usize::from(row.grant_count);
        Ok(Decided { run_id: row.run, status, is_open, grants, grants_wanted, content_hash })
    }

    /// Grants of a gate that is decided.
    async fn grants_of(&self, row: &ApprovalRow) -> Result<usize, Error> {
        let earlier = self.parts.store.grants(&row.id).await?.len();
        let is_by_person = row.actor.as_deref() != Some(DEADLINE_ACTOR);
        let has_last = row.status == ApprovalStatus::Granted && is_by_person;
        Ok(earlier + usize::from(has_last))
    }
}

fn open_gate<'a>(run: &'a Run, approval: &ApprovalId) -> Option<&'a OpenGate> {
    run.open_gate().filter(|gate| gate.approval == *approval)
}

/// Grants and content of a gate after these events.
fn gate_after(before: &OpenGate, recorded: &[Recorded]) -> (usize, Digest) {
    let mut grants = before.grants.len();
    let mut hash = before.content_hash.clone();
    for recorded in recorded {
        if let Event::ArtifactsEdited { content_hash, .. } = &recorded.event {
            grants = 0;
            hash = content_hash.clone();
        } else if matches!(recorded.event, Event::GateGrantAdded { .. } | Event::GateGranted { .. })
        {
            grants += 1;
        }
    }
    (grants, hash)
}

/// The artifacts as the reviewer wants them; `None` where nothing is said of them. Their texts go beside.
fn edited(
    run: &Run,
    (row, is_open): (&ApprovalRow, bool),
    edits: Vec<ArtifactEdit>,
    beside: &mut Vec<Beside>,
) -> Result<Option<Edit>, Error> {
    if edits.is_empty() {
        return Ok(None);
    }
    match &row.subject {
        GateSubject::Result => {}
        GateSubject::Budget { .. } => {
            return Err(Error::Refused { run: row.run.clone(), refusal: Refusal::NoContent });
        }
    }
    let (stage, planned) = gated_stage(run, row);
    let result = run.progress()[stage.as_usize()].result.as_ref();
    let mut artifacts = result.map(|result| result.artifacts.clone()).unwrap_or_default();
    if is_open {
        Problems::check(misfits(&edits, &artifacts, planned)).map_err(Error::Invalid)?;
    }
    let mut changed = Vec::new();
    for ArtifactEdit { name, body } in edits {
        let Some(artifact) = artifacts.iter_mut().find(|known| known.name.as_str() == name) else {
            // The gate is decided and the stage was done anew: whatever this edit makes, it is not what holds.
            continue;
        };
        let digest = store::digest_of(body.as_bytes());
        if artifact.digest != digest {
            artifact.size_bytes = body.len() as u64;
            artifact.digest = digest.clone();
            changed.push(artifact.clone());
            beside.push(Beside::Body { digest, text: body });
        }
    }
    Ok(Some(Edit { artifacts: changed, content_hash: content_hash(&artifacts) }))
}

fn gated_stage<'a>(run: &'a Run, row: &ApprovalRow) -> (StageIdx, &'a PlannedStage) {
    let plan = run.plan();
    let found = plan.position(&row.stage).and_then(|idx| Some((idx, plan.stage(idx)?)));
    found.expect("a gate is after a stage of its run's plan")
}

/// Edits that do not fit what is there.
fn misfits(edits: &[ArtifactEdit], made: &[ArtifactRef], planned: &PlannedStage) -> Vec<Problem> {
    let mut problems = Vec::new();
    let bytes_max = planned.limits.artifact_bytes_max;
    for (idx, ArtifactEdit { name, body }) in edits.iter().enumerate() {
        let replaced = made.iter().find(|artifact| artifact.name.as_str() == name);
        if replaced.is_none() {
            let known: Vec<&str> = made.iter().map(|artifact| artifact.name.as_str()).collect();
            let message = format!(
                "stage `{}` has made no artifact `{name}`: it has {}",
                planned.key,
                known.join(", ")
            );
            problems.push(problem(&format!("/edits/{idx}/name"), message));
        }
        if body.len() as u64 > bytes_max {
            let message = format!(
                "the text has {} bytes; an artifact of this stage may have {bytes_max}",
                body.len()
            );
            problems.push(problem(&format!("/edits/{idx}/body"), message));
        }
        if let Some(media_type) = replaced.map(|artifact| &artifact.media_type)
            && let Some(why) = text_misfit(media_type, body)
        {
            let message = format!("the new text of `{name}` is {why}");
            let hint = format!(
                "correct it there: `{name}` is `{media_type}`, and later stages read it as that"
            );
            problems.push(problem(&format!("/edits/{idx}/body"), message).with_hint(hint));
        }
    }
    problems
}

/// Why a text cannot stand where an artifact with this media type stood, e.g. `not JSON: expected value at line 2 column
/// 1`; nothing of media types that say nothing about their texts.
pub fn text_misfit(media_type: &str, text: &str) -> Option<String> {
    if !is_json_media_type(media_type) {
        return None;
    }
    serde_json::from_str::<Value>(text).err().map(|error| format!("not JSON: {error}"))
}

impl GateDecision {
    /// What is wrong with it, whatever gate it is about; for whoever has found something else that is wrong.
    pub fn problems(&self) -> Vec<Problem> {
        let GateDecision { verdict, actor, comment, edits, .. } = self;
        let mut problems: Vec<Problem> = actor_problem(actor).into_iter().collect();
        problems.extend(words_problem("/comment", comment.as_deref()));
        let is_blank = comment.as_ref().is_none_or(|comment| comment.trim().is_empty());
        if *verdict == Verdict::Revised && is_blank {
            let message = "a revision needs a comment: the stage is done again with these words";
            problems.push(problem("/comment", message.to_owned()));
        }
        if *verdict != Verdict::Granted && !edits.is_empty() {
            let message = "only a grant can have edits: they flow on in place of what was made";
            problems.push(problem("/edits", message.to_owned()));
        }
        problems.extend(edit_problems(edits));
        problems
    }
}

/// What is wrong with edits, whatever they are of.
fn edit_problems(edits: &[ArtifactEdit]) -> Vec<Problem> {
    if edits.len() > EDIT_COUNT_MAX {
        let found = edits.len();
        let message = format!("there are {found} edits; {EDIT_COUNT_MAX} are allowed");
        return vec![problem("/edits", message)];
    }
    let mut problems = Vec::new();
    let mut names = HashSet::new();
    for (idx, ArtifactEdit { name, body }) in edits.iter().enumerate() {
        if !names.insert(name) {
            let message = format!("`{name}` is edited twice: give its whole new text once");
            problems.push(problem(&format!("/edits/{idx}/name"), message));
        }
        if body.is_empty() {
            let message = format!("the new text of `{name}` is empty: an artifact has a text");
            problems.push(problem(&format!("/edits/{idx}/body"), message));
        }
    }
    problems
}
