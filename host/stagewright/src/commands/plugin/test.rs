//! `plugin test`.
use crate::args::Test;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) async fn test(_: &Config, _: &Output, _: &Test) -> Result<Exit, Error> {
    Err(Error::Usage { message: "`plugin test` is being built".to_owned(), hint: None })
}
