//! The program: command line, terminal, configuration, wiring, exit codes.
//!
//! Everything here is a client of the HTTP API: a command talks to the server that owns the data folder, or opens the
//! engine in this process and talks to that, with the same code and the same output. What a run is and what may happen
//! next is not known here.
mod args;
mod budget;
mod client;
mod commands;
mod config;
mod diff;
mod editor;
mod error;
mod follow;
mod log;
mod output;
mod policy;
mod progress;
mod prompt;
mod render;
mod reproduce;
mod session;
mod signals;
mod telemetry;
mod vault;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command, Plugin, PluginFiles};
use crate::config::{Config, Surroundings, VaultConfig};
use crate::error::{Error, Exit};
use crate::output::{Format, Output};
use crate::telemetry::Telemetry;

/// Threads that carry out tasks, at most. Stages mostly wait for a model, and guests compute for milliseconds; each
/// further thread makes the start slower.
const WORKER_THREAD_COUNT_MAX: usize = 8;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(shown) => return show(&shown),
    };
    if !writes_a_project(&arguments.command) {
        keep_files_private();
    }
    let surroundings = Surroundings::of_process();
    let output = Output::new(arguments.global.output, &surroundings);
    match perform(arguments, &surroundings, &output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error);
            error.exit().into()
        }
    }
}

/// What is said in the place of doing something.
fn show(shown: &clap::Error) -> ExitCode {
    if let Some(error) = args::other_noun(shown) {
        // Which form was asked for is not known: the line was not understood.
        Output::new(Format::Text, &Surroundings::of_process()).error(&error);
        return error.exit().into();
    }
    // Help and the version are no errors; clap knows which stream each belongs to.
    shown.print().ok();
    ExitCode::from(u8::try_from(shown.exit_code()).unwrap_or(Exit::Usage as u8))
}

/// Whatever this process creates is its user's alone, also what a library creates: the cache of compiled code is run as
/// native code.
fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Whether the command writes the project of an author, by itself or through a compiler. Its files are to be shared like
/// those that the author writes; what such a command keeps for itself is closed to others one by one.
fn writes_a_project(command: &Command) -> bool {
    matches!(
        command,
        Command::Plugin(Plugin::OnFiles(
            PluginFiles::New(_) | PluginFiles::Build(_) | PluginFiles::Test(_)
        ))
    )
}

fn perform(
    arguments: Arguments,
    surroundings: &Surroundings,
    output: &Output,
) -> Result<Exit, Error> {
    let flags = arguments.flags();
    if let Command::Completions { shell } = arguments.command {
        return Ok(commands::completions(shell, output));
    }
    if let Command::CheckComponent { cache_dir } = arguments.command {
        return commands::check_component(&cache_dir);
    }
    if let Command::Secrets(command) = arguments.command {
        // Before the rest of the configuration is checked: what is missing there may be the key that is to be kept.
        let config = VaultConfig::load(&flags, surroundings)?;
        return commands::secrets(&config, output, command);
    }
    let config = match Config::load(&flags, surroundings) {
        // Whoever asks what is wrong is told, in the form that they asked for.
        Err(error) if matches!(arguments.command, Command::Doctor(_)) => {
            return commands::doctor_unconfigured(output, &error);
        }
        loaded => loaded?,
    };
    let telemetry = Telemetry::install(&config.telemetry)?;
    log::begin(&config, &arguments.command, &telemetry)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.clamp(1, WORKER_THREAD_COUNT_MAX))
        .enable_all()
        .build()
        .map_err(|source| Error::Io { what: "no threads can be started".to_owned(), source })?;
    let outcome =
        runtime.block_on(commands::perform(arguments.command, &config, output, &telemetry));
    // Everything that works was joined by the command. What may be left is a thread that waits for a line to be typed,
    // and that wait has no end.
    runtime.shutdown_background();
    telemetry.shutdown();
    outcome
}
