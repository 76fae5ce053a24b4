//! `plugin`: what an author does on their own machine. Opens no data folder, but for `record`.
mod build;
mod check;
mod failure;
mod network;
mod new;
mod record;
mod replay;
mod run;
mod test;

use crate::args::PluginFiles;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) use record::record;

/// Does what needs no run.
pub(super) async fn perform(
    config: &Config,
    output: &Output,
    command: PluginFiles,
) -> Result<Exit, Error> {
    match command {
        PluginFiles::New(asked) => new::new(output, asked),
        PluginFiles::Build(asked) => build::build(output, &asked),
        PluginFiles::Check(asked) => check::check(config, output, &asked).await,
        PluginFiles::Run(asked) => run::run(config, output, &asked).await,
        PluginFiles::Test(asked) => test::test(config, output, &asked).await,
        PluginFiles::Replay(asked) => replay::replay(config, output, &asked).await,
    }
}
