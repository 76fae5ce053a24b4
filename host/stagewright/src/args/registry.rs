//! The command line of plugins in registries.
use clap::Args;

/// Pushes a plugin to an OCI registry.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The plugin: its name, `name@version`, digest, or the path of a component.
    pub(crate) plugin: String,
    /// Where to: `registry.example.com/acme/outline:1.0.0`.
    pub(crate) reference: String,
}

/// Pulls a plugin from an OCI registry.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Where from: `registry.example.com/acme/outline:1.0.0`, or with `@sha256:...` in place of the tag.
    pub(crate) reference: String,
    /// Let name and version mean this plugin from now on, also if they mean another one; that stays under its digest.
    #[arg(long)]
    pub(crate) replace: bool,
}
