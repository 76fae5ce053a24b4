//! `plugin build`.
use std::path::Path;

use authoring::project::{self, Project};
use serde::Serialize;

use crate::args::Build;
use crate::error::{Error, Exit};
use crate::output::{Output, clean};
use crate::render;
use crate::session::in_a_shell;

/// What was built, for programs.
#[derive(Serialize)]
struct Built {
    component: String,
    size_bytes: u64,
    next: String,
}

pub(super) fn build(output: &Output, asked: &Build) -> Result<Exit, Error> {
    let project = Project::open(&asked.project)?;
    let built = project::build(&project, &mut |line| output.note(&clean(line)))?;
    let component = built.component.display().to_string();
    let component = component.strip_prefix("./").unwrap_or(&component).to_owned();
    let next = next_step(&asked.project);
    if output.is_json() {
        output.document(&Built { component, size_bytes: built.size_bytes, next });
        return Ok(Exit::Done);
    }
    output.line(&format!("built `{component}`: {}", render::size(built.size_bytes)));
    output.line(&format!("next: {next}"));
    Ok(Exit::Done)
}

fn next_step(project: &Path) -> String {
    match project.to_str() {
        Some(".") => "stagewright plugin test".to_owned(),
        Some(_) | None => format!("stagewright plugin test {}", in_a_shell(project)),
    }
}
