//! `plugin`: what an author does on their own machine. Opens no data folder, but for `record`.
mod build;
mod check;
mod new;
mod record;
mod replay;
mod run;
mod test;

use crate::args::Plugin;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) use record::record;

/// Does what needs no run.
pub(super) async fn perform(
    config: &Config,
    output: &Output,
    command: Plugin,
) -> Result<Exit, Error> {
    match command {
        Plugin::New(asked) => new::new(output, asked),
        Plugin::Build(asked) => build::build(output, &asked),
        Plugin::Check(asked) => check::check(config, output, &asked).await,
        Plugin::Run(asked) => run::run(config, output, &asked).await,
        Plugin::Test(asked) => test::test(config, output, &asked).await,
        Plugin::Replay(asked) => replay::replay(config, output, &asked).await,
        Plugin::Record(_) => unreachable!("a recording is taken from a run"),
    }
}
