//! Which plugins the profiles of a host name.
use domain::plan::PluginRef;

use super::Library;

/// A plugin as a profile names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPlugin<'a> {
    /// The profile.
    pub mode: &'a str,
    /// The folder at which a relative path starts.
    pub base: Option<&'a str>,
    pub reference: &'a PluginRef,
}

impl Library {
    /// What stages of all profiles name, in the order of the profiles; also those of profiles that cannot be used.
    pub fn named_plugins(&self) -> impl Iterator<Item = NamedPlugin<'_>> {
        self.profiles.iter().flat_map(|profile| {
            let references = profile.said.stages.iter();
            references.filter_map(|stage| stage.parts.plugin.as_ref()).map(|reference| {
                NamedPlugin {
                    mode: &profile.summary.mode,
                    base: profile.source.base(),
                    reference: &reference.value,
                }
            })
        })
    }
}
