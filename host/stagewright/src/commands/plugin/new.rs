//! `plugin new`.
use crate::args::New;
use crate::error::{Error, Exit};
use crate::output::Output;

pub(super) fn new(_: &Output, _: New) -> Result<Exit, Error> {
    Err(Error::Usage { message: "`plugin new` is being built".to_owned(), hint: None })
}
