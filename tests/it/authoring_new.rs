//! Beginning and building a plugin, as an author does: the real program and the real cargo, without a network.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;

use crate::support::{Folder, stagewright};

/// How long a small plugin in Rust may be, in bytes, with the line tables of its own code. Those of the standard library
/// would be 2.5 MB more.
const COMPONENT_BYTES_MAX: u64 = 2_000_000;

/// A folder in which cargo finds its crates, asks no network, and keeps what it has compiled for the next time. The plugins
/// that are built so need names of their own.
fn folder() -> Folder {
    let mut folder = Folder::new();
    for name in ["CARGO_HOME", "RUSTUP_HOME"] {
        if let Some(place) = std::env::var_os(name) {
            folder.set(name, &place.to_string_lossy());
        }
    }
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authored");
    folder.set("CARGO_TARGET_DIR", &built.display().to_string());
    folder.set("CARGO_NET_OFFLINE", "true");
    folder
}

/// A folder of an author without any tools.
fn folder_without_tools() -> Folder {
    let mut folder = Folder::new();
    let empty = folder.path().join("no-tools");
    fs::create_dir(&empty).expect("a folder");
    folder.set("PATH", &empty.display().to_string());
    folder
}

fn begun(folder: &Folder, name: &str, language: &str) -> PathBuf {
    let ran = stagewright(folder, &["plugin", "new", name, "--lang", language]);
    assert_eq!(ran.code, 0, "{ran}");
    folder.path().join(name)
}

/// What the tests of a project print, if they pass.
fn tested(folder: &Folder, project: &Path) -> String {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(project).args(["test", "--offline"]).envs(folder.environment());
    let output = cargo.output().expect("cargo starts");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{printed}");
    printed
}

/// The profile that the README of a project shows.
fn shown_profile(project: &Path) -> String {
    let readme = fs::read_to_string(project.join("README.md")).expect("the README");
    let (_, after) = readme.split_once("```yaml\n").expect("a block");
    after.split_once("```").expect("its end").0.to_owned()
}

#[cfg(unix)]
#[test]
fn a_new_project_is_as_open_to_others_as_what_its_author_writes() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let own = folder.write("own.txt", "as the author writes\n");
    let project = begun(&folder, "tagline", "js");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
    assert_eq!(mode(&project.join("package.json")), mode(&own));
}

