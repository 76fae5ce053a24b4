//! What the three decisions have in common.
use domain::run::Verdict;
use domain::{ApprovalId, Digest};
use engine::{ArtifactEdit, Engine, GateDecision};

use crate::Problem;
use crate::acting::Acting;
use crate::dto::{ArtifactEditDto, DecidedDto, DecisionRequest, ProblemItemDto, RunStatusDto};

pub(super) async fn decide(
    engine: &Engine,
    approval: ApprovalId,
    verdict: Verdict,
    acting: Acting,
    asked: DecisionRequest,
) -> Result<DecidedDto, Problem> {
    let decision = parse(approval.clone(), verdict, acting, asked)?;
    let decided = engine.decide_gate(decision).await?;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(DecidedDto {
        approval_id: approval.to_string(),
        verdict: verdict.as_str().to_owned(),
        run_id: decided.run_id.to_string(),
        status: RunStatusDto::from(decided.status),
        grants: count(decided.grants),
        grants_needed: count(decided.grants_wanted),
        open: decided.is_open,
        content_hash: decided.content_hash.to_string(),
    })
}

/// The decision, or everything that is wrong with it, as far as that can be told without a look at its gate.
fn parse(
    approval: ApprovalId,
    verdict: Verdict,
    acting: Acting,
    asked: DecisionRequest,
) -> Result<GateDecision, Problem> {
    let mut items = Vec::new();
    // Nobody is refused below, like everybody whose name is no name.
    let actor = acting.read(asked.actor, &mut items).unwrap_or_default();
    let content_hash = asked.content_hash.and_then(|text| content_hash(&text, &mut items));
    let edit = |ArtifactEditDto { name, body }| ArtifactEdit { name, body };
    let edits = asked.edits.into_iter().map(edit).collect();
    let comment = asked.comment;
    let decision = GateDecision { approval, verdict, actor, comment, content_hash, edits };
    if items.is_empty() {
        return Ok(decision);
    }
    items.extend(decision.problems().iter().map(ProblemItemDto::from));
    Err(Problem::invalid(items))
}

fn content_hash(text: &str, items: &mut Vec<ProblemItemDto>) -> Option<Digest> {
    let unreadable = |reason| {
        let message = format!("`{text}` is no content hash: {reason}");
        items.push(ProblemItemDto::at_pointer("/content_hash", message));
    };
    text.parse().map_err(unreadable).ok()
}
