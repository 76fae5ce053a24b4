//! From bytes to a component that can be run, or to everything that is wrong with them.
//!
//! Invariant: what is linked here is all that a component can reach. An import that this file does not name is refused.
use semver::Version;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};

use crate::bindings::StagePluginPre;
use crate::engine::{MEMORIES_PER_COMPONENT, MEMORY_BYTES_BOUND, TABLES_PER_COMPONENT};
use crate::fault::Stopped;
use crate::files::PLUGIN_BYTES_MAX;
use crate::guest::Guest;
use crate::text::{clean_line, size};

/// The version of the contract that this host was built for. A test compares it with `wit/`.
pub(crate) const CONTRACT_VERSION: Version = Version::new(1, 0, 0);

/// What every plugin exports, without the version.
const PLUGIN_INTERFACE: &str = "stagewright:stage/plugin";

/// What a plugin may import of the contract.
const CONTRACT_INTERFACES: [&str; 3] =
    ["stagewright:stage/llm", "stagewright:stage/log", "stagewright:stage/types"];

/// WASI interfaces that are linked, all of version 0.2: empty, deterministic, and without a way out.
const WASI_INTERFACES: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Interfaces whose every function stops the guest. Runtimes of other languages import them and do not use them.
const DENIED_INTERFACES: [&str; 2] = ["wasi:http/outgoing-handler", "wasi:http/types"];

/// Resources that `wasi:http/types` defines; the others that it names come from `wasi:io`.
const HTTP_RESOURCES: [&str; 11] = [
    "fields",
    "future-incoming-response",
    "future-trailers",
    "incoming-body",
    "incoming-request",
    "incoming-response",
    "outgoing-body",
    "outgoing-request",
    "outgoing-response",
    "request-options",
    "response-outparam",
];

/// Longest name of an import, or detail of an error, in a finding, in bytes.
const FINDING_BYTES_MAX: usize = 600;

/// A component, ready to be instantiated any number of times.
pub(crate) struct LoadedComponent {
    pub(crate) pre: StagePluginPre<Guest>,
    pub(crate) imports: Vec<String>,
    pub(crate) contract_version: String,
}

/// Compiles a component and compares it with the contract. Takes seconds for what is not in the cache.
///
/// # Errors
/// Everything that is wrong with it, each with what to do.
pub(crate) fn load(linker: &Linker<Guest>, bytes: &[u8]) -> Result<LoadedComponent, Vec<String>> {
    let engine = linker.engine();
    if bytes.len() as u64 > PLUGIN_BYTES_MAX {
        return Err(vec![format!("it has over {}: no plugin is as large", size(PLUGIN_BYTES_MAX))]);
    }
    check_header(bytes).map_err(|finding| vec![finding])?;
    let component = Component::new(engine, bytes).map_err(|error| vec![not_compiled(&error)])?;
    let kind = component.component_type();
    let imports: Vec<(String, ComponentItem)> =
        kind.imports(engine).map(|(name, import)| (name.to_owned(), import.ty)).collect();
    let mut findings: Vec<String> =
        imports.iter().filter_map(|(name, item)| check_import(name, item)).collect();
    let exports: Vec<&str> = kind.exports(engine).map(|(name, _)| name).collect();
    let contract_version = match check_exports(&exports) {
        Ok(version) => version,
        Err(finding) => {
            findings.push(finding);
            String::new()
        }
    };
    findings.extend(check_resources(&component));
    if !findings.is_empty() {
        return Err(findings);
    }
    let pre = link(linker, &component, &imports)
        .map_err(|error| vec![format!("it does not fit the contract: {}", detail(&error))])?;
    let imports = imports.into_iter().map(|(name, _)| clean_line(&name, FINDING_BYTES_MAX));
    Ok(LoadedComponent { pre, imports: imports.collect(), contract_version })
}

