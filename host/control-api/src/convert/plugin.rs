//! Plugins.
use domain::port::{KnownPlugin, PluginError, PluginSource};
use domain::upload::UploadedPlugin;

use super::{moment, value};
use crate::dto::{ArtifactSpecDto, PluginDto, RemovedPluginDto, UnusablePluginDto};

impl From<&KnownPlugin> for PluginDto {
    fn from(plugin: &KnownPlugin) -> Self {
        let (source, path, upload) = match &plugin.source {
            PluginSource::Bundled => ("bundled", None, None),
            PluginSource::File(path) => ("file", Some(path), None),
            PluginSource::Uploaded(upload) => ("uploaded", Some(&upload.path), Some(upload)),
        };
        Self {
            name: plugin.info.name.clone(),
            version: plugin.info.version.clone(),
            digest: plugin.digest.to_string(),
            summary: plugin.info.summary.clone(),
            source: source.to_owned(),
            path: path.cloned(),
            uploaded_at: upload.map(|upload| moment(upload.at)),
            uploaded_by: upload.and_then(|upload| upload.by.clone()),
            profiles: Vec::new(),
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

impl From<&UploadedPlugin> for RemovedPluginDto {
    fn from(removed: &UploadedPlugin) -> Self {
        Self {
            name: removed.plugin.name.clone(),
            version: removed.plugin.version.clone(),
            digest: removed.plugin.digest.to_string(),
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
