//! One gate: shows what is to be looked at, asks, and hands the decision in. The decision names the digest of what was
//! shown, so that it cannot pass something else.
mod choice;
mod shown;

use control_api::dto::{
    ApprovalDetailDto, ApprovalStatusDto, ArtifactEditDto, DecidedDto, DecisionRequest,
    GateSubjectDto, SelfApprovalDto,
};

use self::choice::{Choice, Offer};
use super::Gates;
use crate::client::Verdict;
use crate::editor;
use crate::error::Error;
use crate::policy::{self, Standing};
use crate::prompt;
use crate::render;
use crate::session::Session;

/// What a choice led to.
enum Step {
    /// The question is asked again.
    Again,
    /// Somebody else decides, or the same person later.
    Leave,
    HandIn(Wanted),
}

/// A decision that is to be handed in.
struct Wanted {
    verdict: Verdict,
    comment: Option<String>,
    edits: Vec<ArtifactEditDto>,
}

impl Wanted {
    fn plain(verdict: Verdict, comment: Option<String>) -> Wanted {
        Wanted { verdict, comment, edits: Vec::new() }
    }
}

/// Decides a gate if it is open; whether it is passed, or closed by somebody else, and the run can be followed on.
pub(super) async fn decide(
    session: &Session<'_>,
    approval_id: &str,
    gates: Gates,
) -> Result<bool, Error> {
    let detail = session.client.approval(approval_id).await?;
    if detail.approval.status != ApprovalStatusDto::Pending {
        return Ok(true);
    }
    match gates {
        Gates::Leave => Ok(false),
        Gates::Grant { comment } if is_about_result(&detail) => {
            let wanted = Wanted::plain(Verdict::Grant, Some(comment.to_owned()));
            hand_in(session, &detail, wanted).await
        }
        // A grant for all gates was meant for results. It would allow a budget again and again.
        Gates::Grant { .. } if !session.output.can_ask() => Ok(false),
        Gates::Grant { .. } | Gates::Ask => ask(session, &detail).await,
    }
}

fn is_about_result(detail: &ApprovalDetailDto) -> bool {
    matches!(detail.approval.subject, GateSubjectDto::Result)
}

async fn ask(session: &Session<'_>, detail: &ApprovalDetailDto) -> Result<bool, Error> {
    shown::subject(session, detail).await?;
    shown::terms(session, detail);
    let standing = standing(session, detail).await?;
    if let Some(why) = choice::asked_in_vain(detail, standing, &session.config.actor) {
        session.output.note(&format!("{} {why}", session.output.paint_notes().waiting("!")));
        return Ok(false);
    }
    let offer = Offer::of(detail, standing);
    let paint = session.output.paint_notes();
    // What a budget's question says at length has just been shown in lines.
    let asked = if is_about_result(detail) {
        render::unbroken(&detail.approval.question)
    } else {
        "May it go on?".to_owned()
    };
    session.output.note(&format!("{} {asked}", paint.waiting("?")));
    if standing == Standing::MayNotGrant {
        session.output.note("  You started this run: somebody else has to grant.");
    }
    loop {
        let typed = prompt::line(session.output, &format!("  {}: ", offer.keys(paint))).await;
        let step = match typed.as_deref().map(|typed| offer.choice(typed)) {
            None => Step::Leave,
            Some(None) => {
                session.output.note(&offer.legend());
                Step::Again
            }
            Some(Some(choice)) => step(session, detail, choice).await?,
        };
        match step {
            Step::Again => {}
            Step::Leave => return Ok(false),
            Step::HandIn(wanted) => return hand_in(session, detail, wanted).await,
        }
    }
}

async fn standing(session: &Session<'_>, detail: &ApprovalDetailDto) -> Result<Standing, Error> {
    let approval = &detail.approval;
    let started_by = match approval.self_approval {
        SelfApprovalDto::Allowed => None,
        SelfApprovalDto::Refused => session.client.run(&approval.run_id).await?.summary.started_by,
    };
    let config = session.config;
    Ok(policy::standing(approval, &config.actor, started_by.as_deref(), &config.groups))
}

