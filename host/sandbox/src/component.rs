//! From bytes to a component that can be run, or to everything that is wrong with them.
//!
//! Invariant: what is linked here is all that a component can reach. An import that this file does not name is refused.
use semver::Version;
use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, InstancePre, Linker, LinkerInstance, ResourceType};

use crate::bindings::StagePluginPre;
use crate::bindings::stagewright::stage::types as wit;
use crate::engine::{MEMORIES_PER_COMPONENT, MEMORY_BYTES_BOUND, TABLES_PER_COMPONENT};
use crate::files::PLUGIN_BYTES_MAX;
use crate::finding::{Finding, FindingKind};
use crate::guest::Guest;
use crate::http;
use crate::text::{clean_line, size};

/// The version of the contract that this host was built for. A test compares it with `wit/`.
pub const CONTRACT_VERSION: Version = Version::new(1, 0, 0);

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
    /// The same with HTTP, for attempts with a grant; `None` if it has no use for it.
    http_pre: Option<StagePluginPre<Guest>>,
    pub(crate) imports: Vec<String>,
    pub(crate) contract_version: String,
    /// What it takes of the host's memory for as long as it is loaded: code, and what belongs to it.
    pub(crate) size_bytes: u64,
}

impl LoadedComponent {
    /// As this guest may have it.
    pub(crate) fn pre_for(&self, guest: &Guest) -> &StagePluginPre<Guest> {
        self.http_pre.as_ref().filter(|_| guest.http.has_port()).unwrap_or(&self.pre)
    }
}

/// Compiles a component and compares it with the contract. Takes seconds for what is not in the cache.
///
/// # Errors
/// Everything that is wrong with it, each with what to do.
pub(crate) fn load(linker: &Linker<Guest>, bytes: &[u8]) -> Result<LoadedComponent, Vec<Finding>> {
    let engine = linker.engine();
    if bytes.len() as u64 > PLUGIN_BYTES_MAX {
        return Err(vec![too_large()]);
    }
    check_header(bytes).map_err(|finding| vec![finding])?;
    let component = Component::new(engine, bytes).map_err(|error| vec![not_compiled(&error)])?;
    let kind = component.component_type();
    let imports: Vec<(String, ComponentItem)> =
        kind.imports(engine).map(|(name, import)| (name.to_owned(), import.ty)).collect();
    let mut findings: Vec<Finding> =
        imports.iter().filter_map(|(name, item)| check_import(name, item)).collect();
    let exports: Vec<&str> = kind.exports(engine).map(|(name, _)| name).collect();
    let contract_version = match check_exports(&exports) {
        Ok(version) => {
            findings.extend(check_functions(engine, &kind));
            version
        }
        Err(finding) => {
            findings.push(finding);
            String::new()
        }
    };
    findings.extend(check_resources(&component));
    // Linking finds a function that a known interface does not have; of an unknown interface it would find nothing new.
    let is_known = |finding: &Finding| finding.kind != FindingKind::ImportRefused;
    let linked = if findings.iter().all(is_known) {
        link(linker, &component, &imports).map_err(|error| findings.push(not_linked(&error))).ok()
    } else {
        None
    };
    let Some(linked) = linked.filter(|_| findings.is_empty()) else { return Err(findings) };
    let pre = StagePluginPre::new(linked).map_err(|error| vec![not_linked(&error)])?;
    let names = imports.iter().map(|(name, _)| name.as_str());
    // What imports another form of `wasi:http` than the host has is still good for attempts that are denied it.
    let http_pre = http::link(linker, &component, names).ok().flatten();
    let imports = imports.into_iter().map(|(name, _)| clean_line(&name, FINDING_BYTES_MAX));
    // Or the first call would wait for it. Where it fails, that call tries again, and tells.
    component.initialize_copy_on_write_image().ok();
    let image = component.image_range();
    Ok(LoadedComponent {
        pre,
        http_pre,
        imports: imports.collect(),
        contract_version,
        size_bytes: (image.end.addr() - image.start.addr()) as u64,
    })
}

/// A file that is larger than any plugin.
pub(crate) fn too_large() -> Finding {
    let what = format!("it has over {}, and no plugin is as large", size(PLUGIN_BYTES_MAX));
    let cure = "leave out debug information and what the stage does not use";
    Finding::new(FindingKind::TooLarge, what, cure)
}

