//! Fixtures: what a stage is told, what the model answers, and what the stage has to make of it, in plain files.
//!
//! A fixture is a folder `fixtures/NAME`: `input.yaml`; `answer-1.md`, `answer-2.md` and so on, or `answer-1.json` for what
//! is no plain text; and `expected`, with each artifact as a file, `output.yaml` or `error.yaml`, and `requests.yaml`.
//!
//! Invariant: nothing outside of the folder of a fixture is read or written.
mod answers;
mod expected;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::port::KnownPlugin;
use sandbox::Sandbox;
use serde::Serialize;

use crate::Error;
use crate::context::Input;
use crate::exchange::Script;
use crate::trial::Trial;

/// The folder of a project in which its fixtures are.
pub const FIXTURES_FOLDER: &str = "fixtures";
/// What a stage is told.
pub const INPUT_FILE: &str = "input.yaml";
/// Most fixtures of a project: more is a mistake in the folder that was named.
const FIXTURE_COUNT_MAX: usize = 1_000;

/// A folder with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    /// Its name, which is that of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
}

/// What is done with what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is compared with what is expected.
    Compare,
    /// It becomes what is expected.
    Update,
}

/// What came of a fixture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The fixture.
    pub name: String,
    /// Where it stands.
    pub verdict: Verdict,
    /// Files in which something else came out than is expected; in an update, those that were written or removed.
    pub differences: Vec<Difference>,
    /// Why the fixture cannot be used as it is, each with what to do.
    pub problems: Vec<String>,
}

/// Where a fixture stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What came out is what is expected.
    Passed,
    /// It differs.
    Differs,
    /// What is expected was written anew.
    Updated,
    /// The fixture cannot be used as it is.
    Failed,
}

/// A file of `expected` that is not what came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name in `expected`.
    pub file: String,
    /// How it differs.
    pub change: Change,
    /// What differs, as a unified diff.
    pub diff: String,
}

/// How a file of `expected` differs from what came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It came out, and is not expected.
    New,
    /// It came out otherwise.
    Changed,
    /// It is expected, and did not come out.
    Missing,
}

/// The fixtures of a project, by name.
///
/// # Errors
/// [`Error::Io`], or [`Error::NoFixtures`] if there are none.
pub fn fixtures_of(project: &Path) -> Result<Vec<Fixture>, Error> {
    let folder = project.join(FIXTURES_FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NoFixtures { folder });
        }
        Err(cause) => return Err(Error::io(&folder, cause)),
    };
    let mut fixtures = Vec::new();
    for entry in entries.take(FIXTURE_COUNT_MAX) {
        let entry = entry.map_err(|cause| Error::io(&folder, cause))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let folder = entry.path();
        if folder.is_dir() && !name.starts_with('.') {
            fixtures.push(Fixture { name, folder });
        }
    }
    if fixtures.is_empty() {
        return Err(Error::NoFixtures { folder });
    }
    fixtures.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(fixtures)
}

/// Runs a stage on a fixture.
pub async fn run_fixture(
    sandbox: &Sandbox,
    plugin: &KnownPlugin,
    fixture: &Fixture,
    purpose: Purpose,
) -> Report {
    let mut report = Report {
        name: fixture.name.clone(),
        verdict: Verdict::Failed,
        differences: Vec::new(),
        problems: Vec::new(),
    };
    match attempt(sandbox, plugin, fixture, purpose).await {
        Ok(Ok(differences)) => {
            report.verdict = match (purpose, differences.is_empty()) {
                (_, true) => Verdict::Passed,
                (Purpose::Compare, false) => Verdict::Differs,
                (Purpose::Update, false) => Verdict::Updated,
            };
            report.differences = differences;
        }
        Ok(Err(problems)) => report.problems = problems,
        Err(error) => {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            report.problems = vec![format!("{error}{hint}")];
        }
    }
    report
}

async fn attempt(
    sandbox: &Sandbox,
    plugin: &KnownPlugin,
    fixture: &Fixture,
    purpose: Purpose,
) -> Result<Result<Vec<Difference>, Vec<String>>, Error> {
    let place = fixture.folder.join(INPUT_FILE);
    let trial = Trial::prepare(plugin, Input::read(&place)?, &place)?;
    let missing = trial.missing_needs();
    if !missing.is_empty() {
        let problem = format!(
            "the stage needs `{}`, and `{INPUT_FILE}` has it not: add it under `artifacts`",
            missing.join("`, `")
        );
        return Ok(Err(vec![problem]));
    }
    let answers = answers::of(&fixture.folder)?;
    let answer_count = answers.len();
    let script = Arc::new(Script::new(answers));
    let tried = trial.run(sandbox, script.clone()).await;
    let asked = script.asked();
    if asked.len() > answer_count {
        let next = asked.len();
        let problem = format!(
            "the stage asked question {next}, and there are {answer_count} answers: write `answer-{next}.md`, or find out why it asks again"
        );
        return Ok(Err(vec![problem]));
    }
    if script.unused_count() > 0 {
        let problem = format!(
            "the stage asked {} times, and there are {answer_count} answers: remove those that it does not ask for, or find out why it does not",
            asked.len()
        );
        return Ok(Err(vec![problem]));
    }
    let actual = match expected::files_of(&tried.attempt.outcome, &asked) {
        Ok(actual) => actual,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let folder = expected::folder_of(&fixture.folder)?;
    let differences = expected::compare(&folder, &actual)?;
    if purpose == Purpose::Update {
        expected::update(&folder, &actual, &differences)?;
    }
    Ok(Ok(differences))
}
