//! A working folder with a data folder in it, and the environment of whoever works there.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use model_server::ModelServer;
use tempfile::TempDir;

/// A working folder of its own for one test.
pub(crate) struct Folder {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Folder {
    /// Empty: the provider is the scripted one.
    pub(crate) fn new() -> Folder {
        let folder = TempDir::new().expect("a temporary folder");
        let made = Folder { folder, environment: BTreeMap::new() };
        made.share_compiled_code();
        made
    }

    /// One whose models are answered by a server of the test.
    pub(crate) fn with_models(models: &ModelServer) -> Folder {
        let mut folder = Folder::new();
        folder.set("KIMI_API_KEY", "test-key");
        folder.set("KIMI_BASE_URL", &models.base_url());
        folder
    }

    /// Leaves everything where it is, for a person to look at.
    #[allow(dead_code, reason = "the crash loop uses it")]
    pub(crate) fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    /// Sets an environment variable for every process that the test starts here.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join(".stagewright")
    }

    pub(crate) fn run(&self, run: &str) -> PathBuf {
        self.data().join("runs").join(run)
    }

    /// Writes a file of the working folder.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Writes a profile that runs the misbehaving plugin, one stage for each verb.
    pub(crate) fn write_rogue_profile(&self, mode: &str, settings: &[&str]) {
        let mut text = format!(
            "profile: {mode}\ntitle: Rogue\ndescription: Misbehaves.\nversion: \"1\"\nstages:\n"
        );
        for (idx, settings) in settings.iter().enumerate() {
            text.push_str(&format!(
                "  - {{ key: stage-{idx}, title: Stage, plugin: \"{}\", gate: none, settings: {settings} }}\n",
                plugin_bundle::ROGUE_STAGE_PATH
            ));
        }
        self.write(&format!(".stagewright/profiles/{mode}.yaml"), text);
    }

    /// All files below the data folder.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            // A folder or a file may be renamed while this looks.
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let Ok(entry) = entry else { continue };
                let path = entry.path();
                // The compiled code is one folder for all tests.
                if path.is_symlink() {
                    continue;
                }
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    /// Compiling a guest in an unoptimized build takes seconds, so that all tests share what was compiled.
    fn share_compiled_code(&self) {
        std::fs::create_dir_all(self.data()).expect("a data folder");
        std::os::unix::fs::symlink(compiled(), self.data().join("cache")).expect("a link");
    }
}

/// The folder with compiled code that all tests share.
pub(crate) fn compiled() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        std::fs::create_dir_all(&path).expect("a folder for compiled code");
        path
    })
}