/// What can be seen without a compiler.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    const MAGIC: &[u8] = b"\0asm";
    const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
    const CORE_MODULE: &[u8] = &[1, 0, 0, 0];
    let (magic, rest) = bytes.split_at(bytes.len().min(MAGIC.len()));
    let layer = &rest[..rest.len().min(COMPONENT.len())];
    if magic != MAGIC {
        return Err(if MAGIC.starts_with(magic) {
            format!("it is cut off after {} bytes: copy or build it again", bytes.len())
        } else {
            "it is not WebAssembly: give the `.wasm` file that `cargo build --target wasm32-wasip2` makes"
                .to_owned()
        });
    }
    match layer {
        COMPONENT => Ok(()),
        CORE_MODULE => Err(
            "it is a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
                .to_owned(),
        ),
        _ if layer.len() < COMPONENT.len() => {
            Err(format!("it is cut off after {} bytes: copy or build it again", bytes.len()))
        }
        _ => Err(format!(
            "it has an unknown binary version ({}): build it with a released toolchain for `wasm32-wasip2`",
            hex::encode(layer)
        )),
    }
}

fn not_compiled(error: &wasmtime::Error) -> String {
    let detail = detail(error);
    // A section that ends behind the end of the file is what a file that is cut off looks like, too.
    if detail.contains("unexpected end") || detail.contains("out of bounds (bound = ") {
        format!("it is cut off: copy or build it again ({detail})")
    } else {
        format!(
            "it cannot be compiled: build it for `wasm32-wasip2` without further proposals ({detail})"
        )
    }
}

fn detail(error: &wasmtime::Error) -> String {
    clean_line(&format!("{error:#}"), FINDING_BYTES_MAX)
}

/// `wasi:io/streams@0.2.6` as name and version.
fn split_version(name: &str) -> (&str, Option<Version>) {
    match name.split_once('@') {
        Some((interface, version)) => (interface, Version::parse(version).ok()),
        None => (name, None),
    }
}

/// What is wrong with an import, if the host does not know it.
fn check_import(name: &str, item: &ComponentItem) -> Option<String> {
    let shown = clean_line(name, FINDING_BYTES_MAX);
    let (interface, version) = split_version(name);
    if !matches!(item, ComponentItem::ComponentInstance(_)) {
        return Some(format!(
            "it imports `{shown}`, which is no interface: a plugin imports only `llm`, `log` and WASI 0.2"
        ));
    }
    if CONTRACT_INTERFACES.contains(&interface) {
        return match version {
            Some(version) => check_contract_version(&version, interface).err(),
            None => Some(format!("it imports `{shown}` without a version: build it with `wit/`")),
        };
    }
    let is_wasi_02 = version.is_some_and(|version| (version.major, version.minor) == (0, 2));
    let is_linked = WASI_INTERFACES.contains(&interface) || DENIED_INTERFACES.contains(&interface);
    match (is_linked, is_wasi_02) {
        (true, true) => None,
        (true, false) => Some(format!(
            "it imports `{shown}`, and this host has version 0.2 of it: build it for `wasm32-wasip2`"
        )),
        (false, _) => Some(format!(
            "it imports `{shown}`, which no stage has: remove what brings it in, and use `llm` and `log`"
        )),
    }
}

/// The contract's version that a component was built for, from its exports.
fn check_exports(exports: &[&str]) -> Result<String, String> {
    let found = exports.iter().find_map(|name| match split_version(name) {
        (PLUGIN_INTERFACE, version) => Some(version),
        _ => None,
    });
    match found {
        Some(Some(version)) => {
            check_contract_version(&version, PLUGIN_INTERFACE).map(|()| version.to_string())
        }
        Some(None) => Err(format!(
            "it exports `{PLUGIN_INTERFACE}` without a version: build it with `wit/` as it is"
        )),
        None => {
            let exports =
                if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            Err(format!(
                "it does not export `{PLUGIN_INTERFACE}@{CONTRACT_VERSION}`: implement the world `stage-plugin`, in Rust with `stage_sdk::export_stage!` (it exports {})",
                clean_line(&exports, FINDING_BYTES_MAX)
            ))
        }
    }
}

