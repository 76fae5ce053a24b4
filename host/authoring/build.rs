//! Embeds what a new plugin is made of: the templates, the contract, and the SDK, which is on no registry.
//!
//! The list is made here and not by a macro, because cargo has to build anew also when a file is added.
//!
//! A project's versions are those that the host's own plugins are built and tested with: the SDK's manifest and the lock
//! file of a Rust project come from the workspace's, so that there is no second place where they could differ.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Folders that tools leave beside a template that somebody has tried in place.
const LEFT_BY_TOOLS: [&str; 5] = ["target", "node_modules", ".venv", "__pycache__", "dist"];

/// Where the SDK finds the contract: in this project, and in a project of an author.
const CONTRACT_HERE: &str = "path: \"../../wit\"";
const CONTRACT_IN_PROJECT: &str = "path: \"../wit\"";

/// What other members of the workspace have these packages depend on, by features that a project does not turn on. With
/// them a project's lock file would be rewritten by its first build.
const LEFT_OUT: [(&str, &[&str]); 2] = [
    ("hashbrown", &["allocator-api2", "equivalent", "serde", "serde_core"]),
    ("semver", &["serde", "serde_core"]),
];

fn main() {
    let here = PathBuf::from(required("CARGO_MANIFEST_DIR"));
    let workspace = here.ancestors().nth(2).expect("the crate lies two folders below the root");
    let watched =
        ["Cargo.toml", "Cargo.lock", "wit", "plugins/stage-sdk"].map(|name| workspace.join(name));
    for path in watched.iter().chain([&here.join("build.rs"), &here.join("templates")]) {
        println!("cargo::rerun-if-changed={}", path.display());
    }

    let root: Table = parsed(&workspace.join("Cargo.toml"));
    let lock: Table = parsed(&workspace.join("Cargo.lock"));
    let sdk_folder = workspace.join("plugins/stage-sdk");
    let sdk: Table = parsed(&sdk_folder.join("Cargo.toml"));
    let packages = locked_packages(&lock);
    let needed = needed_by("stage-sdk", &packages);

    let mut source = String::new();
    write_files(&mut source, "CONTRACT", &files_below(&workspace.join("wit")));
    for language in ["rust", "js", "python"] {
        let name = format!("TEMPLATE_{}", language.to_uppercase());
        write_files(&mut source, &name, &files_below(&here.join("templates").join(language)));
    }
    write_files(&mut source, "SDK_SOURCES", &sdk_sources(&sdk_folder));
    write_text(&mut source, "SDK_MANIFEST", &sdk_manifest(&sdk, &root, &needed));
    let locked = needed.iter().map(|package| locked_text(package, &needed));
    writeln!(
        source,
        "pub(super) const LOCKED_PACKAGES: &[(&str, &str)] = &{:?};",
        locked.collect::<Vec<_>>()
    )
    .expect("text");
    let versions = ["serde", "serde_json"].map(|name| (name.to_owned(), version_of(name, &needed)));
    writeln!(source, "pub(super) const VERSIONS: [(&str, &str); 2] = {versions:?};").expect("text");
    let embedded = PathBuf::from(required("OUT_DIR")).join("embedded.rs");
    fs::write(&embedded, source).unwrap_or_else(|error| panic!("{}: {error}", embedded.display()));
}

fn required(name: &str) -> std::ffi::OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets `{name}` for build scripts"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parsed(path: &Path) -> Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Path below the folder, with `/`, and text of each file.
fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        // A language without a template is told to whoever asks for it.
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.unwrap_or_else(|error| panic!("{}: {error}", next.display())).path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy();
            let is_left = LEFT_BY_TOOLS.contains(&name.as_ref()) || name.ends_with(".wasm");
            if is_left {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(folder).expect("it lies below");
            let parts = below.components().map(|part| part.as_os_str().to_string_lossy());
            found.insert(parts.collect::<Vec<_>>().join("/"), read(&path));
        }
    }
    found
}

/// The SDK without its manifest, which is written anew, and its tests, which read files that a project does not have.
fn sdk_sources(folder: &Path) -> BTreeMap<String, String> {
    let mut files = files_below(folder);
    files.retain(|path, _| path.starts_with("src/") || path == "README.md");
    let bindings = files.get_mut("src/bindings.rs").expect("the SDK has bindings");
    assert_eq!(
        bindings.matches(CONTRACT_HERE).count(),
        1,
        "the SDK reads the contract in one place"
    );
    *bindings = bindings.replace(CONTRACT_HERE, CONTRACT_IN_PROJECT);
    files
}

