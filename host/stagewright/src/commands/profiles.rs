//! `profiles`: see and check workflow profiles.
use std::path::{Path, PathBuf};

use control_api::dto::{ListDto, PreviewRequest, ProfileSummaryDto};
use profile::{Library, Problem};
use serde::Serialize;

use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::{Output, clean};
use crate::render;
use crate::session::{ConfiguredModels, Session, open_sandbox};

pub(super) async fn list(session: &Session<'_>) -> Result<Exit, Error> {
    let profiles = session.client.profiles().await?;
    if session.output.is_json() {
        session.output.document(&ListDto { items: profiles, next_cursor: None });
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = profiles.iter().map(row).collect();
    let head = ["MODE", "VERSION", "STAGES", "GATES", "SOURCE", "TITLE"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    for profile in &profiles {
        for problem in &profile.problems {
            let paint = session.output.paint_notes();
            let text = clean(&format!("{}: {}", problem.place, problem.message));
            session.output.note(&format!("{} {text}", paint.waiting("warning:")));
        }
    }
    Ok(Exit::Done)
}

fn row(profile: &ProfileSummaryDto) -> Vec<String> {
    let title = match profile.problems.len() {
        0 => profile.title.clone(),
        _ => "cannot be used".to_owned(),
    };
    vec![
        profile.mode.clone(),
        profile.version.clone(),
        profile.stages.len().to_string(),
        profile.gate_count.to_string(),
        profile.source.clone(),
        title,
    ]
}

pub(super) async fn show(session: &Session<'_>, mode: &str) -> Result<Exit, Error> {
    let profile = session.client.profile(mode).await?;
    if session.output.is_json() {
        session.output.document(&profile);
    } else {
        session.output.foreign(&profile.text);
    }
    Ok(Exit::Done)
}

/// What the check of one profile found.
#[derive(Serialize)]
struct Checked {
    profile: String,
    ok: bool,
    problems: Vec<Finding>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Finding {
    place: String,
    message: String,
    hint: Option<String>,
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Finding {
        Finding {
            place: problem.place.to_string(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}

/// Checks files that need not lie in a profile folder. Opens no data folder: a server may own it.
pub(super) fn check_files(
    config: &Config,
    output: &Output,
    files: &[PathBuf],
) -> Result<Exit, Error> {
    let sandbox = open_sandbox(config)?;
    let models = ConfiguredModels::new(config)?;
    let check = |path: &PathBuf| check_file(path, &sandbox, &models);
    let checked: Vec<Checked> = files.iter().map(check).collect();
    say(output, &checked)
}

fn check_file(path: &Path, sandbox: &sandbox::Sandbox, models: &ConfiguredModels) -> Checked {
    let profile = path.display().to_string();
    match Library::check_file(path, sandbox, models) {
        Ok(resolved) => {
            Checked { profile, ok: true, problems: Vec::new(), warnings: resolved.warnings }
        }
        Err(problems) => {
            let problems = problems.items().iter().map(Finding::from).collect();
            Checked { profile, ok: false, problems, warnings: Vec::new() }
        }
    }
}

/// Checks every profile that a run can be started with.
pub(super) async fn check_all(session: &Session<'_>) -> Result<Exit, Error> {
    let mut all = Vec::new();
    for profile in session.client.profiles().await? {
        let name = format!("{} ({})", profile.mode, profile.source);
        all.push(if profile.problems.is_empty() {
            check_mode(session, name, profile.mode).await?
        } else {
            let problems = profile.problems.into_iter().map(|item| Finding {
                place: item.place,
                message: item.message,
                hint: item.hint,
            });
            Checked { profile: name, ok: false, problems: problems.collect(), warnings: Vec::new() }
        });
    }
    say(session.output, &all)
}

async fn check_mode(session: &Session<'_>, name: String, mode: String) -> Result<Checked, Error> {
    let ask = PreviewRequest { mode, ..PreviewRequest::default() };
    match session.client.preview(&ask).await {
        Ok(preview) => Ok(Checked {
            profile: name,
            ok: true,
            problems: Vec::new(),
            warnings: preview.warnings,
        }),
        Err(Error::Problem(problem)) if !problem.problems.is_empty() => {
            let problems = problem.problems.into_iter().map(|item| Finding {
                place: item.place,
                message: item.message,
                hint: item.hint,
            });
            let problems = problems.collect();
            Ok(Checked { profile: name, ok: false, problems, warnings: Vec::new() })
        }
        Err(error) => Err(error),
    }
}

fn say(output: &Output, all: &[Checked]) -> Result<Exit, Error> {
    let broken_count = all.iter().filter(|checked| !checked.ok).count();
    if output.is_json() {
        output.document(&serde_json::json!({ "items": all }));
    } else {
        all.iter().for_each(|checked| say_one(output, checked));
    }
    if broken_count == 0 {
        return Ok(Exit::Done);
    }
    let what = render::counted(broken_count as u64, "profile has", "profiles have");
    Err(Error::CheckFailed(format!("{what} problems")))
}

fn say_one(output: &Output, checked: &Checked) {
    let paint = output.paint();
    let name = clean(&checked.profile);
    if checked.ok {
        output.line(&format!("{} {name}", paint.good("ok")));
    } else {
        output.line(&format!("{} {name}", paint.bad("not ok")));
    }
    for problem in &checked.problems {
        output.line(&clean(&format!("  - {}: {}", problem.place, problem.message)));
        if let Some(hint) = &problem.hint {
            output.line(&format!("    {} {}", paint.good("hint:"), clean(hint)));
        }
    }
    for warning in &checked.warnings {
        output.line(&format!("  {} {}", paint.waiting("warning:"), clean(warning)));
    }
}
