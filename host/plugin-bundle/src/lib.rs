//! The shipped plugins as bytes.
//!
//! The build script compiles them to components and puts them into this crate; that is all it does. What the bytes mean
//! is known to `sandbox` alone.
//!
//! Invariant: the same sources and toolchain give the same bytes, whichever folder they lie in, because a run pins the
//! digest.

include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    /// The first eight bytes of a component: magic number, version 13, layer 1.
    const COMPONENT_HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    /// Some room above what they have. With debug sections it would be 3 MB; see the build script.
    const COMPONENT_BYTES_MAX: usize = 700 << 10;

    #[test]
    fn every_plugin_is_a_component_of_moderate_size() {
        let names: Vec<&str> = PLUGINS.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "research",
                "brand-voice",
                "positioning",
                "keywords",
                "foundation-brief",
                "prompt",
                "product-manager",
                "developer",
                "tester",
                "reviewer",
            ]
        );
        for (name, bytes) in PLUGINS {
            assert!(bytes.starts_with(COMPONENT_HEADER), "{name} is not a component");
            assert!(bytes.len() <= COMPONENT_BYTES_MAX, "{name} has {} bytes", bytes.len());
        }
    }

    #[test]
    fn no_plugin_tells_where_it_was_built() {
        let workspace = env!("CARGO_MANIFEST_DIR").strip_suffix("/host/plugin-bundle").unwrap();
        for (name, bytes) in PLUGINS {
            let found = bytes.windows(workspace.len()).any(|window| window == workspace.as_bytes());
            assert!(!found, "{name} names `{workspace}`");
        }
    }

    #[test]
    fn the_rogue_stage_is_built_and_not_shipped() {
        assert!(std::fs::read(ROGUE_STAGE_PATH).unwrap().starts_with(COMPONENT_HEADER));
        assert!(PLUGINS.iter().all(|(name, _)| *name != "rogue-stage"));
    }
}
