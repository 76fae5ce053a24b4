//! Projects in other languages, and the real tools that make components of them.
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::support::{Folder, skipped, stagewright};

/// Folders that tools leave in a project. They are no source.
const LEFT_BY_TOOLS: [&str; 6] =
    ["build", "dist", "node_modules", ".tools", ".venv", "__pycache__"];

/// A language whose tool is no Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    JavaScript,
    Python,
}

impl Language {
    pub(super) const ALL: [Language; 2] = [Language::JavaScript, Language::Python];

    /// As it is said on the command line, and as folders are named.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Language::JavaScript => "js",
            Language::Python => "python",
        }
    }

    /// Where `tests/languages/install` puts the tool, and where a project of the language has it.
    fn tool(self) -> (PathBuf, &'static str) {
        let tools = target_folder().join("languages");
        match self {
            Language::JavaScript => (tools.join("javascript/node_modules"), "node_modules"),
            Language::Python => (tools.join("python"), ".venv"),
        }
    }

    /// Whether the tool is there; if not, the test is skipped.
    pub(super) fn is_installed(self, test: &str) -> bool {
        let is_installed = self.tool().0.is_dir();
        if !is_installed {
            skipped(test, &format!("the tools for {self:?}: run `tests/languages/install`"));
        }
        is_installed
    }

    /// Gives a project the tool, as `npm install` or `pip install` would.
    pub(super) fn equip(self, project: &Path) {
        let (tool, name) = self.tool();
        std::os::unix::fs::symlink(tool, project.join(name)).expect("a link to the tool");
    }
}

pub(super) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

pub(super) fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").to_owned()
}

/// The component of a project of this repository, built by `stagewright plugin build` with the language's own tool.
///
/// It is kept by what it was made of, because the tools take ten seconds, do not give the same bytes twice, and other
/// bytes would have to be compiled to machine code again.
pub(super) fn component_of(language: Language, project: &Path, files: &[&Path]) -> PathBuf {
    // Two tests may want the same component at the same time.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = project.file_name().expect("a project has a name").to_string_lossy();
    let folder = Folder::new();
    let copy = folder.path().join(&*name);
    copy_sources(project, &copy);
    for file in files {
        copy_below(file, &copy.join("src"));
    }
    if !copy.join("wit/stage.wit").is_file() {
        copy_below(&workspace().join("wit/stage.wit"), &copy.join("wit"));
    }
    let key = key_of(language, &copy);
    let kept = target_folder().join(format!("languages/built/{name}-{key:016x}.wasm"));
    if !kept.is_file() {
        language.equip(&copy);
        let ran = stagewright(&folder, &["plugin", "build", &name]);
        assert_eq!(ran.code, 0, "{ran}");
        fs::create_dir_all(kept.parent().expect("a folder")).expect("a folder");
        let unfinished = kept.with_extension("unfinished");
        fs::copy(copy.join("dist/plugin.wasm"), &unfinished).expect("the component");
        fs::rename(unfinished, &kept).expect("the component");
    }
    kept
}

fn copy_below(file: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let name = file.file_name().expect("a file has a name");
    fs::copy(file, folder.join(name)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Copies a project without what tools leave there. What is there by other names stays.
pub(super) fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for path in entries(from) {
        let name = path.file_name().expect("an entry has a name");
        if path.is_dir() {
            copy_sources(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}

/// What a folder holds, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| !LEFT_BY_TOOLS.iter().any(|left| path.ends_with(left)));
    paths.sort();
    paths
}

/// All files of a project: path below it, and content.
pub(super) fn sources(project: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![project.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(project).expect("it lies there").to_owned();
                found.push((below, fs::read(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}

/// Names what a component is made of: the sources, and the version of the tool.
fn key_of(language: Language, project: &Path) -> u64 {
    let (tool, _) = language.tool();
    let installed_from = match language {
        Language::JavaScript => tool.with_file_name("installed-from"),
        Language::Python => tool.join("installed-from"),
    };
    let mut hasher = DefaultHasher::new();
    fs::read(installed_from).expect("the versions of the tools").hash(&mut hasher);
    // Fixtures are not part of a component.
    let is_fixture = |path: &Path| path.iter().next() == Some(OsStr::new("fixtures"));
    sources(project)
        .into_iter()
        .filter(|(path, _)| !is_fixture(path))
        .for_each(|source| source.hash(&mut hasher));
    hasher.finish()
}
