//! How a profile has to name a plugin, so that it means this one and no other.
use control_api::dto::PluginDto;

use super::short;
use crate::client::Client;

/// A plugin, and what its name means at this moment.
pub(in crate::commands) struct Meaning {
    /// What means this plugin; the shortest.
    named: String,
    /// What the bare name means instead.
    instead: Option<PluginDto>,
    profiles: Vec<String>,
    name: String,
}

impl Meaning {
    /// A name that cannot be looked up, because a stronger plugin was damaged, means this plugin as little.
    pub(in crate::commands) async fn of(client: &Client, plugin: &PluginDto) -> Meaning {
        let PluginDto { name, version, digest, .. } = plugin;
        let numbered = format!("{name}@{version}");
        let newest = client.plugin(name).await.ok();
        let is_newest = newest.as_ref().is_some_and(|found| found.digest == *digest);
        let named = if is_newest {
            name.clone()
        } else {
            let found = client.plugin(&numbered).await;
            let is_found = found.is_ok_and(|found| found.digest == *digest);
            if is_found { numbered } else { digest.clone() }
        };
        let (profiles, name) = (plugin.profiles.clone(), name.clone());
        Meaning { named, instead: newest.filter(|_| !is_newest), profiles, name }
    }

    /// What to do with a plugin that has come.
    pub(in crate::commands) fn hint(&self) -> String {
        match self.profiles.as_slice() {
            [] => format!("name it in a profile, e.g. `plugin: {}`{}", self.named, self.other()),
            profiles => format!("new runs of {} use it", profiles.join(", ")),
        }
    }

    fn other(&self) -> String {
        let Some(found) = &self.instead else { return String::new() };
        let digest = short(&found.digest);
        format!("; `{}` means `{}@{}` ({digest})", self.name, found.name, found.version)
    }
}
