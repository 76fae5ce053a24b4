//! What becomes of the answer: findings in the order of their severity, and the verdict.
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_sdk::markdown::normalize;
use stage_sdk::{StageError, StageOutput, json as answer_json, log, text};

use crate::settings::Settings;
use crate::{REVIEW, REVIEW_JSON};

/// The first sentence of the summary, in the line that people see.
const SENTENCE_BYTES_MAX: usize = 200;

#[derive(Debug, Deserialize)]
struct Answer {
    summary: String,
    verdict: Verdict,
    #[serde(default)]
    findings: Vec<Finding>,
    #[serde(default)]
    good: Vec<String>,
    #[serde(default)]
    unseen: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Finding {
    title: String,
    severity: Severity,
    #[serde(rename = "where", default)]
    place: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    fix: String,
}

/// The worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Severity {
    #[serde(alias = "critical", alias = "Blocker")]
    Blocker,
    #[serde(alias = "Major")]
    Major,
    #[serde(alias = "Minor")]
    Minor,
    #[serde(alias = "Note", alias = "info")]
    Note,
}

/// The mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    #[serde(alias = "Approve", alias = "approved")]
    Approve,
    #[serde(alias = "approve with changes", alias = "Approve with changes")]
    #[serde(alias = "approved_with_changes")]
    ApproveWithChanges,
    #[serde(alias = "Reject", alias = "rejected")]
    Reject,
}

impl Verdict {
    /// The mildest verdict that findings allow.
    fn of(findings: &[Finding]) -> Self {
        let worst = findings.iter().map(|finding| finding.severity).min();
        match worst {
            Some(Severity::Blocker) => Self::Reject,
            Some(Severity::Major) => Self::ApproveWithChanges,
            Some(Severity::Minor | Severity::Note) | None => Self::Approve,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::ApproveWithChanges => "approve with changes",
            Self::Reject => "reject",
        }
    }
}

pub(crate) fn read(answer: &str, settings: &Settings) -> Result<StageOutput, StageError> {
    let mut answer: Answer = answer_json::parse(answer)?;
    check(&answer.findings)?;
    answer.findings.sort_by_key(|finding| finding.severity);
    if answer.findings.len() > settings.finding_count_max as usize {
        log::warn("more findings than asked for", &[("found", &answer.findings.len().to_string())]);
    }
    let verdict = answer.verdict.max(Verdict::of(&answer.findings));
    if verdict != answer.verdict {
        // The findings say what is wrong; the word for all of it is the slip.
        log::warn(
            "the verdict was milder than the findings",
            &[("said", answer.verdict.words()), ("follows", verdict.words())],
        );
    }
    let summary = format!(
        "Verdict: {}; {}. {}",
        verdict.words(),
        text::counted(answer.findings.len(), "finding", "findings"),
        text::first_sentence(&answer.summary, SENTENCE_BYTES_MAX)
    );
    let data = json!({
        "summary": answer.summary, "verdict": verdict, "verdict_said": answer.verdict,
        "findings": answer.findings, "good": answer.good, "unseen": answer.unseen,
    });
    Ok(StageOutput::new(summary)
        .with_markdown(REVIEW, normalize(&document(&answer, verdict)))
        .with_json(REVIEW_JSON, &data)
        .with_data(&data)
        .with_variable("review_verdict", &verdict))
}

/// A finding that nobody can act on is asked for again.
fn check(findings: &[Finding]) -> Result<(), StageError> {
    let is_bare = |finding: &&Finding| {
        [&finding.title, &finding.place, &finding.why].iter().any(|said| said.trim().is_empty())
    };
    match findings.iter().find(is_bare) {
        None => Ok(()),
        Some(finding) => Err(StageError::invalid_output(
            "finding_incomplete",
            format!(
                "the finding `{}` lacks its title, `where` or `why`: nobody can act on it; complete it or leave it out",
                text::one_line(&finding.title, 80)
            ),
        )),
    }
}

fn document(answer: &Answer, verdict: Verdict) -> String {
    let mut out = format!(
        "# Review\n\n## Verdict\n\n**{}**\n\n{}\n\n## Findings\n\n",
        verdict.words(),
        answer.summary.trim()
    );
    if answer.findings.is_empty() {
        out.push_str("None.\n\n");
    }
    for (idx, finding) in answer.findings.iter().enumerate() {
        let severity = match finding.severity {
            Severity::Blocker => "blocker",
            Severity::Major => "major",
            Severity::Minor => "minor",
            Severity::Note => "note",
        };
        out.push_str(&format!(
            "### {}. {} ({severity})\n\nWhere: {}\n\n{}\n\n",
            idx + 1,
            line(&finding.title),
            line(&finding.place),
            finding.why.trim()
        ));
        if !finding.fix.trim().is_empty() {
            out.push_str(&format!("Fix: {}\n\n", finding.fix.trim()));
        }
    }
    out.push_str(&list("What should stay", &answer.good));
    out.push_str(&list("What could not be judged", &answer.unseen));
    out
}

fn list(heading: &str, items: &[String]) -> String {
    let items: String = match items {
        [] => "Nothing was named.\n".to_owned(),
        items => items.iter().map(|item| format!("- {}\n", line(item))).collect(),
    };
    format!("## {heading}\n\n{items}\n")
}

fn line(said: &str) -> String {
    text::one_line(said, usize::MAX)
}
