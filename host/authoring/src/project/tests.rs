use std::collections::BTreeSet;

use tempfile::TempDir;

use super::*;

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// Paths below a folder, sorted, and text of each file.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(folder).unwrap().display().to_string();
                found.push((below, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_project_is_begun_in_every_language() {
    for language in Language::ALL {
        let folder = folder();
        let project = begin("brand-voice", language, folder.path()).unwrap();
        assert_eq!(project.language(), language);
        assert_eq!(project, Project::open(&folder.path().join("brand-voice")).unwrap());
        assert!(project.component().starts_with(project.folder()));

        let files = files(project.folder());
        let names: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        for wanted in ["README.md", ".gitignore", PROJECT_FILE, "wit/stage.wit"] {
            assert!(names.contains(wanted), "{language}: {wanted}");
        }
        let has = |ending: &str| {
            names.iter().any(|name| name.starts_with("fixtures/") && name.ends_with(ending))
        };
        assert!(has("/input.yaml") && has("/answer-1.md"), "{language}: {names:?}");
        assert!(names.iter().any(|name| name.contains("/expected/")), "{language}: {names:?}");
        for (name, text) in &files {
            let own = !name.starts_with("stage-sdk/");
            assert!(!name.contains("__name__"), "{language}: {name}");
            assert!(!(own && text.contains("{{")), "{language}: {name} has a gap");
        }
        let ours = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(ours, 1, "{language}: nothing lies beside the project");
    }
}

#[test]
fn a_rust_project_has_the_versions_of_the_workspace() {
    let folder = folder();
    let project = begin("brand-voice", Language::Rust, folder.path()).unwrap();
    let read = |name: &str| fs::read_to_string(project.folder().join(name)).unwrap();
    let ours = include_str!("../../../../Cargo.lock");
    let lock = read("Cargo.lock");
    let sdk = read("stage-sdk/Cargo.toml");
    assert!(!sdk.contains("workspace"), "{sdk}");
    for name in ["serde", "serde_json", "wit-bindgen"] {
        let (_, package) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
        let (version, _) = package.split_once('"').unwrap();
        assert!(ours.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")), "{name}");
        assert!(sdk.contains(&format!("\"={version}\"")), "{name}: {sdk}");
    }
    let bindings = read("stage-sdk/src/bindings.rs");
    assert!(bindings.contains("path: \"../wit\""), "{bindings}");
}

#[test]
fn a_name_that_no_plugin_can_have_is_refused() {
    let folder = folder();
    let long = "a".repeat(65);
    for name in ["", "Brand", "brand_voice", "-voice", "1st", "../voice", "voice.", &long] {
        let error = begin(name, Language::Rust, folder.path()).unwrap_err();
        assert!(matches!(error, Error::NameInvalid { .. }), "{name}: {error}");
    }
    for name in ["stage-sdk", "serde"] {
        let error = begin(name, Language::Rust, folder.path()).unwrap_err();
        assert!(matches!(error, Error::NameTaken { .. }), "{name}: {error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_there_is_left_alone() {
    let folder = folder();
    let taken = folder.path().join("voice");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("notes.md"), "mine").unwrap();
    let error = begin("voice", Language::Python, folder.path()).unwrap_err();
    assert!(matches!(error, Error::FolderExists { .. }), "{error}");
    assert_eq!(files(folder.path()), [("voice/notes.md".to_owned(), "mine".to_owned())]);

    fs::write(folder.path().join("tone"), "a file").unwrap();
    let error = begin("tone", Language::Rust, folder.path()).unwrap_err();
    assert!(matches!(error, Error::FolderExists { .. }), "{error}");
}

#[test]
fn what_a_process_that_was_ended_left_is_not_in_the_way() {
    let folder = folder();
    let left = folder.path().join(".stagewright-begun-voice");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("old"), "old").unwrap();
    let project = begin("voice", Language::Rust, folder.path()).unwrap();
    assert!(!project.folder().join("old").exists() && !left.exists());
}

#[test]
fn a_project_file_that_cannot_be_used_says_where_and_why() {
    let told = |text: &str| {
        let folder = folder();
        fs::write(folder.path().join(PROJECT_FILE), text).unwrap();
        let error = Project::open(folder.path()).unwrap_err();
        assert!(matches!(error, Error::ProjectInvalid { .. }), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("dist/plugin.wasm")));
        error.to_string()
    };
    assert!(told("language: cobol\ncomponent: a.wasm\n").contains("no language `cobol`"));
    assert!(told("language: rust\n").contains("component"));
    assert!(told("language: rust\ncomponent: a.wasm\nx: 1\n").contains("`x`"));
    for path in ["../a.wasm", "/a.wasm", "a/../../b.wasm", ""] {
        let told = told(&format!("language: rust\ncomponent: {path:?}\n"));
        assert!(told.contains("leads out of the project"), "{told}");
    }
    let nothing = Project::open(folder().path()).unwrap_err();
    assert!(matches!(nothing, Error::NotAProject { .. }), "{nothing}");
}