fn check_contract_version(version: &Version, interface: &str) -> Result<(), String> {
    if version.major != CONTRACT_VERSION.major {
        return Err(format!(
            "it was built for version {version} of `{interface}`, and this host runs versions {}.x: build it again with the matching `stage-sdk`",
            CONTRACT_VERSION.major
        ));
    }
    if *version > CONTRACT_VERSION {
        return Err(format!(
            "it was built for version {version} of `{interface}`, and this host knows {CONTRACT_VERSION}: update the host"
        ));
    }
    Ok(())
}

/// What the pool of instances could never hold.
fn check_resources(component: &Component) -> Vec<String> {
    let Some(resources) = component.resources_required() else {
        return vec!["it takes core modules as imports: link them into the component".to_owned()];
    };
    let mut findings = Vec::new();
    if resources.num_memories > MEMORIES_PER_COMPONENT {
        findings.push(format!(
            "it has {} memories, not at most {MEMORIES_PER_COMPONENT}: link its modules into one",
            resources.num_memories
        ));
    }
    if resources.num_tables > TABLES_PER_COMPONENT {
        findings.push(format!(
            "it has {} tables, not at most {TABLES_PER_COMPONENT}: link its modules into one",
            resources.num_tables
        ));
    }
    let memory_bytes = resources.max_initial_memory_size.unwrap_or(0);
    if memory_bytes > MEMORY_BYTES_BOUND {
        findings.push(format!(
            "it begins with {} of memory, not at most {}: lower its initial memory",
            size(memory_bytes),
            size(MEMORY_BYTES_BOUND)
        ));
    }
    findings
}

fn link(
    linker: &Linker<Guest>,
    component: &Component,
    imports: &[(String, ComponentItem)],
) -> wasmtime::Result<StagePluginPre<Guest>> {
    let engine = linker.engine();
    let mut denying = None;
    for (name, item) in imports {
        let (interface, _) = split_version(name);
        if let (true, ComponentItem::ComponentInstance(instance)) =
            (DENIED_INTERFACES.contains(&interface), item)
        {
            let linker = denying.get_or_insert_with(|| linker.clone());
            deny(engine, &mut linker.instance(name)?, name, instance)?;
        }
    }
    let linker = denying.as_ref().unwrap_or(linker);
    StagePluginPre::new(linker.instantiate_pre(component)?)
}

/// Gives a component an interface whose every function stops it.
fn deny(
    engine: &Engine,
    linker: &mut LinkerInstance<'_, Guest>,
    interface: &str,
    instance: &ComponentInstance,
) -> wasmtime::Result<()> {
    let (interface_name, _) = split_version(interface);
    for (name, export) in instance.exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(_) => {
                let function = clean_line(&format!("{interface}#{name}"), FINDING_BYTES_MAX);
                linker.func_new(name, move |_, _, _, _| {
                    Err(Stopped::Denied { function: function.clone() }.into())
                })?;
            }
            ComponentItem::Resource(_)
                if interface_name == "wasi:http/types" && HTTP_RESOURCES.contains(&name) =>
            {
                linker.resource(name, ResourceType::host::<DeniedResource>(), |_, _| Ok(()))?;
            }
            // Types need no definition, and resources of other interfaces are defined there.
            _ => {}
        }
    }
    Ok(())
}

/// Stands for the resources of denied interfaces. Nobody can make one.
enum DeniedResource {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_the_one_in_wit() {
        let wit = include_str!("../../../wit/stage.wit");
        assert!(wit.contains(&format!("package stagewright:stage@{CONTRACT_VERSION};")));
    }

    #[test]
    fn a_header_tells_what_a_file_is() {
        let finding = |bytes: &[u8]| check_header(bytes).unwrap_err();
        assert!(finding(b"").starts_with("it is cut off after 0 bytes"));
        assert!(finding(b"\0as").starts_with("it is cut off after 3 bytes"));
        assert!(finding(b"\0asm\x0d\0").starts_with("it is cut off after 6 bytes"));
        assert!(finding(b"\0asm\x01\0\0\0").starts_with("it is a core module"));
        assert!(finding(b"\0asm\x07\0\0\0").starts_with("it has an unknown binary version"));
        assert!(finding(b"(component)").starts_with("it is not WebAssembly"));
    }
}
