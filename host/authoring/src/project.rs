//! The folder in which an author works on a plugin: how it is begun, what it says about itself, and how the component is
//! built.
//!
//! Does not run components. Invariant: beginning and building write only into the project's folder.
mod begin;
mod build;
mod embedded;
mod line_tables;
mod tools;

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Language};

pub use begin::begin;
pub use build::{Built, build, setup};

/// What a project says about itself, in its folder.
pub const PROJECT_FILE: &str = "stagewright-plugin.yaml";

/// A plugin that an author works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    folder: PathBuf,
    language: Language,
    component: PathBuf, // Invariant: relative, and never leads out of the folder.
}

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    language: String,
    component: PathBuf,
}

impl Project {
    /// Reads what the project in a folder says about itself.
    ///
    /// # Errors
    /// [`Error::NotAProject`] without the file, [`Error::ProjectInvalid`] with one that cannot be used.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(PROJECT_FILE);
        if !path.is_file() {
            return Err(Error::NotAProject { folder: folder.to_owned() });
        }
        let text = fs::read_to_string(&path).map_err(|cause| Error::io(&path, cause))?;
        let invalid = |detail: String| Error::ProjectInvalid { path: path.clone(), detail };
        let said: Said = serde_saphyr::from_str(&text)
            .map_err(|error| invalid(first_line(&error.to_string())))?;
        let language = said.language.parse().map_err(invalid)?;
        if !stays_inside(&said.component) {
            let shown = said.component.display();
            return Err(invalid(format!("`component` leads out of the project: `{shown}`")));
        }
        Ok(Self { folder: folder.to_owned(), language, component: said.component })
    }

    /// The project that a file or folder lies in: of the nearest folder above that is one. One that cannot be used is none.
    pub fn around(place: &Path) -> Option<Self> {
        let place = place.canonicalize().ok()?;
        let folder = place.ancestors().find(|folder| folder.join(PROJECT_FILE).is_file())?;
        Self::open(folder).ok()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it is written in.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Where its component lies once it is built.
    pub fn component(&self) -> PathBuf {
        self.folder.join(&self.component)
    }
}

/// A parser shows the place in several lines; the first has line, column and reason.
fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

fn stays_inside(path: &Path) -> bool {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    path.file_name().is_some() && path.components().all(is_plain)
}

#[cfg(test)]
mod tests;