async fn step(
    session: &Session<'_>,
    detail: &ApprovalDetailDto,
    choice: Choice,
) -> Result<Step, Error> {
    match choice {
        Choice::Grant => Ok(Step::HandIn(Wanted::plain(Verdict::Grant, None))),
        Choice::Reject => Ok(reject(session).await),
        Choice::Revise => Ok(revise(session).await),
        Choice::Edit => edit(session, detail).await,
        Choice::Show => shown::subject(session, detail).await.map(|()| Step::Again),
        Choice::Next => shown::next_prompt(session, detail).await.map(|()| Step::Again),
        Choice::Compare => shown::changes(session, detail).await.map(|()| Step::Again),
        Choice::Detach => Ok(Step::Leave),
    }
}

async fn reject(session: &Session<'_>) -> Step {
    match prompt::line(session.output, "  why (empty: back): ").await {
        Some(reason) if !reason.is_empty() => {
            Step::HandIn(Wanted::plain(Verdict::Reject, Some(reason)))
        }
        Some(_) => Step::Again,
        None => Step::Leave,
    }
}

async fn revise(session: &Session<'_>) -> Step {
    session.output.note("  What should change? An empty line ends it; nothing at all goes back.");
    match prompt::lines(session.output, "  > ").await {
        Some(feedback) => Step::HandIn(Wanted::plain(Verdict::Revise, Some(feedback))),
        None => Step::Again,
    }
}

async fn edit(session: &Session<'_>, detail: &ApprovalDetailDto) -> Result<Step, Error> {
    let mut chosen = 0;
    if detail.artifacts.len() > 1 {
        for (idx, artifact) in detail.artifacts.iter().enumerate() {
            session.output.note(&format!("  {} {}", idx + 1, render::one_line(&artifact.name)));
        }
        let typed = prompt::line(session.output, "  which one (empty: back): ").await;
        match typed.as_deref().map(|typed| number_of(typed, detail)) {
            Some(Some(idx)) => chosen = idx,
            Some(None) | None => return Ok(Step::Again),
        }
    }
    let Some(artifact) = detail.artifacts.get(chosen) else { return Ok(Step::Again) };
    let changed = match editor::changed(session, &detail.approval.run_id, artifact).await {
        Ok(changed) => changed,
        // The gate is as open as before; only the editor did not work.
        Err(error @ (Error::Refused { .. } | Error::Usage { .. } | Error::Io { .. })) => {
            session.output.error(&error);
            None
        }
        Err(error) => return Err(error),
    };
    let edit = |body| ArtifactEditDto { name: artifact.name.clone(), body };
    Ok(changed.map(edit).map_or(Step::Again, |edit| {
        Step::HandIn(Wanted { verdict: Verdict::Grant, comment: None, edits: vec![edit] })
    }))
}

/// Which artifact is meant by a number from 1 on, or by its name.
fn number_of(typed: &str, detail: &ApprovalDetailDto) -> Option<usize> {
    let number = typed.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let named = || detail.artifacts.iter().position(|artifact| artifact.name == typed);
    number.filter(|idx| *idx < detail.artifacts.len()).or_else(named)
}

/// Hands a decision in; whether the run can be followed on.
async fn hand_in(
    session: &Session<'_>,
    detail: &ApprovalDetailDto,
    wanted: Wanted,
) -> Result<bool, Error> {
    let decision = DecisionRequest {
        actor: Some(session.config.actor.clone()),
        comment: wanted.comment,
        content_hash: Some(detail.approval.content_hash.clone()),
        edits: wanted.edits,
    };
    let approval_id = &detail.approval.approval_id;
    match session.client.decide(approval_id, wanted.verdict, &decision).await {
        Ok(decided) if decided.open => {
            session.output.note(&still_open(session, &decided));
            Ok(false)
        }
        Ok(_) => Ok(true),
        // Somebody else was quicker, or called the run off: the log says what holds.
        Err(Error::Problem(problem)) if matches!(problem.status, 409 | 412) => {
            session.output.error(&Error::Problem(problem));
            Ok(true)
        }
        // The policy wants somebody else; the gate is as open as before.
        Err(Error::Problem(problem)) if problem.status == 403 => {
            session.output.error(&Error::Problem(problem));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn still_open(session: &Session<'_>, decided: &DecidedDto) -> String {
    let missing = u64::from(decided.grants_needed.saturating_sub(decided.grants));
    let people = render::counted(missing, "other person has", "other people have");
    format!(
        "{} granted, {} of {}: {people} to grant as well",
        session.output.paint_notes().good("✓"),
        decided.grants,
        decided.grants_needed
    )
}
