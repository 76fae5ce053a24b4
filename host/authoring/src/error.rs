//! Why something of an author's could not be done.
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use domain::InvalidId;

use crate::project::PROJECT_FILE;

/// Why something could not be done. Each names the place, the cause and the cure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// What a file says cannot be used: each problem with its place.
    #[error("{0}")]
    Problems(profile::Problems),
    /// This machine cannot run guests.
    #[error(transparent)]
    Sandbox(sandbox::Error),
    /// The component is not there, or does not fit the contract.
    #[error(transparent)]
    Plugin(domain::port::PluginError),
    /// The models cannot be opened.
    #[error(transparent)]
    Gateway(gateway::Error),
    /// A project has nothing to be tested against.
    #[error("there are no fixtures: `{}`", .folder.display())]
    NoFixtures {
        /// Where they would be.
        folder: PathBuf,
    },
    /// A plugin cannot have this name.
    #[error("`{name}` cannot be the name of a plugin: {reason}")]
    NameInvalid {
        /// What was asked for.
        name: String,
        /// Why not.
        reason: InvalidId,
    },
    /// A Rust project has another package with the name.
    #[error("`{name}` is the name of a crate that the plugin depends on")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is something where a project was to be begun; it was left alone.
    #[error("there is a `{}` already", .folder.display())]
    FolderExists {
        /// Where.
        folder: PathBuf,
    },
    /// The folder has no project in it.
    #[error("`{}` is no plugin project: it has no `{PROJECT_FILE}`", .folder.display())]
    NotAProject {
        /// Which.
        folder: PathBuf,
    },
    /// What a project says about itself cannot be used.
    #[error("{}: {detail}", .path.display())]
    ProjectInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        detail: String,
    },
    /// A tool that builds the component is not there.
    #[error("`{tool}` is needed to build this plugin, and was not found")]
    ToolMissing {
        /// Which.
        tool: &'static str,
        /// How to get it.
        cure: &'static str,
    },
    /// A tool that builds the component is there and cannot be run.
    #[error("`{tool}` does not run: {cause}")]
    ToolUnusable {
        /// Which.
        tool: &'static str,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Rust's standard library for components is not there.
    #[error(
        "Rust's standard library for `{target}` is needed to build this plugin, and is not installed"
    )]
    TargetMissing {
        /// The target of the compiler.
        target: &'static str,
    },
    /// The tool has said what is wrong with the plugin.
    #[error("`{tool}` did not build the plugin ({status})")]
    BuildFailed {
        /// Which.
        tool: &'static str,
        /// How it ended.
        status: ExitStatus,
    },
    /// The tool was content, and the component is not where it should be.
    #[error("the build made no component: `{}`", .component.display())]
    NothingBuilt {
        /// Where it should be.
        component: PathBuf,
    },
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Io { .. } | Error::ToolUnusable { .. } => return None,
            Error::Problems(problems) => {
                return problems.items().iter().find_map(|problem| problem.hint.clone());
            }
            Error::Sandbox(_) => return None,
            Error::Plugin(_) => "see everything that is wrong with `stagewright plugin check FILE`",
            Error::Gateway(error) => error.hint(),
            Error::NoFixtures { .. } => {
                "begin one: write `request_text: ...` into `fixtures/first/input.yaml` and the model's answer into `fixtures/first/answer-1.md`, then `stagewright plugin test --update`"
            }
            Error::NameInvalid { .. } => "write e.g. `brand-voice`",
            Error::NameTaken { .. } => "choose another one",
            Error::FolderExists { .. } => "choose another name, or another folder with `--to DIR`",
            Error::NotAProject { .. } => {
                "name the folder of a plugin, or begin one with `stagewright plugin new NAME`"
            }
            Error::ProjectInvalid { .. } => {
                "it has two lines: `language: rust`, `js` or `python`, and `component: dist/plugin.wasm`"
            }
            Error::ToolMissing { cure, .. } => cure,
            Error::TargetMissing { target } => {
                return Some(format!("add it: `rustup target add {target}`"));
            }
            Error::BuildFailed { .. } => "correct what it says above, then build again",
            Error::NothingBuilt { .. } => {
                "let `component` in `stagewright-plugin.yaml` name the file that the build writes"
            }
        };
        Some(text.to_owned())
    }

    pub(crate) fn io(path: &Path, cause: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }
}