#[test]
fn a_new_rust_plugin_builds_passes_its_test_and_is_a_plugin() {
    let folder = folder();
    let project = begun(&folder, "motto", "rust");
    let lock = || fs::read_to_string(project.join("Cargo.lock")).expect("the lock file");
    let lock_at_first = lock();
    let ran = stagewright(&folder, &["plugin", "build", "motto"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(lock(), lock_at_first, "cargo finds nothing to change in it");
    assert!(ran.stdout.starts_with("built `motto/dist/plugin.wasm`: "), "{ran}");
    assert!(ran.stdout.ends_with("next: stagewright plugin test motto\n"), "{ran}");
    assert!(ran.stderr.contains("Finished"), "cargo's words are shown: {ran}");

    let component = fs::read(project.join("dist/plugin.wasm")).expect("the component");
    assert!((component.len() as u64) < COMPONENT_BYTES_MAX, "{} bytes", component.len());
    let here = folder.path().canonicalize().expect("the folder");
    for place in [here.display().to_string(), "/.cargo/registry".to_owned()] {
        let is_named = component.windows(place.len()).any(|part| part == place.as_bytes());
        assert!(!is_named, "the component names `{place}`");
    }

    let printed = tested(&folder, &project);
    assert!(printed.contains("an_answer_becomes_a_clean_brief ... ok"), "{printed}");

    let ran = stagewright(&folder, &["plugin", "test", "motto"]);
    assert_eq!(ran.code, 0, "its fixture passes: {ran}");

    folder.write(".stagewright/plugins/motto.wasm", component);
    let shown = stagewright(&folder, &["plugins", "show", "motto", "-o", "json"]).json();
    assert_eq!(shown["version"], "0.1.0");
    assert_eq!(shown["makes"][0]["name"], "brief.md");

    // In every language it has the same name and the same settings.
    for language in ["rust", "js", "python"] {
        let begun = ["plugin", "new", "motto", "--lang", language, "--to", language];
        assert_eq!(stagewright(&folder, &begun).code, 0);
        let profile = shown_profile(&folder.path().join(language).join("motto"));
        folder.write(".stagewright/profiles/mine.yaml", profile);
        let ran = stagewright(&folder, &["profiles", "check", ".stagewright/profiles/mine.yaml"]);
        assert_eq!(ran.code, 0, "{language}: {ran}");
    }
}

#[test]
fn the_frames_of_a_built_plugin_have_file_and_line() {
    let folder = folder();
    let project = begun(&folder, "panicking", "rust");
    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("the stage");
    let line = 1 + text.lines().position(|line| line.contains("let word_count =")).expect("it is");
    let text = text.replace("let word_count =", "panic!(\"at {}\", brief.len()); let word_count =");
    fs::write(&source, text).expect("a file");
    let built = stagewright(&folder, &["plugin", "build", "panicking"]);
    assert_eq!(built.code, 0, "{built}");

    let place = |name: &str| project.join(name).display().to_string();
    let (component, input) = (place("dist/plugin.wasm"), place("fixtures/bees/input.yaml"));
    let answer = place("fixtures/bees/answer-1.md");
    let arguments = ["plugin", "run", &component, "--input", &input, "--answer", &answer];
    let ran = stagewright(&folder, &arguments);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains(&format!("post_process (/panicking/src/lib.rs:{line})")), "{ran}");
}

#[test]
fn the_compiler_says_what_is_wrong_with_a_plugin() {
    let folder = folder();
    let project = begun(&folder, "broken", "rust");
    fs::write(project.join("src/settings.rs"), "pub(crate) fn schema() -> u8 { \"no\" }\n")
        .expect("a file");
    let ran = stagewright(&folder, &["plugin", "build", "broken"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("src/settings.rs:1:32"), "{ran}");
    assert!(ran.stderr.contains("expected `u8`, found `&str`"), "{ran}");
    let last = ran.stderr.lines().rev().take(2).collect::<Vec<_>>();
    assert_eq!(
        last,
        [
            "hint: correct what it says above, then build again",
            "error: `cargo` did not build the plugin (exit status: 101)",
        ],
        "{ran}"
    );
    assert!(!project.join("dist/plugin.wasm").exists());
}

#[test]
fn what_is_begun_is_told_with_what_to_type_next() {
    let folder = Folder::new();
    let told = |arguments: &[&str]| stagewright(&folder, arguments).told(&folder);
    assert_snapshot!(told(&["plugin", "new", "tagline"]), @r"
    exit 0
    -- stdout
    `tagline` is begun in `tagline`. Next:
      cd tagline
      stagewright plugin build
      stagewright plugin test
    -- stderr
    ");
    assert_snapshot!(told(&["plugin", "new", "voice", "--lang", "javascript", "--to", "mine"]), @r"
    exit 0
    -- stdout
    `voice` is begun in `mine/voice`. Next:
      cd mine/voice
      npm install
      stagewright plugin build
      stagewright plugin test
    -- stderr
    ");
    let python =
        stagewright(&folder, &["plugin", "new", "voice", "--lang", "python", "-o", "json"]);
    assert_snapshot!(python.stdout, @r#"
    {
      "name": "voice",
      "language": "python",
      "folder": "voice",
      "component": "voice/dist/plugin.wasm",
      "next": [
        "cd voice",
        "python3 -m venv .venv",
        ".venv/bin/pip install -r requirements.txt",
        "stagewright plugin build",
        "stagewright plugin test"
      ]
    }
    "#);
}

#[test]
fn what_to_type_next_is_one_word_for_a_shell_where_a_path_has_a_blank() {
    // A tool that makes something, without any other tool.
    let folder = with_tools(&[("componentize-py", "echo made > dist/plugin.wasm")]);
    let begun = ["plugin", "new", "voice", "--lang", "py", "--to", "Rita's plugins"];
    let told = stagewright(&folder, &begun);
    assert!(told.stdout.contains("\n  cd 'Rita'\\''s plugins/voice'\n"), "{told}");
    folder.write("Rita's plugins/voice/dist/plugin.wasm", "old");
    let told = stagewright(&folder, &["plugin", "build", "Rita's plugins/voice"]);
    let next = "\nnext: stagewright plugin test 'Rita'\\''s plugins/voice'\n";
    assert!(told.stdout.ends_with(next), "{told}");
}

#[test]
fn what_cannot_be_begun_changes_nothing() {
    let folder = Folder::new();
    let before = folder.files();
    assert_snapshot!(stagewright(&folder, &["plugin", "new", "Brand_Voice"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: `Brand_Voice` cannot be the name of a plugin: it does not start with a lower-case letter
    hint: write e.g. `brand-voice`
    ");
    assert_snapshot!(stagewright(&folder, &["plugin", "new", "serde"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: `serde` is the name of a crate that the plugin depends on
    hint: choose another one
    ");
    assert_eq!(folder.files(), before);

    folder.write("tagline/notes.md", "mine");
    let before = folder.files();
    assert_snapshot!(stagewright(&folder, &["plugin", "new", "tagline"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: there is a `tagline` already
    hint: choose another name, or another folder with `--to DIR`
    ");
    assert_eq!(folder.files(), before);
}

#[test]
fn a_folder_without_a_project_is_not_built() {
    let folder = Folder::new();
    assert_snapshot!(stagewright(&folder, &["plugin", "build"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: `.` is no plugin project: it has no `stagewright-plugin.yaml`
    hint: name the folder of a plugin, or begin one with `stagewright plugin new NAME`
    ");
    folder.write("stagewright-plugin.yaml", "language: rust\ncomponent: ../elsewhere.wasm\n");
    assert_snapshot!(stagewright(&folder, &["plugin", "build"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: ./stagewright-plugin.yaml: `component` leads out of the project: `../elsewhere.wasm`
    hint: it has two lines: `language: rust`, `js` or `python`, and `component: dist/plugin.wasm`
    ");
}

#[test]
fn a_missing_tool_is_named_with_how_to_get_it() {
    let folder = folder_without_tools();
    let told = |language: &str| {
        begun(&folder, language, language);
        stagewright(&folder, &["plugin", "build", language]).told(&folder)
    };
    assert_snapshot!(told("rust"), @r"
    exit 1
    -- stdout
    -- stderr
    error: `cargo` is needed to build this plugin, and was not found
    hint: install Rust as https://rustup.rs says, then try again
    ");
    assert_snapshot!(told("js"), @r"
    exit 1
    -- stdout
    -- stderr
    error: `npm` is needed to build this plugin, and was not found
    hint: install Node.js 20 or later (https://nodejs.org), then `npm install` in the project
    ");
    assert_snapshot!(told("python"), @r"
    exit 1
    -- stdout
    -- stderr
    error: `componentize-py` is needed to build this plugin, and was not found
    hint: in the project: `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt`
    ");
}

/// Puts programs into a folder's `PATH` that say what a machine without something says.
fn with_tools(tools: &[(&str, &str)]) -> Folder {
    use std::os::unix::fs::PermissionsExt;
    let mut folder = Folder::new();
    for (name, script) in tools {
        let path = folder.write(&format!("tools/{name}"), format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    folder.set("PATH", &folder.path().join("tools").display().to_string());
    folder
}

#[test]
fn a_missing_part_of_a_toolchain_is_named_with_how_to_get_it() {
    let folder = with_tools(&[
        ("cargo", "echo cargo 1"),
        ("rustc", "echo /nowhere/lib"),
        ("npm", "echo 10"),
    ]);
    for language in ["rust", "js"] {
        begun(&folder, language, language);
    }
    assert_snapshot!(stagewright(&folder, &["plugin", "build", "rust"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: Rust's standard library for `wasm32-wasip2` is needed to build this plugin, and is not installed
    hint: add it: `rustup target add wasm32-wasip2`
    ");
    assert_snapshot!(stagewright(&folder, &["plugin", "build", "js"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    error: `componentize-js` is needed to build this plugin, and was not found
    hint: `npm install` in the project fetches it
    ");
}

#[test]
fn what_a_tool_says_is_shown_wherever_it_says_it() {
    let folder = with_tools(&[
        ("npm", "echo on stdout; echo on stderr >&2; exit 3"),
        ("componentize-py", "exit 0"),
    ]);
    let project = begun(&folder, "js", "js");
    folder.write("js/node_modules/.bin/componentize-js", "");
    let ran = stagewright(&folder, &["plugin", "build", "js"]);
    assert_eq!(ran.code, 1, "{ran}");
    let told = "building with `npm` …\non stderr\non stdout\nerror: `npm` did not";
    assert!(ran.stderr.starts_with(told), "{ran}");
    assert!(!project.join("dist/plugin.wasm").exists());

    begun(&folder, "python", "py");
    assert_snapshot!(stagewright(&folder, &["plugin", "build", "python"]).told(&folder), @r"
    exit 1
    -- stdout
    -- stderr
    building with `componentize-py` …
    error: the build made no component: `python/dist/plugin.wasm`
    hint: let `component` in `stagewright-plugin.yaml` name the file that the build writes
    ");
}
