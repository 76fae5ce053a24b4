//! Plugins that stages can be done with.
mod add;
mod list;
mod remove;
mod show;

use domain::plan::PluginRef;

use crate::{Code, Problem};

pub(crate) use {add::*, list::*, remove::*, show::*};

/// A path would let every caller have the server read any file of its machine.
fn known_kind(name: &str) -> Result<PluginRef, Problem> {
    match name.parse() {
        Ok(PluginRef::Path(_)) => Err(Problem::new(
            Code::IdInvalid,
            format!("`{name}` is a path, and plugins are named by name, version or digest"),
        )),
        Ok(reference) => Ok(reference),
        Err(reason) => Err(Problem::new(Code::IdInvalid, format!("`{name}` is {reason}"))),
    }
}
