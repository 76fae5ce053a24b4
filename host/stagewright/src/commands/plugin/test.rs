//! `plugin test`.
use std::path::{Path, PathBuf};

use authoring::fixtures::{Change, Purpose, Report, Verdict, fixtures_of, run_fixture};
use authoring::project::{self, Project};
use authoring::trial::Workshop;
use serde::Serialize;

use super::check::{is_no_folder, say_compiling, unreadable};
use super::failure::show_failure;
use crate::args::Test;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::{Output, clean};
use crate::render;
use crate::session::{command_line, in_a_shell};

/// What came of all fixtures, for programs.
#[derive(Serialize)]
struct Tested {
    plugin: String,
    version: String,
    digest: String,
    fixtures: Vec<Report>,
}

pub(super) async fn test(config: &Config, output: &Output, asked: &Test) -> Result<Exit, Error> {
    // A folder that is no project is told as that, and not as one without fixtures.
    let source = Source::of(asked)?;
    let fixtures = fixtures_of(&asked.project)?;
    let component = source.component(output)?;
    is_no_folder(&component)?;
    let workshop = Workshop::open(&config.data_dir, &component)?;
    let plugin = workshop.plugin(&component, &mut || say_compiling(output)).map_err(unreadable)?;
    let purpose = if asked.update { Purpose::Update } else { Purpose::Compare };
    let mut reports = Vec::with_capacity(fixtures.len());
    for fixture in &fixtures {
        let report = run_fixture(workshop.sandbox(), &plugin, fixture, purpose).await;
        if !output.is_json() {
            show(output, &report, purpose);
        }
        reports.push(report);
    }
    let count_of =
        |verdict| reports.iter().filter(|report| report.verdict == verdict).count() as u64;
    let (differing, failed) = (count_of(Verdict::Differs), count_of(Verdict::Failed));
    let is_offered = |report: &Report| report.verdict == Verdict::Differs && report.acceptable;
    let has_acceptable = reports.iter().any(is_offered);
    let total = render::counted(reports.len() as u64, "fixture", "fixtures");
    if output.is_json() {
        output.document(&Tested {
            plugin: plugin.info.name.clone(),
            version: plugin.info.version.clone(),
            digest: plugin.digest.to_string(),
            fixtures: reports,
        });
    } else if differing + failed == 0 {
        output.line(&format!("{total} of `{}` in order", plugin.info.name));
    }
    if has_acceptable {
        output.note(&format!("to accept what comes out: {}", update_line(config, asked)));
    }
    match differing + failed {
        0 => Ok(Exit::Done),
        count => Err(Error::CheckFailed(format!("{count} of {total} not in order"))),
    }
}

/// Where the component comes from.
enum Source<'a> {
    /// It is named.
    File(&'a Path),
    /// It is built of the sources as they are.
    Project(Project),
}

impl<'a> Source<'a> {
    fn of(asked: &'a Test) -> Result<Self, Error> {
        Ok(match &asked.component {
            Some(component) => Source::File(component),
            None => Source::Project(Project::open(&asked.project)?),
        })
    }

    fn component(&self, output: &Output) -> Result<PathBuf, Error> {
        match self {
            Source::File(component) => Ok((*component).to_owned()),
            Source::Project(project) => {
                let built = project::build(project, &mut |line| output.note(&clean(line)))?;
                Ok(built.component)
            }
        }
    }
}

/// The command that makes what came out what is expected.
fn update_line(config: &Config, asked: &Test) -> String {
    let mut line = "plugin test".to_owned();
    if asked.project != Path::new(".") {
        line.push_str(&format!(" {}", in_a_shell(&asked.project)));
    }
    if let Some(component) = &asked.component {
        line.push_str(&format!(" --component {}", in_a_shell(component)));
    }
    command_line(config, &format!("{line} --update"))
}

fn show(output: &Output, report: &Report, purpose: Purpose) {
    let paint = output.paint();
    let word = match report.verdict {
        Verdict::Passed => paint.good("ok"),
        Verdict::Updated => paint.good("updated"),
        Verdict::Differs => paint.bad("differs"),
        Verdict::Failed => paint.bad("failed"),
    };
    output.line(&format!("{word} {}", clean(&report.name)));
    // Why it failed goes before what came of that.
    if let Some(failure) = &report.failure {
        show_failure(output, failure);
    }
    for problem in &report.problems {
        output.line(&format!("  {}", clean(problem)));
    }
    for difference in &report.differences {
        let what = match (purpose, difference.change) {
            (Purpose::Compare, Change::New) => "came out, and is not expected",
            (Purpose::Compare, Change::Changed) => "came out otherwise",
            (Purpose::Compare, Change::Missing) => "is expected, and did not come out",
            (Purpose::Update, Change::New | Change::Changed) => "written",
            (Purpose::Update, Change::Missing) => "removed",
        };
        output.line(&format!("  expected/{}: {what}", clean(&difference.file)));
        // Where the stage failed, all that it would have made is missing: each whole file would bury the reason.
        let is_told = report.failure.is_some() && difference.change == Change::Missing;
        if purpose == Purpose::Compare && !is_told && !difference.diff.is_empty() {
            output.diff(&difference.diff);
        }
    }
}
