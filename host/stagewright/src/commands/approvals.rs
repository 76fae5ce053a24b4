//! `approvals`: see and decide what waits for a person.
use control_api::dto::{
    ApprovalDetailDto, ApprovalDto, ArtifactDto, ArtifactEditDto, DecidedDto, DecisionRequest,
    GateSubjectDto, RunDto,
};

use super::run::gates;
use super::runs::{page_query, say_more};
use crate::args::{
    Approvals, ApprovalsList, Decision, Edit, Grant, Revise, Terms, TextSource, edits,
};
use crate::budget;
use crate::client::Verdict;
use crate::editor;
use crate::error::{Error, Exit};
use crate::follow::follow_on;
use crate::output::clean;
use crate::policy;
use crate::render;
use crate::session::Session;

/// The status that lets every approval through.
const ALL: &str = "all";

pub(super) async fn perform(session: &Session<'_>, command: Approvals) -> Result<Exit, Error> {
    match command {
        Approvals::List(asked) => list(session, asked).await,
        Approvals::Show { approval } => show(session, &approval).await,
        Approvals::Grant(Grant { decision, edits: changed }) => {
            let edit = |(name, body)| ArtifactEditDto { name, body };
            let changed = edits(&changed)?.into_iter().map(edit).collect();
            let asked = Asked { edits: changed, ..Asked::by(Verdict::Grant, decision)? };
            perform_decision(session, asked).await
        }
        Approvals::Reject(decision) => {
            perform_decision(session, Asked::by(Verdict::Reject, decision)?).await
        }
        Approvals::Revise(Revise { approval, comment, terms }) => {
            let decision = Decision { approval, comment: Some(comment), terms };
            perform_decision(session, Asked::by(Verdict::Revise, decision)?).await
        }
        Approvals::Edit(asked) => edit(session, asked).await,
    }
}

