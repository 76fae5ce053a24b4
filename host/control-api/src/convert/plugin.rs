//! Plugins.
use domain::port::{KnownPlugin, PluginError, PluginSource};

use super::value;
use crate::dto::{ArtifactSpecDto, PluginDto, UnusablePluginDto};

impl From<&KnownPlugin> for PluginDto {
    fn from(plugin: &KnownPlugin) -> Self {
        let (source, path) = match &plugin.source {
            PluginSource::Bundled => ("bundled", None),
            PluginSource::File(path) => ("file", Some(path.clone())),
        };
        Self {
            name: plugin.info.name.clone(),
            version: plugin.info.version.clone(),
            digest: plugin.digest.to_string(),
            summary: plugin.info.summary.clone(),
            source: source.to_owned(),
            path,
            size_bytes: plugin.size_bytes,
            contract_version: plugin.contract_version.clone(),
            imports: plugin.imports.clone(),
            needs: plugin.info.needs.clone(),
            uses: plugin.info.uses.clone(),
            makes: plugin.info.makes.iter().map(ArtifactSpecDto::from).collect(),
            settings_schema: value(&plugin.info.settings_schema),
        }
    }
}

impl From<&PluginError> for UnusablePluginDto {
    fn from(error: &PluginError) -> Self {
        let (place, findings) = match error {
            PluginError::Unknown { asked, .. } => (asked, vec![error.to_string()]),
            PluginError::Unfit { place, findings } => (place, findings.clone()),
            PluginError::Io { place, detail } => (place, vec![detail.clone()]),
        };
        Self { place: place.clone(), findings }
    }
}
