//! `plugin replay`.
use crate::args::Replay;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) async fn replay(_: &Config, _: &Output, _: &Replay) -> Result<Exit, Error> {
    Err(Error::Usage { message: "`plugin replay` is being built".to_owned(), hint: None })
}
