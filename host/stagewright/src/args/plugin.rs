//! What authors of plugins can type.
use std::path::PathBuf;

use authoring::Language;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    #[command(flatten)]
    OnFiles(PluginFiles),
    /// Take an attempt out of a run, as one file that can be replayed anywhere.
    Record(Record),
}

/// What needs no run, but files of the author's.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginFiles {
    /// Begin a plugin: a folder that builds and passes its test.
    New(New),
    /// Build a component with the language's own tool.
    Build(Build),
    /// Compare a component with the contract, and say what it may use and costs.
    Check(Check),
    /// Do one stage with a component, with scripted answers or a real model.
    Run(RunPlugin),
    /// Run a plugin's fixtures and compare what comes out.
    Test(Test),
    /// Do a recorded attempt again, and name the first difference.
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Its name, which is also that of its folder: small letters, digits and `-`.
    pub(crate) name: String,
    /// The language: `rust`, `js` (or `javascript`), `python` (or `py`).
    #[arg(long, value_name = "LANGUAGE", default_value_t = Language::Rust)]
    pub(crate) lang: Language,
    /// The folder to begin it in.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The folder of the plugin.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The component.
    #[arg(value_name = "FILE")]
    pub(crate) component: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunPlugin {
    /// The component.
    #[arg(value_name = "FILE")]
    pub(crate) component: PathBuf,
    /// What the stage is told: a file as in a fixture, or the folder of a fixture, whose `input.yaml` it is.
    #[arg(long, short, value_name = "FILE|DIR")]
    pub(crate) input: PathBuf,
    /// An answer of the model; said once for each, in their order (`--answer a.md --answer b.md`). Without any, the
    /// built-in scripted writer answers.
    #[arg(long = "answer", value_name = "FILE", conflicts_with = "provider")]
    pub(crate) answers: Vec<PathBuf>,
    /// What another host answers: a file as in a fixture; said once for each, in the order of the requests. Without any
    /// the stage has no network.
    #[arg(long = "response", value_name = "FILE")]
    pub(crate) responses: Vec<PathBuf>,
    /// A configured provider that answers, which may cost money.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// One of its models.
    #[arg(long, value_name = "NAME", requires = "provider")]
    pub(crate) model: Option<String>,
    /// Folder for the artifacts; without it they are printed.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Also write what happened into one file that can be replayed.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The folder of the plugin.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
    /// Test this component, and build nothing.
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Option<PathBuf>,
    /// Write what comes out into the fixtures instead of comparing it.
    #[arg(long)]
    pub(crate) update: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The run, or `last`.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The stage.
    #[arg(value_name = "STAGE")]
    pub(crate) stage: String,
    /// Which attempt [default: the last one that ended].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) attempt: Option<u32>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The recording.
    #[arg(value_name = "FILE")]
    pub(crate) recording: PathBuf,
    /// The component [default: what the project around the recording or the working folder has built, if it has the
    /// recording's name; else the plugin with the digest that the recording names].
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Option<PathBuf>,
}
