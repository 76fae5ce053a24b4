//! Fixtures: what a stage is told, what the model answers, and what the stage has to make of it, in plain files.
//!
//! A fixture is a folder `fixtures/NAME`: `input.yaml`; `answer-1.md`, `answer-2.md` and so on, or `answer-1.json` for what
//! is no plain text; `response-1.json` and so on for what other hosts answer; and `expected`, with each artifact as a file,
//! `output.yaml` or `error.yaml`, `requests.yaml`, and `http-requests.yaml`.
//!
//! Invariant: nothing outside of the folder of a fixture is read or written.
mod answers;
mod expected;
mod strays;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::port::KnownPlugin;
use profile::Problem;
use sandbox::Sandbox;
use serde::Serialize;

use crate::context::Input;
use crate::exchange::{HttpScript, Script};
use crate::trial::{Trial, Tried};
use crate::{Error, Failure};

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
    /// How the stage failed, unless that is what is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Whether an update makes what came out what is expected. It takes no mistake of the stage for its intention.
    pub acceptable: bool,
}

/// What was found out with a fixture.
struct Compared {
    differences: Vec<Difference>,
    acceptable: bool,
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
/// [`Error::Io`], [`Error::NoFixtures`] if there are none, or [`Error::Problems`] if there are too many.
pub fn fixtures_of(project: &Path) -> Result<Vec<Fixture>, Error> {
    let folder = project.join(FIXTURES_FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::NoFixtures { folder });
        }
        Err(cause) => return Err(Error::io(&folder, cause)),
    };
    let mut fixtures = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| Error::io(&folder, cause))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let folder = entry.path();
        if folder.is_dir() && !name.starts_with('.') {
            fixtures.push(Fixture { name, folder });
        }
        if fixtures.len() > FIXTURE_COUNT_MAX {
            return Err(too_many_fixtures(project));
        }
    }
    if fixtures.is_empty() {
        return Err(Error::NoFixtures { folder });
    }
    fixtures.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(fixtures)
}

fn too_many_fixtures(project: &Path) -> Error {
    let folder = project.join(FIXTURES_FOLDER).display().to_string();
    let message =
        format!("there are more than {FIXTURE_COUNT_MAX} fixtures, and none of them was run");
    let hint = "move some into a `fixtures` folder below another folder, and run those with `stagewright plugin test FOLDER --component FILE`";
    Error::Problems(Problem::of_file(folder, message).with_hint(hint).into())
}

