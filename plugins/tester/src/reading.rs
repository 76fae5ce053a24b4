//! What becomes of the answer: cases with identifiers, and which criteria they cover.
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_sdk::markdown::{normalize, table_cell};
use stage_sdk::{StageContext, StageError, StageOutput, json as answer_json, log, text};

use crate::criteria::{self, Criterion};
use crate::{TEST_PLAN, TEST_PLAN_JSON};

/// The first sentence of the summary, in the line that people see.
const SENTENCE_BYTES_MAX: usize = 180;

#[derive(Debug, Deserialize)]
struct Answer {
    summary: String,
    #[serde(default)]
    approach: String,
    cases: Vec<SaidCase>,
    #[serde(default)]
    risks: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct SaidCase {
    title: String,
    kind: Kind,
    #[serde(default)]
    covers: Vec<String>,
    #[serde(default)]
    steps: Vec<String>,
    expected: String,
}

/// At which level a case tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[serde(alias = "Unit")]
    Unit,
    #[serde(alias = "Integration")]
    Integration,
    #[serde(alias = "e2e", alias = "E2E", alias = "end-to-end", alias = "end to end")]
    EndToEnd,
    #[serde(alias = "Manual")]
    Manual,
}

#[derive(Debug, Serialize)]
struct Case {
    /// `TC-1`, by its place.
    id: String,
    title: String,
    kind: Kind,
    covers: Vec<String>,
    steps: Vec<String>,
    expected: String,
}

pub(crate) fn read(context: &StageContext, answer: &str) -> Result<StageOutput, StageError> {
    let criteria = criteria::of(context)?;
    let answer: Answer = answer_json::parse(answer)?;
    if answer.cases.is_empty() {
        return Err(StageError::invalid_output(
            "cases_missing",
            "there is no test case in `cases`",
        ));
    }
    let cases: Result<Vec<Case>, StageError> = answer
        .cases
        .into_iter()
        .enumerate()
        .map(|(idx, said)| case(idx + 1, said, &criteria))
        .collect();
    let cases = cases?;
    let is_covered =
        |criterion: &&Criterion| cases.iter().any(|case| case.covers.contains(&criterion.id));
    let uncovered: Vec<&str> = criteria
        .iter()
        .filter(|criterion| !is_covered(criterion))
        .map(|criterion| criterion.id.as_str())
        .collect();
    if !uncovered.is_empty() {
        log::warn("criteria without a test", &[("criteria", &uncovered.join(" "))]);
    }
    let covered = criteria.len() - uncovered.len();
    let summary = format!(
        "{} for {covered} of {}: {}",
        text::counted(cases.len(), "case", "cases"),
        text::counted(criteria.len(), "criterion", "criteria"),
        text::first_sentence(&answer.summary, SENTENCE_BYTES_MAX)
    );
    let body = document(&answer.summary, &answer.approach, &cases, &criteria, &answer.risks);
    let data = json!({
        "summary": answer.summary, "approach": answer.approach, "cases": cases, "uncovered": uncovered,
        "risks": answer.risks,
    });
    Ok(StageOutput::new(summary)
        .with_markdown(TEST_PLAN, normalize(&body))
        .with_json(TEST_PLAN_JSON, &data)
        .with_data(&data)
        .with_variable("uncovered_criteria", &uncovered))
}

/// A case, if somebody can carry it out. Criteria that there are not are left out of `covers`.
fn case(number: usize, said: SaidCase, criteria: &[Criterion]) -> Result<Case, StageError> {
    let is_known = |id: &String| criteria.iter().any(|criterion| criterion.id == *id);
    let (covers, unknown): (Vec<String>, Vec<String>) =
        said.covers.into_iter().map(|id| id.trim().to_owned()).partition(is_known);
    if !unknown.is_empty() {
        log::warn("a case names criteria that there are not", &[("criteria", &unknown.join(" "))]);
    }
    let steps: Vec<String> =
        said.steps.iter().map(|step| line(step)).filter(|step| !step.is_empty()).collect();
    if said.expected.trim().is_empty() || steps.is_empty() {
        return Err(StageError::invalid_output(
            "case_incomplete",
            format!(
                "the case `{}` has no steps or nothing that is expected: give both",
                text::one_line(&said.title, 80)
            ),
        ));
    }
    Ok(Case {
        id: format!("TC-{number}"),
        title: line(&said.title),
        kind: said.kind,
        covers,
        steps,
        expected: line(&said.expected),
    })
}

fn line(said: &str) -> String {
    text::one_line(said, usize::MAX)
}

fn document(
    summary: &str,
    approach: &str,
    cases: &[Case],
    criteria: &[Criterion],
    risks: &[String],
) -> String {
    let mut out = format!(
        "# Test plan\n\n## Summary\n\n{}\n\n## Approach\n\n{}\n\n",
        summary.trim(),
        approach.trim()
    );
    out.push_str(
        "## Coverage\n\n| Criterion | Story | What is to be seen | Cases |\n|---|---|---|---|\n",
    );
    for criterion in criteria {
        let ids: Vec<&str> = cases
            .iter()
            .filter(|case| case.covers.contains(&criterion.id))
            .map(|case| case.id.as_str())
            .collect();
        let ids = if ids.is_empty() { "**none**".to_owned() } else { ids.join(", ") };
        out.push_str(&format!(
            "| {} | {} | {} | {ids} |\n",
            table_cell(&criterion.id),
            table_cell(&criterion.story),
            table_cell(&criterion.then)
        ));
    }
    out.push_str("\n## Cases\n\n");
    out.extend(cases.iter().map(case_text));
    out.push_str("## What these tests cannot show\n\n");
    match risks {
        [] => out.push_str("Nothing was named.\n"),
        risks => out.extend(risks.iter().map(|risk| format!("- {}\n", line(risk)))),
    }
    out
}

fn case_text(case: &Case) -> String {
    let kind = match case.kind {
        Kind::Unit => "unit",
        Kind::Integration => "integration",
        Kind::EndToEnd => "end to end",
        Kind::Manual => "by hand",
    };
    let covers =
        if case.covers.is_empty() { "no criterion".to_owned() } else { case.covers.join(", ") };
    let steps: String =
        case.steps.iter().enumerate().map(|(idx, step)| format!("{}. {step}\n", idx + 1)).collect();
    format!(
        "### {}: {}\n\nLevel: {kind}. Covers: {covers}.\n\n{steps}\nExpected: {}\n\n",
        case.id, case.title, case.expected
    )
}