async fn list(session: &Session<'_>, asked: ApprovalsList) -> Result<Exit, Error> {
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
    let head =
        ["APPROVAL", "STATUS", "ABOUT", "GRANTS", "DEADLINE", "RUN", "STAGE", "ASKED", "REQUEST"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    say_more(session, approvals.next_cursor.as_deref());
    Ok(Exit::Done)
}

fn row(approval: &ApprovalDto) -> Vec<String> {
    vec![
        approval.approval_id.clone(),
        status_of(approval),
        budget::subject(&approval.subject).to_owned(),
        policy::grants_count(approval),
        approval.deadline_at.as_deref().map(render::time).unwrap_or_default(),
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

async fn show(session: &Session<'_>, approval_id: &str) -> Result<Exit, Error> {
    let detail = session.client.approval(approval_id).await?;
    if session.output.is_json() {
        session.output.document(&detail);
        return Ok(Exit::Done);
    }
    let paint = session.output.paint();
    let facts: Vec<(&str, String)> = facts(&detail).into_iter().chain(terms(&detail)).collect();
    session.output.line(&render::pairs(&facts, paint));
    for artifact in &detail.artifacts {
        let (_, text) = session
            .client
            .artifact(
                &detail.approval.run_id,
                &artifact.stage,
                &artifact.name,
                Some(artifact.version),
            )
            .await?;
        let title = format!("── {} ──", render::one_line(&artifact.name));
        session.output.line(&format!("\n{}\n\n{}", paint.strong(&title), clean(text.trim_end())));
    }
    say_comparisons(session, &detail);
    Ok(Exit::Done)
}

/// What is asked, and how it was decided.
fn facts(detail: &ApprovalDetailDto) -> Vec<(&'static str, String)> {
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
    vec![
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
    ]
}

/// Who decides until when, what led to these artifacts, and what a grant leads to.
fn terms(detail: &ApprovalDetailDto) -> Vec<(&'static str, String)> {
    let approval = &detail.approval;
    let edited = detail.artifacts.iter().filter_map(|artifact| {
        let by = artifact.edited_by.as_deref()?;
        Some(format!("{} by {by}", artifact.name))
    });
    vec![
        ("made for", detail.feedback.as_deref().map(render::unbroken).unwrap_or_default()),
        ("edited", edited.collect::<Vec<_>>().join(", ")),
        ("grants", policy::grants(approval)),
        ("reviewers", policy::reviewers(approval)),
        ("deadline", policy::deadline(approval)),
        ("reminders", policy::reminders(approval)),
        ("next", detail.next.as_ref().map(policy::next).unwrap_or_default()),
    ]
}

/// Tells how earlier versions are compared with what is to be looked at, and how the next prompt is read.
fn say_comparisons(session: &Session<'_>, detail: &ApprovalDetailDto) {
    let run_id = &detail.approval.run_id;
    let paint = session.output.paint_notes();
    let hint = |text: &str| session.output.note(&format!("{} {text}", paint.good("hint:")));
    for previous in &detail.previous {
        let ArtifactDto { stage, name, version, .. } = &previous.artifact;
        let newer = previous.newer_version;
        let command = format!("runs diff {run_id} {stage} {name} --from {version} --to {newer}");
        let command = session.command_line(&command);
        hint(&format!("see what changed since version {version} with `{command}`"));
    }
    if let Some(next) = &detail.next {
        let command = session.command_line(&format!("runs prompt {run_id} {}", next.stage));
        hint(&format!("read what the next stage would ask with `{command}`"));
    }
}

/// A decision as it was asked for.
struct Asked {
    approval: String,
    verdict: Verdict,
    comment: Option<String>,
    content_hash: Option<String>,
    edits: Vec<ArtifactEditDto>,
    is_detached: bool,
}

impl Asked {
    fn by(verdict: Verdict, decision: Decision) -> Result<Asked, Error> {
        let Decision { approval, comment, terms: Terms { content_hash, detach } } = decision;
        let comment = comment_of(comment.as_ref())?;
        let is_detached = detach;
        Ok(Asked { approval, verdict, comment, content_hash, edits: Vec::new(), is_detached })
    }
}

/// A comment as it is kept: a file's last line end is not part of it.
fn comment_of(source: Option<&TextSource>) -> Result<Option<String>, Error> {
    let text = source.map(TextSource::read).transpose()?;
    Ok(text.map(|text| text.trim_end().to_owned()))
}

async fn perform_decision(session: &Session<'_>, asked: Asked) -> Result<Exit, Error> {
    let body = DecisionRequest {
        actor: Some(session.config.actor.clone()),
        comment: asked.comment,
        content_hash: asked.content_hash,
        edits: asked.edits,
    };
    // A grant or a wish lets the run go on. Where no server carries it on, this process does.
    let is_followed = session.is_local() && !asked.is_detached;
    let before = if is_followed { Some(run_of(session, &asked.approval).await?) } else { None };
    let decided = session.client.decide(&asked.approval, asked.verdict, &body).await?;
    match before {
        Some(before) if !decided.open && !decided.status.is_final() => {
            follow_on(session, &before, gates(session, false)).await
        }
        Some(_) | None => Ok(say(session, &decided)),
    }
}

async fn run_of(session: &Session<'_>, approval_id: &str) -> Result<RunDto, Error> {
    let detail = session.client.approval(approval_id).await?;
    session.client.run(&detail.approval.run_id).await
}

async fn edit(session: &Session<'_>, asked: Edit) -> Result<Exit, Error> {
    let Edit { approval, name, comment, detach } = asked;
    if !session.output.can_ask() {
        return Err(Error::Usage {
            message: "there is no terminal to edit on".to_owned(),
            hint: Some(format!(
                "write the text into a file, then `{}`",
                session.command_line(&format!("approvals grant {approval} --edit {name}=@FILE"))
            )),
        });
    }
    let comment = comment_of(comment.as_ref())?;
    let detail = session.client.approval(&approval).await?;
    let found = detail.artifacts.iter().find(|artifact| artifact.name == name);
    let Some(artifact) = found else { return Err(unknown_artifact(&detail, &name)) };
    let Some(body) = editor::changed(session, &detail.approval.run_id, artifact).await? else {
        session.output.note("nothing was decided");
        return Ok(Exit::Waits);
    };
    let asked = Asked {
        approval,
        verdict: Verdict::Grant,
        comment,
        content_hash: Some(detail.approval.content_hash.clone()),
        edits: vec![ArtifactEditDto { name, body }],
        is_detached: detach,
    };
    perform_decision(session, asked).await
}

fn unknown_artifact(detail: &ApprovalDetailDto, name: &str) -> Error {
    let names: Vec<&str> = detail.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    let hint = match names.as_slice() {
        [] => "this question is about a budget: grant or reject it".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    };
    Error::Usage {
        message: format!("the question is about no artifact `{name}`"),
        hint: Some(hint),
    }
}

fn say(session: &Session<'_>, decided: &DecidedDto) -> Exit {
    if session.output.is_json() {
        session.output.document(decided);
        return Exit::Done;
    }
    let status = render::run_status(decided.status, session.output.paint());
    let grants = match decided.open {
        true => format!(" ({} of {})", decided.grants, decided.grants_needed),
        false => String::new(),
    };
    session.output.line(&format!(
        "{}  {}{grants}  {}  {status}",
        decided.approval_id,
        clean(&decided.verdict),
        decided.run_id
    ));
    Exit::Done
}