/// What can be seen without a compiler.
fn check_header(bytes: &[u8]) -> Result<(), Finding> {
    const MAGIC: &[u8] = b"\0asm";
    const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
    const CORE_MODULE: &[u8] = &[1, 0, 0, 0];
    let cut_off = || {
        let what = format!("it is cut off after {} bytes", bytes.len());
        Finding::new(FindingKind::CutOff, what, "copy or build it again")
    };
    let (magic, rest) = bytes.split_at(bytes.len().min(MAGIC.len()));
    let layer = &rest[..rest.len().min(COMPONENT.len())];
    if magic != MAGIC {
        return Err(if MAGIC.starts_with(magic) {
            cut_off()
        } else {
            let cure = "give the `.wasm` file that `stagewright plugin build` or `cargo build --target wasm32-wasip2` makes";
            Finding::new(FindingKind::NotWebAssembly, "it is not WebAssembly", cure)
        });
    }
    match layer {
        COMPONENT => Ok(()),
        CORE_MODULE => Err(Finding::new(
            FindingKind::CoreModule,
            "it is a core module, not a component",
            "build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`",
        )),
        _ if layer.len() < COMPONENT.len() => Err(cut_off()),
        _ => Err(Finding::new(
            FindingKind::BinaryVersion,
            format!("it has an unknown binary version ({})", hex::encode(layer)),
            "build it with a released toolchain for `wasm32-wasip2`",
        )),
    }
}

fn not_compiled(error: &wasmtime::Error) -> Finding {
    let detail = detail(error);
    // A section that ends behind the end of the file is what a file that is cut off looks like, too.
    if detail.contains("unexpected end") || detail.contains("out of bounds (bound = ") {
        let what = format!("it is cut off ({detail})");
        return Finding::new(FindingKind::CutOff, what, "copy or build it again");
    }
    let what = format!("it cannot be compiled ({detail})");
    let cure = "build it for `wasm32-wasip2` without further proposals";
    Finding::new(FindingKind::NotCompiled, what, cure)
}

