//! Building the component with the language's own tool.
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::tools::{self, Tool};
use super::{Project, line_tables};
use crate::{Error, Language};

/// What plugins in Rust are compiled for.
const RUST_TARGET: &str = "wasm32-wasip2";

const CARGO: Tool =
    Tool { name: "cargo", cure: "install Rust as https://rustup.rs says, then try again" };
const NPM: Tool = Tool {
    name: if cfg!(windows) { "npm.cmd" } else { "npm" },
    cure: "install Node.js 20 or later (https://nodejs.org), then `npm install` in the project",
};
const COMPONENTIZE_JS: Tool =
    Tool { name: "componentize-js", cure: "`npm install` in the project fetches it" };
const COMPONENTIZE_PY: Tool = Tool {
    name: "componentize-py",
    cure: if cfg!(windows) {
        r"in the project: `py -m venv .venv`, then `.venv\Scripts\pip install -r requirements.txt`"
    } else {
        "in the project: `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt`"
    },
};

/// Where Python's own environment of a project has the tool, below the project's folder.
const COMPONENTIZE_PY_OWN: &str =
    if cfg!(windows) { ".venv/Scripts/componentize-py.exe" } else { ".venv/bin/componentize-py" };

/// What an author types in a new project's folder before the first build, so that the language's tools are there.
pub fn setup(language: Language) -> &'static [&'static str] {
    match language {
        // Cargo fetches crates by itself.
        Language::Rust => &[],
        Language::JavaScript => &["npm install"],
        Language::Python if cfg!(windows) => {
            &["py -m venv .venv", r".venv\Scripts\pip install -r requirements.txt"]
        }
        Language::Python => &["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"],
    }
}

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Where it lies.
    pub component: PathBuf,
    /// How long it is.
    pub size_bytes: u64,
}

/// Builds a project's component. What the tool says is told line by line while it works.
///
/// # Errors
/// [`Error::ToolMissing`] and [`Error::TargetMissing`] say how to get what is missing; [`Error::BuildFailed`] follows on
/// what the tool has said.
pub fn build(project: &Project, on_line: &mut dyn FnMut(&str)) -> Result<Built, Error> {
    // A tool is started in the project's folder, and must not look there for the folder again.
    let folder =
        project.folder.canonicalize().map_err(|cause| Error::io(&project.folder, cause))?;
    let component = folder.join(&project.component);
    let parent = component.parent().unwrap_or(&folder);
    fs::create_dir_all(parent).map_err(|cause| Error::io(parent, cause))?;
    match project.language {
        Language::Rust => build_rust(&folder, &component, on_line)?,
        Language::JavaScript => build_javascript(&folder, on_line)?,
        Language::Python => build_python(&folder, &project.component, on_line)?,
    }
    let component = project.component();
    match fs::metadata(&component) {
        Ok(found) if found.is_file() => Ok(Built { component, size_bytes: found.len() }),
        Ok(_) | Err(_) => Err(Error::NothingBuilt { component }),
    }
}

