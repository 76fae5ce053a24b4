//! What can be typed about plugins that come to a host, and go.
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct AddPlugin {
    /// The component.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Let name and version mean this plugin from now on, also if they mean another one; that stays under its digest.
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemovePlugin {
    /// Its name, `name@version`, or digest, at least eight digits of it; it has to mean one upload.
    #[arg(value_name = "PLUGIN")]
    pub(crate) plugin: String,
    /// Remove it also while somebody needs it. Runs that are bound to it have a copy and go on.
    #[arg(long)]
    pub(crate) force: bool,
}
