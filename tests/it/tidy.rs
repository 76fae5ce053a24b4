//! The rules of the project that a compiler does not know.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, stagewright};

/// Lines of a file; tests may be longer.
const FILE_LINES_MAX: usize = 500;
const TEST_FILE_LINES_MAX: usize = 800;
/// Lines of a function; tests may be longer.
const FUNCTION_LINES_MAX: usize = 70;
const TEST_FUNCTION_LINES_MAX: usize = 100;
/// Lines of `host/ARCHITECTURE.md`.
const ARCHITECTURE_LINES_MAX: usize = 250;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Rust files below these folders.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["host", "plugins", "tests"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("it lies below").display().to_string();
                found.push((name, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(found.len() > 100, "the sources are found");
    found.sort();
    found
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/")
        || name.contains("/tests/")
        || name.ends_with("tests.rs")
        || name.contains("/benches/")
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Normal dependencies of each member on other members.
fn arrows() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let names: Vec<String> = packages.iter().map(|package| text(&package["name"])).collect();
    let inner = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(&dependency["name"]))
            .filter(|name| names.contains(name))
            .collect()
    };
    packages.iter().map(|package| (text(&package["name"]), inner(package))).collect()
}

/// The layers as `host/ARCHITECTURE.md` draws them.
fn layers() -> BTreeMap<String, u8> {
    let page = read("host/ARCHITECTURE.md");
    let mut layers = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, layer, crates, _] = cells.as_slice()
            && let Ok(layer) = layer.parse::<u8>()
        {
            let names = crates.split_whitespace().map(|name| name.trim_matches('`').to_owned());
            layers.extend(names.map(|name| (name, layer)));
        }
    }
    layers
}

#[test]
fn arrows_point_down() {
    let layers = layers();
    let arrows = arrows();
    for name in std::fs::read_dir(root().join("host")).expect("host") {
        let entry = name.expect("an entry");
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().expect("UTF-8");
            assert!(layers.contains_key(&name), "`{name}` has no layer in host/ARCHITECTURE.md");
        }
    }
    for (from, layer) in &layers {
        for to in &arrows[from] {
            let below = layers.get(to).unwrap_or_else(|| panic!("`{from}` depends on `{to}`"));
            assert!(below < layer, "`{from}` (layer {layer}) depends on `{to}` (layer {below})");
        }
    }
}

#[test]
fn each_outside_thing_is_named_by_one_crate() {
    let owners = [
        ("wasmtime", "host/sandbox"),
        ("rusqlite", "host/store"),
        ("utoipa-axum", "host/control-api"),
        ("reqwest", "host/gateway"),
        ("tiktoken-rs", "host/gateway"),
        ("figment", "host/stagewright"),
    ];
    for (dependency, owner) in owners {
        for (name, manifest) in manifests() {
            let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
            let has =
                dependencies.lines().any(|line| line.split(['.', ' ']).next() == Some(dependency));
            assert_eq!(has, name == owner, "{name}: only `{owner}` names `{dependency}`");
        }
    }
    let domain = &manifests()["host/domain"];
    let (_, dependencies) = domain.split_once("[dependencies]").expect("dependencies");
    assert_eq!(dependencies.trim(), "thiserror.workspace = true", "`domain` performs nothing");
}

fn manifests() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in ["host", "plugins", "tests"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path().join("Cargo.toml");
            if let Ok(text) = std::fs::read_to_string(&path) {
                let name = path.parent().expect("a folder").strip_prefix(root()).expect("below");
                found.insert(name.display().to_string(), text);
            }
        }
    }
    found
}

#[test]
fn no_crate_of_ours_has_features() {
    for (name, manifest) in manifests() {
        assert!(!manifest.contains("[features]"), "{name}");
    }
}

#[test]
fn files_and_functions_have_not_outgrown_their_names() {
    let mut found = Vec::new();
    for (name, text) in sources() {
        let (file_max, function_max) = if is_test(&name) {
            (TEST_FILE_LINES_MAX, TEST_FUNCTION_LINES_MAX)
        } else {
            (FILE_LINES_MAX, FUNCTION_LINES_MAX)
        };
        let lines = text.lines().count();
        if lines > file_max {
            found.push(format!("{name} has {lines} lines; {file_max} are allowed"));
        }
        for (function, lines) in functions(&text) {
            if lines > function_max {
                found.push(format!(
                    "{name}: `{function}` has {lines} lines; {function_max} are allowed"
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Name and lines of each function, by the indentation that rustfmt gives.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let is_function = trimmed.starts_with("fn ")
            || (trimmed.starts_with("pub") || trimmed.starts_with("async "))
                && trimmed.contains("fn ");
        if !is_function || trimmed.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[start..].iter().position(|line| *line == end) {
            let name = trimmed.split("fn ").nth(1).unwrap_or(trimmed);
            found.push((name.split(['(', '<']).next().unwrap_or(name).to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn every_crate_and_every_file_with_public_items_says_what_it_is_for() {
    for (name, text) in sources() {
        let public = text.lines().filter(|line| line.trim_start().starts_with("pub ")).count();
        let is_root = name.ends_with("/lib.rs") || name.ends_with("/main.rs");
        if (is_root || public > 1) && !name.ends_with("build.rs") {
            assert!(text.starts_with("//!"), "{name} does not begin with `//!`");
        }
    }
}

#[test]
fn nothing_is_left_for_later_and_nothing_names_this_machine() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("should_", "panic"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    for (name, text) in sources() {
        for word in banned {
            assert!(!text.contains(word), "{name} has `{word}`");
        }
    }
}

#[test]
fn the_architecture_fits_on_a_page_and_names_every_crate() {
    let page = read("host/ARCHITECTURE.md");
    assert!(page.lines().count() < ARCHITECTURE_LINES_MAX);
    for name in layers().keys() {
        assert!(page.contains(&format!("### `{name}`")), "no paragraph about `{name}`");
    }
}

#[test]
fn the_readme_lists_every_error_code() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("## Error codes").expect("the table of codes");
    let (table, _) = table.split_once("\n## ").expect("a section after it");
    let wanted: String = control_api::Code::ALL
        .iter()
        .map(|code| format!("| `{}` | {} | {} |\n", code.as_str(), code.status(), code.title()))
        .collect();
    assert!(table.contains(&wanted), "the table has to be:\n\n{wanted}");
}

#[test]
fn the_refusals_in_the_tables_of_runs_are_codes_of_the_api() {
    let runs = read("host/RUNS.md");
    let (_, tables) = runs.split_once("## Orders").expect("the tables of commands");
    let cells = tables.lines().filter(|line| line.starts_with('|')).flat_map(|row| row.split('|'));
    let refusal =
        |cell: &'_ str| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let refusals: Vec<String> = cells.filter_map(refusal).collect();
    assert!(refusals.len() > 50, "{refusals:?}");
    for refusal in refusals {
        let is_code = control_api::Code::ALL.iter().any(|code| code.as_str() == refusal);
        assert!(is_code, "`{refusal}` in host/RUNS.md is no code of the API");
    }
}

#[test]
fn the_contract_has_the_version_that_the_plugins_are_built_for() {
    let wit = read("wit/stage.wit");
    let package = wit.lines().find(|line| line.starts_with("package ")).expect("a package");
    let told = stagewright(&Folder::new(), &["plugins", "show", "research", "-o", "json"]).json();
    let version = told["contract_version"].as_str().expect("a version");
    assert_eq!(package, format!("package stagewright:stage@{version};"));
}