fn build_rust(folder: &Path, component: &Path, on_line: &mut dyn FnMut(&str)) -> Result<(), Error> {
    check_rust_target(folder, on_line)?;
    let mut cargo = Command::new(CARGO.name);
    cargo.current_dir(folder);
    cargo.args(["build", "--release", "--target", RUST_TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    cargo.arg("--config").arg(without_folders_of_this_machine(folder));
    let finished = tools::run(&mut cargo, CARGO, on_line)?;
    if !finished.status.success() {
        return Err(Error::BuildFailed { tool: CARGO.name, status: finished.status });
    }
    // Where cargo builds is for the author's configuration to say, so cargo is asked where the component is.
    let manifest = folder.join("Cargo.toml");
    let Some(built) = component_in(&finished.stdout, &manifest) else {
        return Err(Error::NothingBuilt { component: component.to_owned() });
    };
    let bytes = fs::read(&built).map_err(|cause| Error::io(&built, cause))?;
    let smaller = line_tables::without_precompiled(&bytes).unwrap_or(bytes);
    fs::write(component, smaller).map_err(|cause| Error::io(component, cause))
}

/// Without the target, cargo's own words are that `core` cannot be found, which leads nobody to the cure.
fn check_rust_target(folder: &Path, on_line: &mut dyn FnMut(&str)) -> Result<(), Error> {
    // It comes with cargo: where one is missing, so is the other.
    let mut rustc = Command::new("rustc");
    rustc.current_dir(folder).args(["--print", "target-libdir", "--target", RUST_TARGET]);
    let printed = tools::run(&mut rustc, CARGO, on_line)?;
    let has_libraries = printed.status.success() && Path::new(printed.stdout.trim()).is_dir();
    if has_libraries { Ok(()) } else { Err(Error::TargetMissing { target: RUST_TARGET }) }
}

/// Messages of panics and frames name source files. Without this they would name folders of the author's machine, and
/// the digest of a plugin would depend on where it was built. As an addition to what the author has configured.
fn without_folders_of_this_machine(folder: &Path) -> OsString {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let registry =
        cargo_home().map(|home| format!("--remap-path-prefix={}=/cargo", home.display()));
    let project = format!("--remap-path-prefix={}=/{name}", folder.display());
    let flags: Vec<String> = registry.into_iter().chain([project]).collect();
    // JSON's quoting of texts is TOML's, too.
    let flags = serde_json::to_string(&flags).expect("a list of texts is JSON");
    format!("target.{RUST_TARGET}.rustflags={flags}").into()
}

fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

/// One message of cargo's: only that something was made is of interest.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The component that cargo made of the package with this manifest.
fn component_in(messages: &str, manifest: &Path) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let own = messages.filter(|message| {
        message.reason == "compiler-artifact" && message.manifest_path == manifest
    });
    let mut files = own.flat_map(|message| message.filenames);
    files.find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

/// How the component is made stands in `package.json`, so that an author can put a bundler or a compiler in front.
fn build_javascript(folder: &Path, on_line: &mut dyn FnMut(&str)) -> Result<(), Error> {
    // Asked first: without Node.js, the advice to type `npm install` would help nobody.
    tools::run(Command::new(NPM.name).arg("--version"), NPM, &mut |_| {})?;
    let is_installed = |above: &Path| {
        above.join("node_modules/.bin").join(COMPONENTIZE_JS.name).symlink_metadata().is_ok()
    };
    // Node looks upwards, too.
    if !folder.ancestors().any(is_installed) {
        return Err(COMPONENTIZE_JS.missing());
    }
    let mut npm = Command::new(NPM.name);
    tools::run_well(npm.current_dir(folder).args(["run", "--silent", "build"]), NPM, on_line)
}

fn build_python(
    folder: &Path,
    component: &Path,
    on_line: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let own = folder.join(COMPONENTIZE_PY_OWN);
    let program = if own.is_file() { own } else { PathBuf::from(COMPONENTIZE_PY.name) };
    let mut tool = Command::new(program);
    tool.current_dir(folder).args(["--quiet", "-d", "wit", "-w", "stage-plugin"]);
    tool.args(["componentize", "app", "-p", "src", "-o"]).arg(component);
    tools::run_well(&mut tool, COMPONENTIZE_PY, on_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_asked_where_the_component_is() {
        let messages = r#"
{"reason":"compiler-artifact","manifest_path":"/p/stage-sdk/Cargo.toml","filenames":["/t/libstage_sdk.rlib"]}
no message of cargo's
{"reason":"build-script-executed","package_id":"x"}
{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/stage.wasm","/t/libstage.rlib"]}
{"reason":"build-finished","success":true}
"#;
        let found = component_in(messages, Path::new("/p/Cargo.toml"));
        assert_eq!(found, Some(PathBuf::from("/t/stage.wasm")));
        assert_eq!(component_in(messages, Path::new("/other/Cargo.toml")), None);
    }
}
