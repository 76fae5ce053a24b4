//! Compiles the shipped plugins, and the rogue stage for tests, to components: one nested cargo call.
//!
//! The guests get a target folder of their own, because the outer cargo holds the lock of its own one. It is shared by
//! all profiles of the host, so that a debug build, a release build and clippy compile the guests once.

use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GUEST_TARGET: &str = "wasm32-wasip2";

/// In the order in which people meet them.
const SHIPPED: [&str; 10] = [
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
];
const ROGUE_STAGE: &str = "rogue-stage";

/// What a change has to touch for the guests to be compiled again, from the workspace's root.
const SOURCES: [&str; 5] =
    ["plugins/stage-sdk", "wit", "tests/rogue-stage", "Cargo.lock", "Cargo.toml"];

/// How guests are compiled, whatever the host's profile says. Small, because each is embedded into the program and
/// compiled to machine code at its first use. The names of functions are kept for the frames of a trap. Line tables are
/// not: with those of the standard library, which come along whole, a component has 3 MB instead of 0.4. The message of
/// a panic has file and line anyhow.
const GUEST_PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
];

/// Variables of the outer build that the nested one needs: where crates come from, and how many jobs may run. All other
/// `CARGO_*` speak about the crate of this script, or would compile guests with the flags of the host.
const KEPT_PREFIXES: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];
const DROPPED: [&str; 4] = ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"];

fn main() {
    let out_dir = PathBuf::from(required("OUT_DIR"));
    let workspace = workspace_root();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    for plugin in SHIPPED {
        println!("cargo::rerun-if-changed={}", workspace.join("plugins").join(plugin).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    add_missing_target();
    let target_dir = guest_target_dir(&out_dir);
    build_guests(&workspace, &target_dir);
    let components = target_dir.join(GUEST_TARGET).join("release");
    write_bundle(&components, &out_dir);
}

fn required(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets `{name}` for build scripts"))
}

fn workspace_root() -> PathBuf {
    let manifest_dir = PathBuf::from(required("CARGO_MANIFEST_DIR"));
    let root = manifest_dir
        .ancestors()
        .nth(2)
        .expect("the crate lies two folders below the workspace's root");
    root.to_owned()
}

/// `guests` beside the folders of the host's profiles: `OUT_DIR` is `<target>/<profile>/build/<crate>/out`.
fn guest_target_dir(out_dir: &Path) -> PathBuf {
    out_dir.ancestors().nth(4).unwrap_or(out_dir).join("guests")
}

fn add_missing_target() {
    let mut rustc = Command::new(required("RUSTC"));
    let printed = rustc.args(["--print", "target-libdir", "--target", GUEST_TARGET]).output();
    let libraries = printed.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    if libraries.is_some_and(|path| Path::new(path.trim()).is_dir()) {
        return;
    }
    let added = Command::new("rustup").args(["target", "add", GUEST_TARGET]).output();
    match added {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{}\n\n{}", text_of(&output), how_to_add_the_target()),
        Err(error) => panic!("`rustup` does not start: {error}\n\n{}", how_to_add_the_target()),
    }
}

fn how_to_add_the_target() -> String {
    format!(
        "the plugins need Rust's standard library for WebAssembly; add it with:\n\n    rustup target add {GUEST_TARGET}\n"
    )
}

fn build_guests(workspace: &Path, target_dir: &Path) {
    let mut cargo = Command::new(required("CARGO"));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let speaks_of_the_host =
            text.starts_with("CARGO_") && !KEPT_PREFIXES.iter().any(|kept| text.starts_with(kept));
        if speaks_of_the_host || DROPPED.contains(&text.as_ref()) {
            cargo.env_remove(&name);
        }
    }
    cargo
        .current_dir(workspace)
        .envs(GUEST_PROFILE)
        .env("CARGO_ENCODED_RUSTFLAGS", remapped_paths(workspace));
    cargo.args(["build", "--release", "--target", GUEST_TARGET, "--target-dir"]).arg(target_dir);
    if workspace.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    for package in SHIPPED.iter().chain([&ROGUE_STAGE]) {
        cargo.args(["-p", package]);
    }
    let output = cargo.output().unwrap_or_else(|error| panic!("cargo does not start: {error}"));
    assert!(output.status.success(), "the plugins do not compile:\n{}", text_of(&output));
}

/// Panic messages name source files. Without this they would name folders of the machine that compiled the plugin, and
/// the digest of a plugin would depend on the machine.
fn remapped_paths(workspace: &Path) -> OsString {
    let mut flags = OsString::new();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let registry = cargo_home.map(|home| (home, "/cargo"));
    for (from, to) in registry.into_iter().chain([(workspace.to_owned(), "/stagewright")]) {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    flags
}

/// Copies the components to where only this build writes, and lists them. A path into the shared folder could be
/// written anew by another build while the compiler reads it.
fn write_bundle(components: &Path, out_dir: &Path) {
    let mut list = String::from(
        "/// Name and bytes of each shipped plugin.\npub const PLUGINS: &[(&str, &[u8])] = &[\n",
    );
    for plugin in SHIPPED {
        let path = copy(components, out_dir, plugin);
        writeln!(list, "    ({plugin:?}, include_bytes!({path:?})),")
            .expect("a string can be written");
    }
    let rogue = copy(components, out_dir, ROGUE_STAGE);
    write!(
        list,
        "];\n\n/// Where the component of the rogue stage lies, for tests. It is not part of the program.\npub const ROGUE_STAGE_PATH: &str = {rogue:?};\n"
    )
    .expect("a string can be written");
    let bundle = out_dir.join("bundle.rs");
    fs::write(&bundle, list).unwrap_or_else(|error| panic!("{}: {error}", bundle.display()));
}

fn copy(components: &Path, out_dir: &Path, package: &str) -> PathBuf {
    let file = format!("{}.wasm", package.replace('-', "_"));
    let from = components.join(&file);
    let to = out_dir.join(&file);
    fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    to
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
