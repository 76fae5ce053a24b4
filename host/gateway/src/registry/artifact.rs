//! How a component lies in a registry: the Wasm OCI Artifact Layout of the CNCF TAG Runtime
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), on top of the OCI Image Specification 1.1.
//!
//! One image manifest; a config of the type [`WASM_CONFIG_MEDIA_TYPE`], which repeats the digests of the layers so that
//! no two components have the same config; one layer of the type [`LAYER_MEDIA_TYPE`], which is the component as it is.
//! Fields and their values are those that the crate `oci-wasm` writes, on which `wkg` stands
//! (<https://github.com/bytecodealliance/rust-oci-wasm>). Does no input and no output.
use std::collections::BTreeMap;

use bytes::Bytes;
use domain::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The media type of a manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of the config of a component.
pub const WASM_CONFIG_MEDIA_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// The media type of the layer that is the component.
pub const LAYER_MEDIA_TYPE: &str = "application/wasm";
/// Largest component, in bytes: the largest that a host takes for a plugin.
pub const COMPONENT_BYTES_MAX: u64 = domain::upload::PLUGIN_BYTES_MAX;
/// Largest manifest, in bytes: what the distribution specification asks registries to accept.
pub(super) const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Largest config, in bytes: a thousand times of what a component with all of WASI needs.
pub(super) const CONFIG_BYTES_MAX: u64 = 1 << 20;

const SCHEMA_VERSION: u32 = 2;
const ARCHITECTURE: &str = "wasm";
/// What a component runs on. A core module says `wasip1`.
const COMPONENT_OS: &str = "wasip2";
/// The layout wants a time. With one that is always the same, the same component has the same digest whoever pushes it;
/// the beginning of the epoch is what reproducible builds write.
const CREATED: &str = "1970-01-01T00:00:00Z";
/// Longest part of a text of a manifest that is quoted, in bytes.
const QUOTED_BYTES_MAX: usize = 100;

/// The digest that names some bytes.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    finished(Sha256::new_with_prefix(bytes))
}

pub(super) fn finished(hasher: Sha256) -> Digest {
    let text = format!("{}{}", Digest::PREFIX, hex::encode(hasher.finalize()));
    text.parse().expect("a SHA-256 in hexadecimal is a digest")
}

/// A component that is to be pushed, with what its manifest and its config say of it.
#[derive(Debug, Clone)]
pub struct Component {
    /// The component.
    pub bytes: Bytes,
    /// Its name.
    pub title: String,
    /// Its version.
    pub version: String,
    /// What it does, in one line.
    pub summary: String,
    /// Interfaces that it exports, e.g. `stagewright:stage/plugin@1.0.0`.
    pub exports: Vec<String>,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
}

/// What names some bytes and says what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig {
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    author: Option<String>,
    architecture: String,
    os: String,
    layer_digests: Vec<String>,
    #[serde(default)]
    component: Option<ComponentWorld>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ComponentWorld {
    exports: Vec<String>,
    imports: Vec<String>,
    target: Option<String>,
}

/// What is sent to a registry for one component.
pub(super) struct Artifact {
    pub(super) manifest: Bytes,
    pub(super) config: Bytes,
    pub(super) layer: Bytes,
}

/// Lays a component out.
pub(super) fn artifact_of(component: &Component) -> Artifact {
    let layer = descriptor(LAYER_MEDIA_TYPE, &component.bytes);
    let config = WasmConfig {
        created: Some(CREATED.to_owned()),
        author: None,
        architecture: ARCHITECTURE.to_owned(),
        os: COMPONENT_OS.to_owned(),
        layer_digests: vec![layer.digest.clone()],
        component: Some(ComponentWorld {
            exports: component.exports.clone(),
            imports: component.imports.clone(),
            target: None,
        }),
    };
    let config = json(&config);
    let annotations = [
        ("title", &component.title),
        ("version", &component.version),
        ("description", &component.summary),
    ];
    let annotations = annotations
        .into_iter()
        .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.clone()));
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
        config: descriptor(WASM_CONFIG_MEDIA_TYPE, &config),
        layers: vec![layer],
        annotations: Some(annotations.collect()),
    };
    Artifact { manifest: json(&manifest), config, layer: component.bytes.clone() }
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("texts and numbers can be written as JSON").into()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: digest_of(bytes).to_string(),
        size: bytes.len() as u64,
    }
}

/// Something that a manifest announces, and that may be fetched: its size is within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) what: &'static str,
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
}

/// What a manifest of one component announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) config: Announced,
    pub(super) component: Announced,
}

/// Reads a manifest, which came with a media type.
pub(super) fn announced(bytes: &[u8], content_type: &str) -> Result<Announcement, String> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type != MANIFEST_MEDIA_TYPE {
        return Err(format!(
            "its manifest has the type `{}`, not `{MANIFEST_MEDIA_TYPE}`",
            quoted(media_type)
        ));
    }
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| format!("its manifest cannot be understood: {error}"))?;
    if let Some(other) = manifest.media_type.filter(|said| said != MANIFEST_MEDIA_TYPE) {
        return Err(format!("its manifest says that it is `{}`", quoted(&other)));
    }
    if manifest.schema_version != SCHEMA_VERSION {
        return Err(format!("its manifest has the schema version {}", manifest.schema_version));
    }
    let config = of_type(&manifest.config, "its config", WASM_CONFIG_MEDIA_TYPE)?;
    let [layer] = manifest.layers.as_slice() else {
        return Err(format!("it has {} layers, and a component is one", manifest.layers.len()));
    };
    let layer = of_type(layer, "its layer", LAYER_MEDIA_TYPE)?;
    Ok(Announcement {
        config: within(config, "the config", CONFIG_BYTES_MAX)?,
        component: within(layer, "the component", COMPONENT_BYTES_MAX)?,
    })
}

fn of_type<'a>(found: &'a Descriptor, what: &str, wanted: &str) -> Result<&'a Descriptor, String> {
    if found.media_type == wanted {
        return Ok(found);
    }
    Err(format!("{what} has the type `{}`, not `{wanted}`", quoted(&found.media_type)))
}

fn within(found: &Descriptor, what: &'static str, bytes_max: u64) -> Result<Announced, String> {
    if found.size > bytes_max {
        return Err(format!("{what} has {} bytes, not at most {bytes_max}", found.size));
    }
    let digest = found.digest.parse().map_err(|reason| {
        format!("{what} is named by `{}`, which is no SHA-256: {reason}", quoted(&found.digest))
    })?;
    Ok(Announced { what, digest, size_bytes: found.size })
}

/// Compares a config with the layer that its manifest announces.
pub(super) fn check_config(bytes: &[u8], component: &Digest) -> Result<(), String> {
    let config: WasmConfig = serde_json::from_slice(bytes)
        .map_err(|error| format!("its config cannot be understood: {error}"))?;
    if config.architecture != ARCHITECTURE {
        return Err(format!("it is for the architecture `{}`", quoted(&config.architecture)));
    }
    if config.os != COMPONENT_OS {
        return Err(format!(
            "it is for `{}`, not `{COMPONENT_OS}`, as a core module is and not a component",
            quoted(&config.os)
        ));
    }
    if config.layer_digests != [component.to_string()] {
        return Err("its config is that of another component".to_owned());
    }
    Ok(())
}

/// What somebody else wrote, in one short line.
fn quoted(text: &str) -> String {
    let short = &text[..text.floor_char_boundary(QUOTED_BYTES_MAX)];
    short.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests;
