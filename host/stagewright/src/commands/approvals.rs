//! `approvals`: see and decide what waits for a person.
use control_api::dto::{ApprovalDto, DecidedDto, DecisionRequest, GateSubjectDto};

use super::run::gates;
use super::runs::{page_query, say_more};
use crate::args::{ApprovalsList, Decision};
use crate::budget;
use crate::client::Verdict;
use crate::error::{Error, Exit};
use crate::follow::follow_on;
use crate::output::clean;
use crate::render;
use crate::session::Session;

/// The status that lets every approval through.
const ALL: &str = "all";

pub(super) async fn list(session: &Session<'_>, asked: ApprovalsList) -> Result<Exit, Error> {
    let mut query = page_query(&asked.page);
    if asked.status != ALL {
        query.push(("status", asked.status));
    }
    query.extend(asked.run.map(|run| ("run_id", run)));
    let approvals = session.client.approvals(&query).await?;
    if session.output.is_json() {
        session.output.document(&approvals);
        return Ok(Exit::Done);
    }
    if approvals.items.is_empty() {
        session.output.note("nothing waits for a person");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = approvals.items.iter().map(row).collect();
    let head = ["APPROVAL", "STATUS", "ABOUT", "RUN", "STAGE", "ASKED", "REQUEST"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    say_more(session, approvals.next_cursor.as_deref());
    Ok(Exit::Done)
}

fn row(approval: &ApprovalDto) -> Vec<String> {
    vec![
        approval.approval_id.clone(),
        status_of(approval),
        budget::subject(&approval.subject).to_owned(),
        approval.run_id.clone(),
        approval.stage.clone(),
        render::time(&approval.opened_at),
        approval.request_excerpt.clone(),
    ]
}

fn status_of(approval: &ApprovalDto) -> String {
    use control_api::dto::ApprovalStatusDto::{Closed, Granted, Pending, Rejected, Revised};
    match approval.status {
        Pending => "pending",
        Granted => "granted",
        Rejected => "rejected",
        Revised => "revised",
        Closed => "closed",
    }
    .to_owned()
}

pub(super) async fn show(session: &Session<'_>, approval_id: &str) -> Result<Exit, Error> {
    let detail = session.client.approval(approval_id).await?;
    if session.output.is_json() {
        session.output.document(&detail);
        return Ok(Exit::Done);
    }
    let approval = &detail.approval;
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let (budget, grant, reject) = match &approval.subject {
        GateSubjectDto::Result => Default::default(),
        GateSubjectDto::Budget { bound, grant_allows, .. } => (
            format!("{}: {}", budget::name(bound), budget::used(bound)),
            budget::grant(bound, *grant_allows),
            budget::REJECT.to_owned(),
        ),
    };
    let facts = [
        ("approval", approval.approval_id.clone()),
        ("status", status_of(approval)),
        ("question", render::unbroken(&approval.question)),
        ("budget", budget),
        ("a grant", grant),
        ("a reject", reject),
        ("run", approval.run_id.clone()),
        ("stage", approval.stage.clone()),
        ("request", render::one_line(&detail.request_text)),
        ("result", detail.summary.as_deref().map(render::unbroken).unwrap_or_default()),
        ("content", approval.content_hash.clone()),
        ("asked", render::time(&approval.opened_at)),
        ("decided", approval.decided_at.as_deref().map(render::time).unwrap_or_default()),
        ("by", or_empty(&approval.actor)),
        ("comment", or_empty(&approval.comment)),
    ];
    let paint = session.output.paint();
    session.output.line(&render::pairs(&facts, paint));
    for artifact in &detail.artifacts {
        let (_, text) = session
            .client
            .artifact(&approval.run_id, &artifact.stage, &artifact.name, Some(artifact.version))
            .await?;
        let title = format!("── {} ──", render::one_line(&artifact.name));
        session.output.line(&format!("\n{}\n\n{}", paint.strong(&title), clean(text.trim_end())));
    }
    Ok(Exit::Done)
}

pub(super) async fn grant(session: &Session<'_>, decision: Decision) -> Result<Exit, Error> {
    let is_detached = decision.detach;
    let decided = decide(session, Verdict::Grant, decision).await?;
    // The grant lets the run go on. Where no server carries it on, this process does.
    if decided.status.is_final() || is_detached || !session.is_local() {
        return Ok(say(session, &decided));
    }
    follow_on(session, &decided.run_id, gates(session, false)).await
}

pub(super) async fn reject(session: &Session<'_>, decision: Decision) -> Result<Exit, Error> {
    let decided = decide(session, Verdict::Reject, decision).await?;
    Ok(say(session, &decided))
}

async fn decide(
    session: &Session<'_>,
    verdict: Verdict,
    decision: Decision,
) -> Result<DecidedDto, Error> {
    let body = DecisionRequest {
        actor: decision.actor.unwrap_or_else(|| session.config.actor.clone()),
        comment: decision.comment,
        content_hash: decision.content_hash,
        edits: None,
    };
    session.client.decide(&decision.approval, verdict, &body).await
}

fn say(session: &Session<'_>, decided: &DecidedDto) -> Exit {
    if session.output.is_json() {
        session.output.document(decided);
    } else {
        let status = render::run_status(decided.status, session.output.paint());
        session.output.line(&format!(
            "{}  {}  {}  {status}",
            decided.approval_id,
            clean(&decided.verdict),
            decided.run_id
        ));
    }
    Exit::Done
}
