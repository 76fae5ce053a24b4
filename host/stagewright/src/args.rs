//! The command line: what can be typed. What it does is in `commands`.
mod gates;
mod housekeeping;
mod models;
mod nouns;
mod plugin;
mod registry;
mod text;
mod uploads;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::gates::{Approvals, ApprovalsList, Decision, Edit, Grant, Revise, Terms};
pub(crate) use self::housekeeping::{Backup, Export, Import, Prune, Restore};
pub(crate) use self::models::{Cache, Calls, CallsList, Providers, Secrets, Usage};
pub(crate) use self::nouns::other_noun;
pub(crate) use self::plugin::{
    Build, Check, New, Plugin, PluginFiles, Record, Replay, RunPlugin, Test,
};
pub(crate) use self::registry::{Pull, Push};
pub(crate) use self::text::{Assignment, TextSource, edits, overrides, variables};
pub(crate) use self::uploads::{AddPlugin, RemovePlugin};
use crate::config::Flags;
use crate::output::Format;

/// Runs LLM workflows whose steps are sandboxed WebAssembly components.
///
/// Exit codes: 0 done, 1 refused or the run failed, 2 usage or configuration, 3 internal, 4 the run waits (at a gate, paused, or left before its end).
#[derive(Debug, Parser)]
#[command(name = "stagewright", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Folder with runs, plugins and profiles [default: .stagewright].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file [default: stagewright.yaml, if there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What standard output carries: text for people, or JSON (one document, or one line per event for streams).
    #[arg(long, short, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
    /// Who acts: starts, decides, gives a command [default: whoever is logged in].
    #[arg(long, global = true, value_name = "NAME")]
    actor: Option<String>,
}