/// The SDK's manifest without a workspace around it: what it inherits is written out, and its dependencies have exactly
/// the versions of the workspace's lock file.
fn sdk_manifest(sdk: &Table, root: &Table, needed: &[&Table]) -> String {
    let workspace = table(root, "workspace");
    let inherited = |section: &str, key: &str, value: &Value| {
        let is_inherited = value.get("workspace").and_then(Value::as_bool) == Some(true);
        let given = if is_inherited { table(workspace, section).get(key) } else { Some(value) };
        given.unwrap_or_else(|| panic!("the workspace has no `{key}` in `{section}`")).clone()
    };
    let mut text = String::from("[package]\n");
    for (key, value) in table(sdk, "package") {
        writeln!(text, "{key} = {}", inherited("package", key, value)).expect("text");
    }
    text.push_str("\n[lib]\ndoctest = false\n\n[dependencies]\n");
    for (key, value) in table(sdk, "dependencies") {
        let mut wanted = match inherited("dependencies", key, value) {
            Value::Table(wanted) => wanted,
            version => Table::from_iter([("version".to_owned(), version)]),
        };
        let exact = format!("={}", version_of(key, needed));
        wanted.insert("version".to_owned(), Value::String(exact));
        writeln!(text, "{key} = {}", Value::Table(wanted)).expect("text");
    }
    text
}

fn table<'a>(within: &'a Table, key: &str) -> &'a Table {
    let found = within.get(key).and_then(Value::as_table);
    found.unwrap_or_else(|| panic!("there is no table `{key}`"))
}

fn text_of<'a>(package: &'a Table, key: &str) -> Option<&'a str> {
    package.get(key).and_then(Value::as_str)
}

fn version_of(name: &str, packages: &[&Table]) -> String {
    let mut found = packages.iter().filter(|package| text_of(package, "name") == Some(name));
    let package = found.next().unwrap_or_else(|| panic!("the SDK does not need `{name}`"));
    assert!(found.next().is_none(), "the SDK needs two versions of `{name}`");
    text_of(package, "version").expect("a version").to_owned()
}

fn locked_packages(lock: &Table) -> Vec<&Table> {
    let packages = lock.get("package").and_then(Value::as_array).expect("a lock file has packages");
    packages.iter().filter_map(Value::as_table).collect()
}

/// As lock files name them: `name`, or `name version` where there are several versions.
fn dependencies(package: &Table) -> impl Iterator<Item = &str> {
    let left_out = LEFT_OUT.iter().find(|(name, _)| text_of(package, "name") == Some(name));
    let left_out = left_out.map_or(&[][..], |(_, names)| names);
    let all = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).filter(move |needed| !left_out.contains(needed))
}

fn find<'a>(reference: &str, packages: &[&'a Table]) -> &'a Table {
    let mut parts = reference.split(' ');
    let (name, version) = (parts.next(), parts.next());
    let fits = |package: &&&'a Table| {
        text_of(package, "name") == name
            && (version.is_none() || text_of(package, "version") == version)
    };
    packages.iter().find(fits).unwrap_or_else(|| panic!("`{reference}` is not locked"))
}

/// The packages that one needs, itself included, in the order of lock files.
fn needed_by<'a>(name: &str, packages: &[&'a Table]) -> Vec<&'a Table> {
    let mut seen = BTreeSet::new();
    let mut open = VecDeque::from([name]);
    let mut needed = BTreeMap::new();
    while let Some(reference) = open.pop_front() {
        if seen.insert(reference) {
            let package = find(reference, packages);
            needed.insert((text_of(package, "name"), text_of(package, "version")), package);
            open.extend(dependencies(package));
        }
    }
    needed.into_values().collect()
}

/// Name and lines of a package, as cargo writes them into a lock file with exactly these packages.
fn locked_text(package: &Table, packages: &[&Table]) -> (String, String) {
    let mut text = String::from("[[package]]\n");
    for key in ["name", "version", "source", "checksum"] {
        if let Some(value) = text_of(package, key) {
            writeln!(text, "{key} = {value:?}").expect("text");
        }
    }
    let needs: Vec<String> =
        dependencies(package).map(|needed| reference(needed, packages)).collect();
    if !needs.is_empty() {
        writeln!(text, "dependencies = [\n{}]", needs.concat()).expect("text");
    }
    (text_of(package, "name").expect("a name").to_owned(), text)
}

/// Cargo names the version of a dependency only where the lock file has several.
fn reference(needed: &str, packages: &[&Table]) -> String {
    let name = needed.split(' ').next().expect("a name");
    let is_alone =
        packages.iter().filter(|package| text_of(package, "name") == Some(name)).count() == 1;
    format!(" \"{}\",\n", if is_alone { name } else { needed })
}

fn write_files(source: &mut String, name: &str, files: &BTreeMap<String, String>) {
    writeln!(source, "pub(super) const {name}: &[(&str, &str)] = &[").expect("text");
    for (path, text) in files {
        writeln!(source, "    ({path:?}, {text:?}),").expect("text");
    }
    writeln!(source, "];").expect("text");
}

fn write_text(source: &mut String, name: &str, text: &str) {
    writeln!(source, "pub(super) const {name}: &str = {text:?};").expect("text");
}
