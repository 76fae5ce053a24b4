//! What a stage is told, as a file says it: `input.yaml` of a fixture, the input of a trial, the context of a recording.
//!
//! A file says as little as it likes, `request_text` alone is enough; the rest gets fixed values, so that a stage is told
//! the same on every machine.
//!
//! Invariant: nothing outside of the folder of the file is read.
mod form;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::{Component, Path};

use domain::stage::StageContext;
use domain::{Json, Limits};
use profile::{Problem, Problems};

pub(crate) use form::{ArtifactForm, ContextForm, JsonPart, Named, variables_form, variables_of};
pub(crate) use yaml::{parse as parse_yaml, written as written_yaml};

use crate::Error;

/// Largest file that is read, in bytes: more than all artifacts that a stage may get at the default limits.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What one attempt at a stage is told, and what it may use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What the stage is told.
    pub context: StageContext,
    /// What it may use up.
    pub limits: Limits,
    /// The files of which it has texts, as it names them.
    pub files: Vec<String>,
}

impl Input {
    /// Reads a YAML or JSON file. Texts that it names lie in its folder.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Problems`] if it cannot be understood.
    pub fn read(path: &Path) -> Result<Input, Error> {
        Self::parse(&read_text(path)?, path)
    }

    /// Understands the text of the file at `path`.
    ///
    /// # Errors
    /// [`Error::Problems`] with the place of what is wrong, [`Error::Io`] if a text that it names cannot be read.
    pub fn parse(text: &str, path: &Path) -> Result<Input, Error> {
        let form: ContextForm<serde_json::Value> = parse_yaml(text, path)?;
        let limits = match &form.limits {
            Some(said) => profile::limits_of(said, "/limits")
                .map_err(|problems| Error::Problems(in_file(problems, path)))?,
            None => Limits::DEFAULT,
        };
        let files = form.files();
        let context = form.into_context(&Texts::Below(path))?;
        Ok(Input { context, limits, files })
    }
}

/// Where the texts of a context are.
pub(crate) enum Texts<'a> {
    /// In the folder of this file, or in the file itself.
    Below(&'a Path),
    /// In the file itself.
    Inside(&'a Path),
}

impl Texts<'_> {
    /// The file that is being understood.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Texts::Below(path) | Texts::Inside(path) => path,
        }
    }

    /// A problem with what a JSON pointer into the file points at.
    pub(crate) fn problem(&self, pointer: &str, message: &str, hint: &str) -> Error {
        let place = self.path().display().to_string();
        let problem = Problem::of_file(place, format!("`{pointer}`: {message}"));
        Error::Problems(problem.with_hint(hint).into())
    }

    /// Why a text that is named cannot be read, with what names it.
    fn unread(&self, pointer: &str, file: &str, error: Error) -> Error {
        match error {
            Error::Io { cause, .. } => {
                let message = format!("`file` names `{file}`, which cannot be read: {cause}");
                self.problem(pointer, &message, "write that file, or correct its name")
            }
            other => other,
        }
    }

    /// The text that is said, or that lies in the file that is named.
    pub(crate) fn body(
        &self,
        pointer: &str,
        body: Option<String>,
        file: Option<&str>,
    ) -> Result<String, Error> {
        match (self, body, file) {
            (_, Some(body), None) => Ok(body),
            (Texts::Below(path), None, Some(file)) => {
                if !is_below(Path::new(file)) {
                    let message = format!("`{file}` is outside of the folder");
                    return Err(self.problem(
                        pointer,
                        &message,
                        "name a file below the folder of this one, without `..`",
                    ));
                }
                let lies = path.with_file_name(file);
                if is_linked_away(path, &lies) {
                    let message = format!("`{file}` leads out of the folder by a link");
                    return Err(self.problem(pointer, &message, "copy the file into the folder"));
                }
                read_text(&lies).map_err(|error| self.unread(pointer, file, error))
            }
            (Texts::Inside(_), None, Some(_)) => {
                Err(self.problem(pointer, "a recording names no files", "put the text into `body`"))
            }
            (_, Some(_), Some(_)) => {
                Err(self.problem(pointer, "both `body` and `file` are said", "keep one of the two"))
            }
            (_, None, None) => Err(self.problem(
                pointer,
                "there is no text",
                "say it in `body`, or name its file in `file`",
            )),
        }
    }
}

/// Whether a path stays below the folder at which it starts.
pub(crate) fn is_below(path: &Path) -> bool {
    let mut parts = path.components();
    parts.clone().next().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a link leads from a path below the folder of `file` to somewhere else. What is not there leads nowhere.
fn is_linked_away(file: &Path, path: &Path) -> bool {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    let found = path.canonicalize();
    matches!((folder, found), (Ok(folder), Ok(found)) if !found.starts_with(&folder))
}

/// The text of a file, of bounded size.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    let size_bytes = std::fs::metadata(path).map_err(|cause| Error::io(path, cause))?.len();
    if size_bytes > FILE_BYTES_MAX {
        let message = format!("the file has more than {} MiB", FILE_BYTES_MAX >> 20);
        return Err(Error::Problems(Problem::of_file(path.display().to_string(), message).into()));
    }
    std::fs::read_to_string(path).map_err(|cause| Error::io(path, cause))
}

/// Problems that were found by pointer, with the file that they are in.
fn in_file(problems: Problems, path: &Path) -> Problems {
    let place = path.display().to_string();
    problems
        .into_iter()
        .map(|problem| Problem {
            message: format!("`{}`: {}", problem.place, problem.message),
            hint: problem.hint,
            place: profile::Place::FileOnly { path: place.clone() },
        })
        .collect()
}

/// The media type that a file name suggests.
pub fn media_type_of(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("md") => "text/markdown",
        Some("json") => "application/json",
        Some("html") => "text/html",
        Some("csv") => "text/csv",
        Some("yaml" | "yml") => "application/yaml",
        Some("svg") => "image/svg+xml",
        _ => "text/plain",
    }
}

/// JSON of any kind as the domain carries it.
pub(crate) fn json_of(value: &serde_json::Value) -> Json {
    Json::from_parsed(value.to_string())
}
