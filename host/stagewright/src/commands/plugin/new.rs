//! `plugin new`.
use std::path::Path;

use authoring::{Language, project};
use serde::Serialize;

use crate::args::New;
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::session::in_a_shell;

/// What was begun, for programs.
#[derive(Serialize)]
struct Begun<'a> {
    name: &'a str,
    language: &'a str,
    folder: String,
    component: String,
    next: Vec<String>,
}

pub(super) fn new(output: &Output, asked: New) -> Result<Exit, Error> {
    let parent = asked.to.unwrap_or_default();
    let project = project::begin(&asked.name, asked.lang, &parent)?;
    let next = next_steps(project.folder(), asked.lang);
    let folder = project.folder().display().to_string();
    if output.is_json() {
        output.document(&Begun {
            name: &asked.name,
            language: asked.lang.as_str(),
            folder,
            component: project.component().display().to_string(),
            next,
        });
        return Ok(Exit::Done);
    }
    output.line(&format!("`{}` is begun in `{folder}`. Next:", asked.name));
    for step in next {
        output.line(&format!("  {step}"));
    }
    Ok(Exit::Done)
}

/// What to type, from the folder in which the plugin was begun.
fn next_steps(folder: &Path, language: Language) -> Vec<String> {
    let enter = format!("cd {}", in_a_shell(folder));
    let own = project::setup(language).iter().map(|step| (*step).to_owned());
    let ours = ["stagewright plugin build", "stagewright plugin test"].map(str::to_owned);
    std::iter::once(enter).chain(own).chain(ours).collect()
}