impl Arguments {
    /// What the command line says about the configuration.
    pub(crate) fn flags(&self) -> Flags {
        let (host, port) = match &self.command {
            Command::Serve(serve) => (serve.host.clone(), serve.port),
            _ => (None, None),
        };
        Flags {
            data_dir: self.global.data_dir.clone(),
            config: self.global.config.clone(),
            host,
            port,
            actor: self.global.actor.clone(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the Foundation workflow from start to end on the built-in scripted writer.
    Demo(Demo),
    /// Start a run, follow it, and ask at each gate.
    Run(Box<Run>),
    /// See and steer runs.
    #[command(subcommand)]
    Runs(Runs),
    /// See and decide what waits for a person.
    #[command(subcommand)]
    Approvals(Approvals),
    /// See and check workflow profiles.
    #[command(subcommand)]
    Profiles(Profiles),
    /// See, add and remove the plugins that stages can be done with.
    #[command(subcommand)]
    Plugins(Plugins),
    /// Write a plugin: begin, build, check, try, test, record and replay.
    #[command(subcommand)]
    Plugin(Plugin),
    /// See and check the providers of language models.
    #[command(subcommand)]
    Providers(Providers),
    /// See the model calls of runs, chats and clients.
    #[command(subcommand)]
    Calls(Calls),
    /// Sum up what model calls used and cost.
    Usage(Usage),
    /// See and clear the cache of answers.
    #[command(subcommand)]
    Cache(Cache),
    /// Keep keys in the encrypted vault of the data folder.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Copy the data folder into one file, also while it is in use.
    Backup(Backup),
    /// Put a backup into a data folder that is empty or does not exist.
    Restore(Restore),
    /// Serve the HTTP API.
    Serve(Serve),
    /// Say what is configured, what works, and what to do about what does not.
    Doctor(Doctor),
    /// Check the component on standard input, as a child of the process that takes it in.
    #[command(hide = true)]
    CheckComponent {
        /// Where compiled code lies.
        cache_dir: PathBuf,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Also read all that is kept: every page, every text and its digest, and every run's log against what is shown of
    /// it. Takes minutes for a large folder.
    #[arg(long)]
    pub(crate) deep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// What the brief is to be about; asked for on a terminal if left out.
    #[arg(value_name = "REQUEST_TEXT")]
    pub(crate) request: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The profile to carry out, e.g. `foundation_stack`.
    pub(crate) mode: String,
    /// What is asked for: a text, `@FILE`, or `-` for standard input.
    #[arg(long, short, value_name = "TEXT|@FILE|-")]
    pub(crate) request: TextSource,
    /// Start it and do not follow it.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Grant every gate, except those that ask for more budget.
    #[arg(long, short, conflicts_with = "detach")]
    pub(crate) yes: bool,
    /// A context variable to begin with; the value is JSON, or text if it is none.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub(crate) variables: Vec<Assignment>,
    /// The conversation that the run is part of.
    #[arg(long, value_name = "ID")]
    pub(crate) thread: Option<String>,
    /// The brand that it is about.
    #[arg(long, value_name = "ID")]
    pub(crate) brand: Option<String>,
    /// The project that it is part of.
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
    /// Replaces the text of a skill.
    #[arg(long = "skill-override", value_name = "SKILL=TEXT|@FILE")]
    pub(crate) skills: Vec<Assignment>,
    /// Changes a stage, e.g. `research={"settings":{"depth":"deep"}}`.
    #[arg(long = "stage-override", value_name = "STAGE=JSON|@FILE")]
    pub(crate) stages: Vec<Assignment>,
    /// The same key with the same request gives the same run.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// A run, or `last` for the one that was started last.
#[derive(Debug, Args)]
pub(crate) struct OneRun {
    /// The run, or `last`.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List runs, the newest first.
    List(RunsList),
    /// Show a run with its stages.
    Show(OneRun),
    /// Follow a run, and ask at each gate.
    Watch(Watch),
    /// Pause a run after the stage that is running.
    Pause(OneRun),
    /// Let a paused run go on.
    Resume(Continue),
    /// Call a run off.
    Cancel(Cancel),
    /// Start again from the stage at which a run ended, or from another one.
    Retry(Retry),
    /// Print a run's log.
    Events(OneRun),
    /// List a run's artifacts, or print one.
    Artifacts(Artifacts),
    /// Show what changed from one version of an artifact to another.
    Diff(Diff),
    /// List a run's model calls, or show one with its texts.
    Calls(RunCalls),
    /// List the HTTP requests of a run's stages.
    Requests(OneRun),
    /// Show the prompt that a stage would send now, its tokens and its estimated cost.
    Prompt(Prompt),
    /// Remove runs that ended long ago, or list those that would go.
    Prune(Prune),
    /// Write a run into one archive.
    Export(Export),
    /// Take a run in from an archive.
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct RunsList {
    /// Only those that are in this state.
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Only those of this profile.
    #[arg(long)]
    pub(crate) mode: Option<String>,
    /// Only those of this conversation.
    #[arg(long, value_name = "ID")]
    pub(crate) thread: Option<String>,
    /// Only those that wait for a person.
    #[arg(long)]
    pub(crate) waiting: bool,
    /// Only those that were started since then (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Page {
    /// How many at most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
    /// Where an earlier list ended.
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// Grant every gate, except those that ask for more budget.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Continue {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// Do not follow the run where no server carries it on.
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// Why.
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// The first stage to do again; the results of those before are kept.
    #[arg(long)]
    pub(crate) stage: Option<String>,
    /// Do not follow the run where no server carries it on.
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Artifacts {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// The stage that made the artifact to print.
    #[arg(requires = "name")]
    pub(crate) stage: Option<String>,
    /// The artifact's name.
    pub(crate) name: Option<String>,
    /// An earlier version.
    #[arg(long, requires = "name")]
    pub(crate) version: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// The stage that made the artifact.
    pub(crate) stage: String,
    /// The artifact's name.
    pub(crate) name: String,
    /// The older version [default: the one before the newer].
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: Option<u32>,
    /// The newer version [default: the newest].
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct RunCalls {
    /// A run, `last`, or one call.
    #[arg(value_name = "RUN|CALL")]
    pub(crate) run_or_call: String,
}

#[derive(Debug, Args)]
pub(crate) struct Prompt {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// The stage.
    pub(crate) stage: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Profiles {
    /// List the profiles that a run can be started with.
    List,
    /// Show a profile as it was written.
    Show {
        /// The profile.
        mode: String,
    },
    /// Check profile files, or all profiles of this host.
    Check {
        /// The files; all profiles of this host if none is named.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugins {
    /// List the plugins that a profile can name.
    List,
    /// Show what a plugin says about itself, and what it imports.
    Show {
        /// Its name, `name@version`, or digest.
        plugin: String,
    },
    /// Check a component and keep it: new runs can use it from then on.
    Add(AddPlugin),
    /// Remove a plugin that was added.
    Remove(RemovePlugin),
    /// Push a plugin to an OCI registry that the configuration allows.
    Push(Push),
    /// Pull a plugin from an OCI registry that the configuration allows, check it, and keep it.
    Pull(Pull),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on [default: 127.0.0.1].
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 8766].
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
