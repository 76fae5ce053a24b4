//! Plugins in other languages: built by the real tools from npm, PyPI and crates.io, run by the real sandbox.
mod c;
mod faults;
mod network;
mod projects;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use projects::{Language, component_of, sources, workspace};

use crate::support::{Folder, stagewright};

fn example(language: &str) -> PathBuf {
    workspace().join(format!("plugins/examples/tagline-{language}"))
}

fn template(language: Language) -> PathBuf {
    workspace().join("host/authoring/templates").join(language.as_str())
}

/// Runs the fixtures of a project, which say what comes out to the byte.
#[track_caller]
fn assert_fixtures_pass(project: &Path, component: &Path) {
    let folder = Folder::new();
    let (project, component) = (project.display().to_string(), component.display().to_string());
    let ran = stagewright(&folder, &["plugin", "test", &project, "--component", &component]);
    assert_eq!(ran.code, 0, "{ran}");
}

/// The component of the example in Rust, which belongs to the workspace.
fn rust_component() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(example("rust")).env("CARGO_TARGET_DIR", &target);
    cargo.args(["build", "--release", "--offline", "--locked", "--target", "wasm32-wasip2"]);
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("wasm32-wasip2/release/tagline_rust.wasm")
}

#[test]
fn the_example_in_rust_gives_what_its_fixtures_say() {
    assert_fixtures_pass(&example("rust"), &rust_component());
}

#[test]
fn the_example_in_javascript_gives_what_its_fixtures_say() {
    if Language::JavaScript.is_installed("the example in JavaScript") {
        let component = component_of(Language::JavaScript, &example("js"), &[]);
        assert_fixtures_pass(&example("js"), &component);
    }
}

#[test]
fn the_example_in_python_gives_what_its_fixtures_say() {
    if Language::Python.is_installed("the example in Python") {
        let component = component_of(Language::Python, &example("python"), &[]);
        assert_fixtures_pass(&example("python"), &component);
    }
}

/// With the tests above: the same questions, artifacts, data, variables, summaries and failures in every language.
#[test]
fn the_example_has_the_same_fixtures_in_every_language() {
    let fixtures = |language| sources(&example(language).join("fixtures"));
    let expected = fixtures("rust");
    assert!(expected.iter().any(|(path, _)| path.ends_with("expected/taglines.md")));
    let others = Language::ALL.iter().map(|language| language.as_str()).chain(["c"]);
    for language in others {
        assert!(fixtures(language) == expected, "`{language}` has other fixtures than Rust");
    }
}

fn a_new_plugin_passes_its_fixtures(language: Language) {
    if !language.is_installed(&format!("a new plugin in {language:?}")) {
        return;
    }
    let folder = Folder::new();
    let ran = stagewright(&folder, &["plugin", "new", "my-brief", "--lang", language.as_str()]);
    assert_eq!(ran.code, 0, "{ran}");
    let project = folder.path().join("my-brief");
    let component = component_of(language, &project, &[]);
    assert_fixtures_pass(&project, &component);
}

#[test]
fn a_new_plugin_in_javascript_passes_its_fixtures() {
    a_new_plugin_passes_its_fixtures(Language::JavaScript);
}

#[test]
fn a_new_plugin_in_python_passes_its_fixtures() {
    a_new_plugin_passes_its_fixtures(Language::Python);
}

#[test]
fn the_logic_of_plugins_in_javascript_passes_its_tests_in_node() {
    if !Language::JavaScript.is_installed("testing in Node.js") {
        return;
    }
    for project in [example("js"), template(Language::JavaScript)] {
        let mut node = Command::new("node");
        let output = node.current_dir(&project).arg("--test").output();
        let output = output.expect("Node.js starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn what_examples_and_templates_have_in_common_is_the_same() {
    let contract = fs::read(workspace().join("wit/stage.wit")).expect("the contract");
    for language in Language::ALL {
        let (example, template) = (example(language.as_str()), template(language));
        let read = |folder: &Path, name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        assert!(read(&example, "wit/stage.wit").as_bytes() == contract, "{language:?}");
        let (common, versions) = match language {
            Language::JavaScript => ("src/stage.js", "package.json"),
            Language::Python => ("src/stage.py", "requirements.txt"),
        };
        assert!(read(&example, common) == read(&template, common), "`{common}` is not the same");
        let of_tools = |text: String| match text.split_once("\"devDependencies\"") {
            Some((_, tools)) => tools.to_owned(),
            None => text,
        };
        assert_eq!(of_tools(read(&example, versions)), of_tools(read(&template, versions)));
    }
}

/// A lock file that names a registry would send everybody to the one of whoever wrote it.
#[test]
fn the_lock_file_of_the_example_names_no_registry() {
    let lock = fs::read_to_string(example("js").join("package-lock.json")).expect("a lock file");
    assert!(lock.contains("\"integrity\""));
    assert!(!lock.contains("\"resolved\""));
}