fn not_linked(error: &wasmtime::Error) -> Finding {
    let what = format!("it does not fit the contract ({})", detail(error));
    let cure = "build it for `wasm32-wasip2`, with `wit/` as it is";
    Finding::new(FindingKind::ImportRefused, what, cure)
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
fn check_import(name: &str, item: &ComponentItem) -> Option<Finding> {
    let shown = clean_line(name, FINDING_BYTES_MAX);
    let refused = |what: String, cure: &str| {
        Some(Finding::new(FindingKind::ImportRefused, format!("it imports `{shown}`{what}"), cure))
    };
    let (interface, version) = split_version(name);
    if !matches!(item, ComponentItem::ComponentInstance(_)) {
        return refused(
            ", which is no interface".to_owned(),
            "import only the interfaces `llm` and `log`, and those of WASI 0.2",
        );
    }
    if CONTRACT_INTERFACES.contains(&interface) {
        return match version {
            Some(version) => check_contract_version(&version, interface).err(),
            None => refused(" without a version".to_owned(), "build it with `wit/` as it is"),
        };
    }
    let is_wasi_02 = version.is_some_and(|version| (version.major, version.minor) == (0, 2));
    let is_linked = WASI_INTERFACES.contains(&interface) || DENIED_INTERFACES.contains(&interface);
    match (is_linked, is_wasi_02) {
        (true, true) => None,
        (true, false) => refused(
            ", and this host has version 0.2 of it".to_owned(),
            "build it for `wasm32-wasip2`",
        ),
        (false, _) => refused(
            ", which no stage has".to_owned(),
            "remove what brings it in, and use `llm`, `log`, or `wasi:http` 0.2 with `grants.http` in the profile and `grants.http_hosts` of the operator",
        ),
    }
}

/// The contract's version that a component was built for, from its exports.
fn check_exports(exports: &[&str]) -> Result<String, Finding> {
    let found = exports.iter().find_map(|name| match split_version(name) {
        (PLUGIN_INTERFACE, version) => Some(version),
        _ => None,
    });
    match found {
        Some(Some(version)) => {
            check_contract_version(&version, PLUGIN_INTERFACE).map(|()| version.to_string())
        }
        Some(None) => Err(Finding::new(
            FindingKind::ExportWrong,
            format!("it exports `{PLUGIN_INTERFACE}` without a version"),
            "build it with `wit/` as it is",
        )),
        None => {
            let exports =
                if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            let exports = clean_line(&exports, FINDING_BYTES_MAX);
            Err(Finding::new(
                FindingKind::ExportWrong,
                format!(
                    "it does not export `{PLUGIN_INTERFACE}@{CONTRACT_VERSION}` (it exports {exports})"
                ),
                "implement the world `stage-plugin`, in Rust with `stage_sdk::export_stage!`",
            ))
        }
    }
}

/// Compares a function with its type in the contract.
type TypeCheck<'a> = dyn Fn(&types::ComponentFunc) -> wasmtime::Result<()> + 'a;

/// Whether the plugin's interface has the functions of the contract, with their types.
fn check_functions(engine: &Engine, kind: &types::Component) -> Vec<Finding> {
    let is_plugin = |name: &str| split_version(name).0 == PLUGIN_INTERFACE;
    let mut exports = kind.exports(engine);
    let interface = exports.find(|(name, _)| is_plugin(name)).map(|(_, export)| export.ty);
    let Some(ComponentItem::ComponentInstance(interface)) = interface else {
        let what = format!("it exports `{PLUGIN_INTERFACE}`, which is no interface");
        return vec![Finding::new(FindingKind::ExportWrong, what, EXPORT_CURE)];
    };
    let cx = kind.instance_type();
    let checks: [(&str, &TypeCheck<'_>); 3] = [
        ("describe", &|func| func.typecheck::<(), (wit::StageInfo,)>(&cx)),
        ("build-prompt", &|func| {
            type Built = Result<wit::ModelRequest, wit::StageError>;
            func.typecheck::<(wit::StageContext,), (Built,)>(&cx)
        }),
        ("run", &|func| {
            type Ran = Result<wit::StageOutput, wit::StageError>;
            func.typecheck::<(wit::StageContext,), (Ran,)>(&cx)
        }),
    ];
    let wrong = checks.iter().filter_map(|(name, check)| {
        let what = match interface.get_export(engine, name).map(|export| export.ty) {
            Some(ComponentItem::ComponentFunc(func)) => match check(&func) {
                Ok(()) => return None,
                Err(error) => format!("its `{name}` has another type ({})", detail(&error)),
            },
            Some(_) => format!("its `{name}` is no function"),
            None => format!("it does not export `{name}`"),
        };
        Some(Finding::new(FindingKind::ExportWrong, what, EXPORT_CURE))
    });
    wrong.collect()
}

/// What to do about an interface that is not the contract's.
const EXPORT_CURE: &str = "implement the interface `plugin` of `wit/` as it is, and build it again";

fn check_contract_version(version: &Version, interface: &str) -> Result<(), Finding> {
    let newer = |known: String, cure: &str| {
        let what = format!("it was built for version {version} of `{interface}`, and {known}");
        Err(Finding::new(FindingKind::ContractVersion, what, cure))
    };
    if version.major != CONTRACT_VERSION.major {
        let known = format!("this host runs versions {}.x", CONTRACT_VERSION.major);
        return newer(known, "build it again with the matching `stage-sdk` and `wit/`");
    }
    if *version > CONTRACT_VERSION {
        let known = format!("this host knows {CONTRACT_VERSION}");
        return newer(known, "update the host, or build it with the host's `wit/`");
    }
    Ok(())
}

/// What the pool of instances could never hold.
fn check_resources(component: &Component) -> Vec<Finding> {
    let finding =
        |what: String, cure: &str| Finding::new(FindingKind::Resources, what, cure.to_owned());
    let Some(resources) = component.resources_required() else {
        let what = "it takes core modules as imports".to_owned();
        return vec![finding(what, "link them into the component")];
    };
    let mut findings = Vec::new();
    if resources.num_memories > MEMORIES_PER_COMPONENT {
        let what = format!(
            "it has {} memories, not at most {MEMORIES_PER_COMPONENT}",
            resources.num_memories
        );
        findings.push(finding(what, "link its modules into one"));
    }
    if resources.num_tables > TABLES_PER_COMPONENT {
        let what =
            format!("it has {} tables, not at most {TABLES_PER_COMPONENT}", resources.num_tables);
        findings.push(finding(what, "link its modules into one"));
    }
    let memory_bytes = resources.max_initial_memory_size.unwrap_or(0);
    if memory_bytes > MEMORY_BYTES_BOUND {
        let (used, bound) = (size(memory_bytes), size(MEMORY_BYTES_BOUND));
        let what = format!("it begins with {used} of memory, not at most {bound}");
        findings.push(finding(what, "lower its initial memory"));
    }
    findings
}

fn link(
    linker: &Linker<Guest>,
    component: &Component,
    imports: &[(String, ComponentItem)],
) -> wasmtime::Result<InstancePre<Guest>> {
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
    linker.instantiate_pre(component)
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
                linker.func_new(name, move |store, _, _, _| {
                    Err(store.data().denied(&function).into())
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
        let finding = |bytes: &[u8]| check_header(bytes).unwrap_err().to_string();
        assert!(finding(b"").starts_with("it is cut off after 0 bytes"));
        assert!(finding(b"\0as").starts_with("it is cut off after 3 bytes"));
        assert!(finding(b"\0asm\x0d\0").starts_with("it is cut off after 6 bytes"));
        assert!(finding(b"\0asm\x01\0\0\0").starts_with("it is a core module"));
        assert!(finding(b"\0asm\x07\0\0\0").starts_with("it has an unknown binary version"));
        assert!(finding(b"(component)").starts_with("it is not WebAssembly"));
    }
}
