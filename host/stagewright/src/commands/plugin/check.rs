//! `plugin check`.
use crate::args::Check;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) async fn check(_: &Config, _: &Output, _: &Check) -> Result<Exit, Error> {
    Err(Error::Usage { message: "`plugin check` is being built".to_owned(), hint: None })
}
