//! Plugins that stages can be done with.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A plugin that can be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginDto {
    /// The name it gives itself.
    pub name: String,
    /// The version it gives itself.
    pub version: String,
    /// `sha256:` and the digest of the component's bytes.
    pub digest: String,
    /// What it does, in one line.
    pub summary: String,
    /// `bundled`, `file` (a person put it into the plugin folder) or `uploaded`.
    pub source: String,
    /// The file it was read from; null if it is bundled.
    pub path: Option<String>,
    /// When it was uploaded.
    #[serde(default)]
    pub uploaded_at: Option<String>,
    /// Who uploaded it, if that is known.
    #[serde(default)]
    pub uploaded_by: Option<String>,
    /// Modes of the profiles that mean it at this moment.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Size of the component, in bytes.
    pub size_bytes: u64,
    /// Version of the contract that it was built for.
    pub contract_version: String,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Artifacts of earlier stages without which it cannot work.
    pub needs: Vec<String>,
    /// Artifacts of earlier stages that it uses where they exist.
    pub uses: Vec<String>,
    /// Artifacts that it makes.
    pub makes: Vec<ArtifactSpecDto>,
    /// JSON Schema of its settings.
    pub settings_schema: Value,
}

/// The plugins of this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginListDto {
    /// Those that can be used, by name and version. Of those with one name and version, these mean the last.
    pub items: Vec<PluginDto>,
    /// Those that lie in the plugin folder, or were uploaded, and cannot be used, with the reasons.
    #[serde(default)]
    pub unusable: Vec<UnusablePluginDto>,
    /// Always null: the list is whole.
    pub next_cursor: Option<String>,
}

/// A plugin that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedPluginDto {
    /// The name it gave itself.
    pub name: String,
    /// The version it gave itself.
    pub version: String,
    /// The digest of its bytes.
    pub digest: String,
}

/// A plugin that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnusablePluginDto {
    /// Where it lies.
    pub place: String,
    /// Everything that is wrong with it.
    pub findings: Vec<String>,
}

/// An artifact that a plugin announces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactSpecDto {
    /// Its file name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What is in it, in one line.
    pub summary: String,
}

/// A plugin as a run is bound to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginRefDto {
    /// The name it gives itself.
    pub name: String,
    /// The version it gives itself.
    pub version: String,
    /// The digest of the bytes that are run.
    pub digest: String,
}
