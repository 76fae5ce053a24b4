//! `plugin test`.
use std::path::PathBuf;

use authoring::fixtures::{Change, Purpose, Report, Verdict, fixtures_of, run_fixture};
use authoring::project::{self, Project};
use authoring::trial::Workshop;
use serde::Serialize;

use super::check::unreadable;
use crate::args::Test;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::{Output, clean};
use crate::render;

/// What came of all fixtures, for programs.
#[derive(Serialize)]
struct Tested {
    plugin: String,
    version: String,
    digest: String,
    fixtures: Vec<Report>,
}

pub(super) async fn test(config: &Config, output: &Output, asked: &Test) -> Result<Exit, Error> {
    let fixtures = fixtures_of(&asked.project)?;
    let component = component(output, asked)?;
    let workshop = Workshop::open(&config.data_dir)?;
    let plugin = workshop.plugin(&component).map_err(unreadable)?;
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
    if differing > 0 {
        let folder = asked.project.display();
        output
            .note(&format!("to accept what comes out: stagewright plugin test {folder} --update"));
    }
    match differing + failed {
        0 => Ok(Exit::Done),
        count => Err(Error::CheckFailed(format!("{count} of {total} not in order"))),
    }
}

/// The component that is named, or the one that is built of the sources as they are.
fn component(output: &Output, asked: &Test) -> Result<PathBuf, Error> {
    if let Some(component) = &asked.component {
        return Ok(component.clone());
    }
    let project = Project::open(&asked.project)?;
    let built = project::build(&project, &mut |line| output.note(&clean(line)))?;
    Ok(built.component)
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
        if purpose == Purpose::Compare && !difference.diff.is_empty() {
            output.diff(&difference.diff);
        }
    }
}
