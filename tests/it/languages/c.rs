//! Plugins in C: no SDK and no template, only the bindings that `wit-bindgen` makes of the contract.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use domain::FaultKind;
use domain::fault::Limit;
use insta::assert_snapshot;

use super::faults::{attempt_of, done, report};
use super::projects::{copy_sources, target_folder, workspace};
use super::{assert_fixtures_pass, example};
use crate::support::{Folder, skipped};

/// Where `tests/languages/install` puts the tools; `None` if they are not there, and the test is skipped.
fn tools(test: &str) -> Option<PathBuf> {
    let tools = target_folder().join("languages/c");
    // It is written last.
    let is_installed = tools.join("installed-from").is_file();
    if !is_installed {
        skipped(test, "the tools for C: run `tests/languages/install`");
    }
    is_installed.then_some(tools)
}

/// What `make` does in a project.
fn make(project: &Path, tools: &Path, arguments: &[&str]) -> Output {
    let mut make = Command::new("make");
    // This may itself run below a `make`, whose settings are not meant.
    make.current_dir(project).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let output = make.args(arguments).arg(format!("TOOLS={}", tools.display())).output();
    let output = output.expect("make starts");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    output
}

/// A copy of the example in a folder of its own, without what was built of it.
fn copy_of_example(folder: &Folder) -> PathBuf {
    let copy = folder.path().join("project");
    copy_sources(&example("c"), &copy);
    copy
}

#[test]
fn the_example_in_c_gives_what_its_fixtures_say() {
    let Some(tools) = tools("the example in C") else { return };
    let folder = Folder::new();
    let project = copy_of_example(&folder);
    make(&project, &tools, &[]);
    assert_fixtures_pass(&project, &project.join("dist/plugin.wasm"));
}

#[test]
fn the_logic_of_the_example_in_c_passes_its_tests_as_a_program() {
    let Some(tools) = tools("testing C without WebAssembly") else { return };
    let folder = Folder::new();
    let output = make(&copy_of_example(&folder), &tools, &["test"]);
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("all in order\n"));
}

#[test]
fn the_example_in_c_has_the_contract_and_the_version_of_its_names() {
    let contract = fs::read_to_string(workspace().join("wit/stage.wit")).expect("the contract");
    let copy = fs::read_to_string(example("c").join("wit/stage.wit")).expect("the contract");
    assert!(copy == contract, "`wit/stage.wit` of the example in C is another one");
    let makefile = fs::read_to_string(example("c").join("Makefile")).expect("a Makefile");
    let line = makefile.lines().find_map(|line| line.strip_prefix("VERSION = "));
    let version = line.expect("the Makefile names a version");
    assert!(contract.contains(&format!("package stagewright:stage@{version};")));
}

/// What the misbehaving plugin ends with. `None` where there is no tool to build it.
fn fault(verb: &str) -> Option<domain::Fault> {
    let test = format!("the fault `{verb}` of C");
    let tools = tools(&test)?;
    let folder = Folder::new();
    let project = copy_of_example(&folder);
    for source in ["taglines.c", "taglines.h"] {
        fs::remove_file(project.join("src").join(source)).expect("a source of the example");
    }
    copy_sources(&workspace().join("tests/languages/rogue-c"), &project);
    make(&project, &tools, &[]);
    let component = project.join("dist/plugin.wasm");
    Some(done(attempt_of(&component, verb)).outcome.expect_err(&test))
}

#[test]
fn a_trap_of_c_is_told_with_its_file_and_line() {
    let Some(fault) = fault("divide") else { return };
    assert_eq!(fault.kind, FaultKind::Trap);
    assert_snapshot!(report(&fault), @r"
    stage `rogue` (plugin `rogue-c` 1.2.3, [digest]): the plugin trapped: integer divide by zero
    in its code, innermost first:
      at share_of (./src/plugin.c:11)
      at divide (./src/plugin.c:15)
      at exports_plugin_run (./src/plugin.c:56)
    last lines of its log:
      info: about to divide
    ");
}

/// C keeps its stack in the memory of the module: it has to lie where nothing is below it.
#[test]
fn a_recursion_of_c_ends_before_it_writes_over_anything() {
    let Some(fault) = fault("recurse") else { return };
    assert_eq!(fault.kind, FaultKind::Trap);
    assert_snapshot!(report(&fault), @r"
    stage `rogue` (plugin `rogue-c` 1.2.3, [digest]): the plugin trapped: out of bounds memory access
    in its code, innermost first:
      at deeper (./src/plugin.c:21)
      at deeper (./src/plugin.c:22), 19 times
    last lines of its log:
      info: about to recurse
    ");
}

#[test]
fn the_heap_of_c_ends_at_its_limit() {
    let Some(fault) = fault("grow") else { return };
    assert_eq!(fault.kind, FaultKind::Limit(Limit::Memory));
    assert_snapshot!(report(&fault), @r"
    stage `rogue` (plugin `rogue-c` 1.2.3, [digest]): over the limit on memory: 65.2 MiB, with 64.0 MiB allowed; if the stage needs more, raise `limits.memory_mib` in the profile
    in its code, innermost first:
      at allocated (./src/text.c:9)
      at grow (./src/plugin.c:26)
      at exports_plugin_run (./src/plugin.c:58)
    last lines of its log:
      info: about to grow
    ");
}
