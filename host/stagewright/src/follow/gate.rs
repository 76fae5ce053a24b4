//! One gate: shows what is to be looked at, asks, and hands the decision in. The decision names the digest of what was
//! shown, so that it cannot pass something else.
use control_api::dto::{
    ApprovalDetailDto, ApprovalStatusDto, ArtifactDto, BudgetBoundDto, DecisionRequest,
    GateSubjectDto,
};

use super::Gates;
use crate::budget;
use crate::client::Verdict;
use crate::error::Error;
use crate::output::Paint;
use crate::prompt;
use crate::render;
use crate::session::Session;

/// Lines of an artifact that are shown at the prompt. The brief of a usual run has about a hundred; what is longer is
/// better read in an editor, and its path is told.
const ARTIFACT_LINES_SHOWN_MAX: usize = 150;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    Grant,
    Reject,
    Later,
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
            hand_in(session, &detail, Verdict::Grant, Some(comment.to_owned())).await?;
            Ok(true)
        }
        // A grant for all gates was meant for results. It would allow a budget again and again.
        Gates::Grant { .. } if !session.output.can_ask() => Ok(false),
        Gates::Grant { .. } | Gates::Ask => {
            show(session, &detail).await?;
            ask(session, &detail).await
        }
    }
}

fn is_about_result(detail: &ApprovalDetailDto) -> bool {
    matches!(detail.approval.subject, GateSubjectDto::Result)
}

async fn ask(session: &Session<'_>, detail: &ApprovalDetailDto) -> Result<bool, Error> {
    let paint = session.output.paint_notes();
    // What a budget's question says at length has just been shown in lines.
    let asked = if is_about_result(detail) {
        render::unbroken(&detail.approval.question)
    } else {
        "May it go on?".to_owned()
    };
    let question =
        format!("{} {} {}: ", paint.waiting("?"), asked, paint.dim("[g]rant, [r]eject, [l]ater"));
    let (verdict, comment) = loop {
        match prompt::line(session.output, &question).await.as_deref().map(choice) {
            Some(Some(Choice::Grant)) => break (Verdict::Grant, None),
            Some(Some(Choice::Reject)) => match prompt::line(session.output, "  why: ").await {
                Some(reason) if !reason.is_empty() => break (Verdict::Reject, Some(reason)),
                Some(_) => session.output.note("  a rejection needs a reason"),
                None => return Ok(false),
            },
            Some(Some(Choice::Later)) | None => return Ok(false),
            Some(None) => session.output.note("  type g, r or l"),
        }
    };
    match hand_in(session, detail, verdict, comment).await {
        // Somebody else was quicker, or called the run off: the log says what holds.
        Err(Error::Problem(problem)) if matches!(problem.status, 409 | 412) => {
            session.output.error(&Error::Problem(problem));
            Ok(true)
        }
        outcome => outcome.map(|()| true),
    }
}

fn choice(typed: &str) -> Option<Choice> {
    match typed.to_lowercase().as_str() {
        "g" | "grant" | "y" | "yes" => Some(Choice::Grant),
        "r" | "reject" | "n" | "no" => Some(Choice::Reject),
        "l" | "later" | "q" => Some(Choice::Later),
        _ => None,
    }
}

async fn hand_in(
    session: &Session<'_>,
    detail: &ApprovalDetailDto,
    verdict: Verdict,
    comment: Option<String>,
) -> Result<(), Error> {
    let decision = DecisionRequest {
        actor: session.config.actor.clone(),
        comment,
        content_hash: Some(detail.approval.content_hash.clone()),
        edits: None,
    };
    session.client.decide(&detail.approval.approval_id, verdict, &decision).await.map(drop)
}

/// Shows what a gate is about where its question is asked: artifacts, or a budget.
async fn show(session: &Session<'_>, detail: &ApprovalDetailDto) -> Result<(), Error> {
    if let GateSubjectDto::Budget { bound, grant_allows, .. } = &detail.approval.subject {
        let paint = session.output.paint_notes();
        session.output.note(&shown_budget(bound, *grant_allows, paint));
    }
    // The path of a file is told below: it should be there.
    session.flush_files().await;
    for artifact in &detail.artifacts {
        let approval = &detail.approval;
        let (_, text) = session
            .client
            .artifact(&approval.run_id, &artifact.stage, &artifact.name, Some(artifact.version))
            .await?;
        session.output.note(&shown(session, &approval.run_id, artifact, &text));
    }
    Ok(())
}

fn shown_budget(bound: &BudgetBoundDto, grant_allows: Option<u64>, paint: Paint) -> String {
    let used = budget::used(bound);
    let lines = [
        ("budget", format!("{}: {used}, and the next question does not fit", budget::name(bound))),
        ("grant", budget::grant(bound, grant_allows)),
        ("reject", budget::REJECT.to_owned()),
    ];
    // Not by `render::indented`, which would clean the colors away.
    let lines: String =
        render::pairs(&lines, paint).lines().map(|line| format!("  {line}\n")).collect();
    format!("\n{lines}")
}

fn shown(session: &Session<'_>, run_id: &str, artifact: &ArtifactDto, text: &str) -> String {
    let paint = session.output.paint_notes();
    let lines: Vec<&str> = text.lines().collect();
    let mut all =
        format!("\n{}\n", paint.strong(&format!("── {} ──", render::one_line(&artifact.name))));
    let kept = lines.len().min(ARTIFACT_LINES_SHOWN_MAX);
    all.push_str(&render::indented(&lines[..kept].join("\n"), "  "));
    if lines.len() > kept {
        let rest = render::counted((lines.len() - kept) as u64, "more line", "more lines");
        let command = format!("runs artifacts {run_id} {} {}", artifact.stage, artifact.name);
        all.push_str(&format!("\n  … {rest}: `{}`", session.command_line(&command)));
    }
    all.push('\n');
    all
}

#[cfg(test)]
mod tests {
    use control_api::dto::{BudgetScopeDto, BudgetUnitDto};

    use super::*;

    #[test]
    fn a_choice_is_a_letter_or_a_word() {
        assert_eq!(choice("G"), Some(Choice::Grant));
        assert_eq!(choice("reject"), Some(Choice::Reject));
        assert_eq!(choice("later"), Some(Choice::Later));
        assert_eq!(choice(""), None);
        assert_eq!(choice("maybe"), None);
    }

    #[test]
    fn a_budget_is_shown_with_what_each_decision_does_and_keeps_its_colors() {
        let bound = BudgetBoundDto {
            scope: BudgetScopeDto::Run,
            provider: None,
            unit: BudgetUnitDto::Tokens,
            max: 9_000,
            used: 3_536,
            max_cost: None,
            used_cost: None,
        };
        let plain = "
  budget  the run's budget: 3,536 of 9,000 tokens are used, and the next question does not fit
  grant   lets the attempt go on where it stopped, and allows 9,000 tokens more
  reject  ends the run; what was used stays used
";
        assert_eq!(shown_budget(&bound, Some(9_000), Paint::PLAIN), plain);
        let painted = shown_budget(&bound, Some(9_000), Paint::COLORED);
        assert!(painted.contains("\u{1b}[2mbudget"), "{painted:?}");
    }
}
