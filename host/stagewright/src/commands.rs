//! What each command does. A command asks the API through [`Session`], and shows what it answers; it decides nothing
//! about runs itself.
mod approvals;
mod backup;
mod cache;
mod calls;
mod demo;
mod doctor;
mod export;
mod import;
mod plugin;
mod plugins;
mod plugins_oci;
mod profiles;
mod providers;
mod prune;
mod requests;
mod run;
mod runs;
mod secrets;
mod serve;
mod usage;

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use engine::DriveOnStart;

use crate::args::{Arguments, Command, Plugin, Plugins, Profiles, Providers, Runs, Secrets};
use crate::config::{Config, VaultConfig};
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::session::Session;
use crate::telemetry::Telemetry;

pub(crate) use doctor::doctor_unconfigured;

/// Does what the command line says.
pub(crate) async fn perform(
    command: Command,
    config: &Config,
    output: &Output,
    telemetry: &Telemetry,
) -> Result<Exit, Error> {
    match command {
        Command::Serve(_) => serve::serve(config, output, telemetry.metrics()).await,
        Command::Doctor(asked) => doctor::doctor(config, output, asked).await,
        Command::Restore(asked) => backup::restore(config, output, &asked),
        Command::Profiles(Profiles::Check { files }) if !files.is_empty() => {
            profiles::check_files(config, output, &files)
        }
        Command::Plugins(Plugins::Push(asked)) => plugins_oci::push(config, output, &asked).await,
        Command::Plugins(Plugins::Pull(asked)) => plugins_oci::pull(config, output, &asked).await,
        Command::Plugin(Plugin::OnFiles(command)) => plugin::perform(config, output, command).await,
        command => {
            let session = Session::open(config, output, drive_on_start(&command)).await?;
            let outcome = Box::pin(with_session(&session, command)).await;
            session.close().await;
            outcome
        }
    }
}

/// Whether unfinished runs go on while a command has the engine: those that carry runs on do, so that whatever a crash
/// left behind is picked up; those that look at something, or do one thing to one run, cost nobody anything.
fn drive_on_start(command: &Command) -> DriveOnStart {
    match command {
        Command::Run(_) | Command::Serve(_) | Command::Runs(Runs::Watch(_) | Runs::Resume(_)) => {
            DriveOnStart::UnfinishedRuns
        }
        // A demonstration must not go on with somebody's real run, which may cost money.
        Command::Demo(_)
        | Command::Runs(_)
        | Command::Approvals(_)
        | Command::Profiles(_)
        | Command::Plugins(_)
        | Command::Plugin(_)
        | Command::Providers(_)
        | Command::Calls(_)
        | Command::Usage(_)
        | Command::Cache(_)
        | Command::Secrets(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Doctor(_)
        | Command::CheckComponent { .. }
        | Command::Completions { .. } => DriveOnStart::Nothing,
    }
}

async fn with_session(session: &Session<'_>, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Demo(demo) => demo::demo(session, demo).await,
        Command::Run(run) => run::run(session, *run).await,
        Command::Runs(command) => runs::perform(session, command).await,
        Command::Approvals(command) => approvals::perform(session, command).await,
        Command::Profiles(Profiles::List) => profiles::list(session).await,
        Command::Profiles(Profiles::Show { mode }) => profiles::show(session, &mode).await,
        Command::Profiles(Profiles::Check { .. }) => profiles::check_all(session).await,
        Command::Plugins(Plugins::List) => plugins::list(session).await,
        Command::Plugins(Plugins::Show { plugin }) => plugins::show(session, &plugin).await,
        Command::Plugins(Plugins::Add(asked)) => plugins::add(session, &asked).await,
        Command::Plugins(Plugins::Remove(asked)) => plugins::remove(session, &asked).await,
        Command::Plugin(Plugin::Record(asked)) => plugin::record(session, asked).await,
        Command::Providers(Providers::List) => providers::list(session).await,
        Command::Providers(Providers::Check { name }) => {
            providers::check(session, name.as_deref()).await
        }
        Command::Providers(Providers::Models { name }) => providers::models(session, &name).await,
        Command::Calls(command) => calls::perform(session, command).await,
        Command::Usage(asked) => usage::usage(session, asked).await,
        Command::Cache(command) => cache::perform(session, command).await,
        Command::Backup(asked) => backup::backup(session, asked).await,
        Command::Restore(_)
        | Command::Serve(_)
        | Command::Doctor(_)
        | Command::Plugin(_)
        | Command::Plugins(Plugins::Push(_) | Plugins::Pull(_))
        | Command::Secrets(_)
        | Command::CheckComponent { .. }
        | Command::Completions { .. } => {
            unreachable!("these need no session")
        }
    }
}

/// What is done to the vault. Needs neither an engine nor a configuration that is complete.
pub(crate) fn secrets(
    config: &VaultConfig,
    output: &Output,
    command: Secrets,
) -> Result<Exit, Error> {
    secrets::perform(config, output, command)
}

/// Checks the component on standard input. Needs no configuration: it is a child that is given as little as possible.
pub(crate) fn check_component(cache_dir: &Path) -> Result<Exit, Error> {
    let checked = sandbox::check_standard_input(cache_dir);
    let failed = |source| Error::Io { what: "the component cannot be checked".to_owned(), source };
    checked.map(|()| Exit::Done).map_err(failed)
}

/// The completions of a shell. Needs no configuration, so that a broken one does not break a shell's start.
pub(crate) fn completions(shell: Shell, output: &Output) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "stagewright", &mut script);
    output.foreign(&String::from_utf8_lossy(&script));
    Exit::Done
}
