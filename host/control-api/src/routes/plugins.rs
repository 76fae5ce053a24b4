//! Plugins that stages can be done with.
mod add;
mod list;
mod remove;
mod show;

use domain::naming::AskedPlugin;
use domain::plan::PluginRef;

use crate::{Code, Problem};

pub(crate) use {add::*, list::*, remove::*, show::*};

/// A path would let every caller have the server read any file of its machine.
fn known_kind(name: &str) -> Result<AskedPlugin, Problem> {
    let invalid = |detail: String| {
        Problem::new(Code::IdInvalid, detail).with_hint(
            "copy a name, `name@version` or digest from the list of plugins; of a digest, eight digits are enough",
        )
    };
    match name.parse() {
        Ok(AskedPlugin::Whole(PluginRef::Path(_))) => Err(invalid(format!(
            "`{name}` is a path, and plugins are named by name, version or digest"
        ))),
        Ok(asked) => Ok(asked),
        Err(reason) => Err(invalid(format!("`{name}` is {reason}"))),
    }
}
