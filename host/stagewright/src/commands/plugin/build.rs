//! `plugin build`.
use crate::args::Build;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) fn build(_: &Output, _: &Build) -> Result<Exit, Error> {
    Err(Error::Usage { message: "`plugin build` is being built".to_owned(), hint: None })
}
