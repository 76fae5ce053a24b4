//! The layout, compared with what other tools write.
use serde_json::{Value, json};

use super::*;

const BYTES: &[u8] = b"\0asm component";

fn component() -> Component {
    Component {
        bytes: Bytes::from_static(BYTES),
        title: "outline".to_owned(),
        version: "1.0.0".to_owned(),
        summary: "Writes an outline.".to_owned(),
        exports: vec!["stagewright:stage/plugin@1.0.0".to_owned()],
        imports: vec!["stagewright:stage/llm@1.0.0".to_owned()],
    }
}

fn value_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_component_is_laid_out_as_other_tools_lay_it_out() {
    let artifact = artifact_of(&component());
    let layer = digest_of(BYTES).to_string();
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "author": null,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer],
        "component": {
            "exports": ["stagewright:stage/plugin@1.0.0"],
            "imports": ["stagewright:stage/llm@1.0.0"],
            "target": null,
        },
    });
    assert_eq!(value_of(&artifact.config), config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json",
            "digest": digest_of(&artifact.config).to_string(),
            "size": artifact.config.len(),
        },
        "layers": [{ "mediaType": "application/wasm", "digest": layer, "size": BYTES.len() }],
        "annotations": {
            "org.opencontainers.image.title": "outline",
            "org.opencontainers.image.version": "1.0.0",
            "org.opencontainers.image.description": "Writes an outline.",
        },
    });
    assert_eq!(value_of(&artifact.manifest), manifest);
}

#[test]
fn the_same_component_always_makes_the_same_manifest() {
    assert_eq!(artifact_of(&component()).manifest, artifact_of(&component()).manifest);
}

#[test]
fn what_is_written_can_be_read() {
    let artifact = artifact_of(&component());
    let announced = announced(&artifact.manifest, MANIFEST_MEDIA_TYPE).unwrap();
    assert_eq!(announced.component.digest, digest_of(BYTES));
    assert_eq!(announced.component.size_bytes, BYTES.len() as u64);
    assert_eq!(announced.config.digest, digest_of(&artifact.config));
    assert_eq!(check_config(&artifact.config, &announced.component.digest), Ok(()));
}

/// As `wkg` writes it: without annotations, with a time, and with a descriptor that may have more fields.
#[test]
fn what_wkg_writes_can_be_read() {
    let layer = digest_of(BYTES).to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_MEDIA_TYPE,
        "config": { "mediaType": WASM_CONFIG_MEDIA_TYPE, "digest": layer, "size": 300 },
        "layers": [{
            "mediaType": LAYER_MEDIA_TYPE, "digest": layer, "size": BYTES.len(), "annotations": {},
        }],
    });
    let content_type = format!("{MANIFEST_MEDIA_TYPE}; charset=utf-8");
    assert!(announced(manifest.to_string().as_bytes(), &content_type).is_ok());
    let config = json!({
        "created": "2026-03-04T11:12:13.123456789Z",
        "author": null,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer],
        "component": { "exports": [], "imports": [], "target": null },
    });
    assert_eq!(check_config(config.to_string().as_bytes(), &digest_of(BYTES)), Ok(()));
}

/// A change of a good manifest, and what is said of the result.
type Spoiled = (fn(&mut Value), &'static str);

#[test]
fn a_manifest_of_something_else_is_refused_with_what_it_is() {
    let spoiled: [Spoiled; 9] = [
        (|value| value["schemaVersion"] = json!(1), "schema version 1"),
        (
            |value| value["mediaType"] = json!("application/vnd.oci.image.index.v1+json"),
            "`application/vnd.oci.image.index.v1+json`",
        ),
        (
            |value| {
                value["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
            },
            "its config has the type `application/vnd.oci.image.config.v1+json`",
        ),
        (
            |value| value["layers"][0]["mediaType"] = json!("application/tar+gzip"),
            "its layer has the type `application/tar+gzip`",
        ),
        (|value| value["layers"] = json!([]), "0 layers"),
        (
            |value| {
                let layer = value["layers"][0].clone();
                value["layers"] = json!([layer, layer]);
            },
            "2 layers",
        ),
        (|value| value["layers"][0]["size"] = json!(COMPONENT_BYTES_MAX + 1), "not at most"),
        (|value| value["layers"][0]["size"] = json!(-1), "cannot be understood"),
        (|value| value["layers"][0]["digest"] = json!("sha512:00"), "no SHA-256"),
    ];
    for (spoil, expected) in spoiled {
        let mut value = value_of(&artifact_of(&component()).manifest);
        spoil(&mut value);
        let said = announced(value.to_string().as_bytes(), MANIFEST_MEDIA_TYPE).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
    let index = announced(b"{}", "application/vnd.oci.image.index.v1+json").unwrap_err();
    assert!(index.contains("image.index"), "{index}");
}

#[test]
fn a_config_of_something_else_is_refused() {
    let layer = digest_of(BYTES);
    let spoiled: [Spoiled; 3] = [
        (|value| value["os"] = json!("wasip1"), "core module"),
        (|value| value["architecture"] = json!("amd64"), "`amd64`"),
        (|value| value["layerDigests"] = json!([]), "another component"),
    ];
    for (spoil, expected) in spoiled {
        let mut value = value_of(&artifact_of(&component()).config);
        spoil(&mut value);
        let said = check_config(value.to_string().as_bytes(), &layer).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
}
