//! What is shown at a gate: artifacts or a budget, the terms of the decision, what changed, and what comes next.
use control_api::dto::{ApprovalDetailDto, ArtifactDto, BudgetBoundDto, GateSubjectDto, RoleDto};

use crate::budget;
use crate::diff;
use crate::error::Error;
use crate::output::Paint;
use crate::policy;
use crate::render;
use crate::session::Session;

/// Lines of an artifact that are shown at the prompt. The brief of a usual run has about a hundred; what is longer is
/// better read in an editor, and its path is told.
const ARTIFACT_LINES_SHOWN_MAX: usize = 150;

/// Shows what a gate is about where its question is asked: artifacts, or a budget.
pub(super) async fn subject(
    session: &Session<'_>,
    detail: &ApprovalDetailDto,
) -> Result<(), Error> {
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
        let command =
            format!("runs artifacts {} {} {}", approval.run_id, artifact.stage, artifact.name);
        session.output.note(&bounded(session, &title_of(artifact), &text, &command));
    }
    Ok(())
}

fn title_of(artifact: &ArtifactDto) -> String {
    let name = render::one_line(&artifact.name);
    if artifact.version > 1 { format!("{name}, version {}", artifact.version) } else { name }
}

/// Tells who may decide until when, what an earlier reviewer wanted, and what a grant leads to.
pub(super) fn terms(session: &Session<'_>, detail: &ApprovalDetailDto) {
    let approval = &detail.approval;
    let mut facts = vec![
        ("made for", detail.feedback.as_deref().map(render::unbroken).unwrap_or_default()),
        ("grants", policy::grants(approval)),
        ("reviewers", policy::reviewers(approval)),
        ("deadline", policy::deadline(approval)),
        ("next", detail.next.as_ref().map(policy::next).unwrap_or_default()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    if !facts.is_empty() {
        let lines = render::pairs(&facts, session.output.paint_notes());
        let lines: Vec<String> = lines.lines().map(|line| format!("  {line}")).collect();
        session.output.note(&format!("{}\n", lines.join("\n")));
    }
}

/// Shows what the next stage would ask.
pub(super) async fn next_prompt(
    session: &Session<'_>,
    detail: &ApprovalDetailDto,
) -> Result<(), Error> {
    let Some(next) = &detail.next else { return Ok(()) };
    let run_id = &detail.approval.run_id;
    let prompt = match session.client.prompt(run_id, &next.stage).await {
        Ok(prompt) => prompt,
        // Whatever the next stage's plugin thinks of it, this gate can be decided.
        Err(Error::Problem(problem)) => {
            session.output.error(&Error::Problem(problem));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let command = format!("runs prompt {run_id} {}", next.stage);
    for message in &prompt.request.messages {
        let role = match message.role {
            RoleDto::System => "system",
            RoleDto::User => "user",
            RoleDto::Assistant => "assistant",
        };
        let title = format!("{} · {role}", render::one_line(&next.stage));
        session.output.note(&bounded(session, &title, &message.content, &command));
    }
    session.output.note(&format!("  {}\n", policy::next(next)));
    Ok(())
}

/// Shows what changed since the version before, for each artifact that has one.
pub(super) async fn changes(
    session: &Session<'_>,
    detail: &ApprovalDetailDto,
) -> Result<(), Error> {
    let run_id = &detail.approval.run_id;
    let paint = session.output.paint_notes();
    for previous in &detail.previous {
        let ArtifactDto { stage, name, version, .. } = &previous.artifact;
        let newer = previous.newer_version;
        let text = session.client.diff(run_id, stage, name, Some(*version), Some(newer)).await?;
        if text.is_empty() {
            let same = format!("  {}: version {newer} is as {version} was", render::one_line(name));
            session.output.note(&same);
        } else {
            session.output.note(&format!("\n{}\n", diff::painted(&text, paint)));
        }
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

/// A text under its title, as far as it fits; the command shows all of it.
fn bounded(session: &Session<'_>, title: &str, text: &str, command: &str) -> String {
    let paint = session.output.paint_notes();
    let lines: Vec<&str> = text.lines().collect();
    let mut all = format!("\n{}\n", paint.strong(&format!("── {title} ──")));
    let kept = lines.len().min(ARTIFACT_LINES_SHOWN_MAX);
    all.push_str(&render::indented(&lines[..kept].join("\n"), "  "));
    if lines.len() > kept {
        let rest = render::counted((lines.len() - kept) as u64, "more line", "more lines");
        all.push_str(&format!("\n  … {rest}: `{}`", session.command_line(command)));
    }
    all.push('\n');
    all
}

#[cfg(test)]
mod tests {
    use control_api::dto::{BudgetScopeDto, BudgetUnitDto};

    use super::*;

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
