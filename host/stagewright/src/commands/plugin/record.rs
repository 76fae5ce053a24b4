//! `plugin record`.
use crate::args::Record;
use crate::error::{Error, Exit};
use crate::session::Session;

pub(in crate::commands) async fn record(_: &Session<'_>, _: Record) -> Result<Exit, Error> {
    Err(Error::Usage { message: "`plugin record` is being built".to_owned(), hint: None })
}