/// Nothing outside of a fixture is read or written, and a link would lead out of it.
fn not_plain(path: &Path) -> Error {
    let (message, hint) = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => {
            ("it is a folder where a file belongs", "remove it, or move its files out of it")
        }
        Ok(found) if found.is_file() => {
            ("it is a file where a folder belongs", "move it into a folder of that name")
        }
        Ok(_) | Err(_) => (
            "it is no plain file or folder, and is left alone",
            "remove it; a fixture has no links",
        ),
    };
    let problem = Problem::of_file(path.display().to_string(), message);
    Error::Problems(problem.with_hint(hint).into())
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
        failure: None,
        acceptable: false,
    };
    match attempt(sandbox, plugin, fixture, purpose, &mut report.failure).await {
        Ok(Ok(Compared { differences, acceptable })) => {
            report.acceptable = acceptable;
            report.verdict = match (purpose, differences.is_empty()) {
                (_, true) => Verdict::Passed,
                (Purpose::Compare, false) => Verdict::Differs,
                (Purpose::Update, false) => Verdict::Updated,
            };
            if !differences.iter().any(expected::is_of_failure) {
                report.failure = None;
            }
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

/// Does the stage once, and compares. `failure` says how it failed, expected or not.
async fn attempt(
    sandbox: &Sandbox,
    plugin: &KnownPlugin,
    fixture: &Fixture,
    purpose: Purpose,
    failure: &mut Option<Failure>,
) -> Result<Result<Compared, Vec<String>>, Error> {
    let trial = match prepared(plugin, fixture)? {
        Ok(trial) => trial,
        Err(problems) => return Ok(Err(problems)),
    };
    let answers = answers::of_model(&fixture.folder)?;
    let answer_count = answers.len();
    let script = Arc::new(Script::new(answers));
    let network = trial.network(answers::of_hosts(&fixture.folder)?);
    let Tried { attempt, .. } = trial.run(sandbox, script.clone(), network.clone()).await;
    *failure = Failure::of(&attempt);
    let asked = script.asked();
    let surprise = network.as_ref().and_then(|network| network.problem());
    if surprise.is_some() || asked.len() > answer_count {
        // It failed for want of an answer, which is what the problem says.
        *failure = None;
    }
    if let Some(problem) = surprise.or_else(|| too_many_questions(asked.len(), answer_count)) {
        return Ok(Err(vec![problem]));
    }
    let sent = network.as_ref().map(|network| network.sent()).unwrap_or_default();
    let actual = match expected::files_of(&attempt.outcome, &asked, &sent) {
        Ok(actual) => actual,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let folder = expected::folder_of(&fixture.folder)?;
    let differences = expected::compare(&folder, &actual)?;
    let mistake = attempt.outcome.as_ref().err().filter(|fault| !fault.kind.is_declared());
    // A stage that broke down on its way asked no further: what it left over says nothing then.
    let broke_down = mistake.is_some() && differences.iter().any(expected::is_of_failure);
    let unused = too_few_questions(asked.len(), answer_count)
        .or_else(|| network.as_deref().and_then(unsent))
        .filter(|_| !broke_down);
    if let Some(problem) = unused {
        return Ok(Err(vec![problem]));
    }
    let refused = mistake.filter(|_| !expected::expects_failure(&folder));
    if purpose == Purpose::Update {
        if let Some(fault) = refused {
            let problem = format!(
                "the stage did not fail by its own decision (`{}`), and nothing was written: correct it, or write `expected/error.yaml` by hand if it has to fail so",
                fault.kind.code()
            );
            return Ok(Err(vec![problem]));
        }
        expected::update(&folder, &actual, &differences)?;
    }
    Ok(Ok(Compared { differences, acceptable: refused.is_none() }))
}

/// The stage with what the fixture tells it, or why nothing is done with it.
fn prepared(plugin: &KnownPlugin, fixture: &Fixture) -> Result<Result<Trial, Vec<String>>, Error> {
    let Some(place) = input_of(fixture)? else {
        let problem = format!(
            "it has no `{INPUT_FILE}`, which says what the stage is told: write at least `request_text: ...` into it"
        );
        let meant = strays::almost_input(&fixture.folder)?;
        return Ok(Err(std::iter::once(problem).chain(meant).collect()));
    };
    let input = Input::read(&place)?;
    let strays = strays::of(&fixture.folder, &input.files)?;
    if !strays.is_empty() {
        return Ok(Err(strays));
    }
    let trial = Trial::prepare(plugin, input, &place)?;
    let missing = trial.missing_needs();
    if !missing.is_empty() {
        let problem = format!(
            "the stage needs `{}`, and `{INPUT_FILE}` has it not: add it under `artifacts`",
            missing.join("`, `")
        );
        return Ok(Err(vec![problem]));
    }
    Ok(Ok(trial))
}

/// What the stage of a fixture is told, if it is there.
fn input_of(fixture: &Fixture) -> Result<Option<PathBuf>, Error> {
    let place = fixture.folder.join(INPUT_FILE);
    match place.symlink_metadata() {
        Ok(found) if found.is_file() => Ok(Some(place)),
        Ok(_) => Err(not_plain(&place)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io(&place, cause)),
    }
}

/// What is wrong if a stage sends fewer HTTP requests than there are responses.
fn unsent(network: &HttpScript) -> Option<String> {
    let sent_count = network.sent().len();
    let count = match network.unused_count() {
        0 => return None,
        unused_count => sent_count + unused_count,
    };
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let sent = match sent_count {
        0 => "no HTTP request".to_owned(),
        count => counted(count, "HTTP request"),
    };
    let there_are = if count == 1 { "there is" } else { "there are" };
    Some(format!(
        "the stage sent {sent}, and {there_are} {}: remove those that it does not ask for, or find out why it does not",
        counted(count, "response")
    ))
}

/// What is wrong if a stage asks more often than there are answers.
fn too_many_questions(asked_count: usize, answer_count: usize) -> Option<String> {
    let there_are = there_are(answer_count);
    match asked_count {
        count if count <= answer_count => None,
        1 => Some(format!("the stage asked a question, and {there_are}: write `answer-1.md`")),
        count => Some(format!(
            "the stage asked question {count}, and {there_are}: write `answer-{count}.md`, or find out why it asks again"
        )),
    }
}

/// What is wrong if a stage asks less often than there are answers.
fn too_few_questions(asked_count: usize, answer_count: usize) -> Option<String> {
    if asked_count >= answer_count {
        return None;
    }
    let asked = match asked_count {
        0 => "asked nothing".to_owned(),
        1 => "asked once".to_owned(),
        count => format!("asked {count} times"),
    };
    Some(format!(
        "the stage {asked}, and {}: remove those that it does not ask for, or find out why it does not",
        there_are(answer_count)
    ))
}

fn there_are(answer_count: usize) -> String {
    match answer_count {
        0 => "there is no answer".to_owned(),
        1 => "there is 1 answer".to_owned(),
        count => format!("there are {count} answers"),
    }
}
