//! `plugin run`.
use crate::args::RunPlugin;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) async fn run(_: &Config, _: &Output, _: &RunPlugin) -> Result<Exit, Error> {
    Err(Error::Usage { message: "`plugin run` is being built".to_owned(), hint: None })
}
