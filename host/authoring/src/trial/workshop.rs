//! The sandbox of an author, and where it keeps compiled code.
use std::path::{Path, PathBuf};

use domain::plan::PluginRef;
use domain::port::{KnownPlugin, PluginCatalog as _};
use sandbox::Sandbox;
use tempfile::TempDir;

use crate::Error;
use crate::project::Project;

/// The data folder that a project gets of its own for compiled code. It has the name of the usual one, which the templates
/// keep out of version control.
const PROJECT_DATA_FOLDER: &str = ".stagewright";

/// Where compiled code is kept: compiling a component of 20 MB takes half a minute.
pub struct CodeCache {
    folder: PathBuf,
    /// Goes with the cache, if it is nobody's.
    _temporary: Option<TempDir>,
}

impl CodeCache {
    /// The cache of the data folder, if there is such a folder; that of the project around `component` or around the
    /// working folder, which is made; or else one that is gone afterwards, so that a machine stays as it was.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no place for compiled code.
    pub fn open(data_dir: &Path, component: &Path) -> Result<CodeCache, Error> {
        if data_dir.is_dir() {
            return Ok(Self::kept(data_dir));
        }
        let around = Project::around(component).or_else(|| Project::around(Path::new(".")));
        let own = around.map(|project| project.folder().join(PROJECT_DATA_FOLDER));
        // Where the project may not be written, its component can still be run.
        if let Some(own) = own.filter(|own| make_private(own).is_ok()) {
            return Ok(Self::kept(&own));
        }
        let temporary = tempfile::Builder::new().prefix("stagewright-").tempdir();
        let temporary = temporary.map_err(|cause| Error::io(&std::env::temp_dir(), cause))?;
        Ok(CodeCache { folder: temporary.path().to_owned(), _temporary: Some(temporary) })
    }

    fn kept(data_dir: &Path) -> CodeCache {
        CodeCache { folder: data_dir.join("cache"), _temporary: None }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What becomes a data folder later holds texts that are nobody else's business.
fn make_private(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The sandbox of an author: no plugins but those that are named by their file.
pub struct Workshop {
    sandbox: Sandbox,
    /// Goes after the sandbox, which writes into it.
    _cache: CodeCache,
}

impl Workshop {
    /// Opens a sandbox. Where compiled code is kept, [`CodeCache::open`] says.
    ///
    /// # Errors
    /// [`Error::Sandbox`] if this machine cannot run guests, [`Error::Io`] if there is no place for compiled code.
    pub fn open(data_dir: &Path, component: &Path) -> Result<Workshop, Error> {
        let cache = CodeCache::open(data_dir, component)?;
        let sandbox = Self::sandbox_with(cache.folder())?;
        Ok(Workshop { sandbox, _cache: cache })
    }

    /// A sandbox that keeps compiled code in this folder, and knows no plugins.
    pub(crate) fn sandbox_with(cache_dir: &Path) -> Result<Sandbox, Error> {
        let config = sandbox::Config {
            cache_dir: cache_dir.to_owned(),
            plugin_dir: cache_dir.join("no-plugins"),
            pinned_dir: cache_dir.join("nothing-pinned"),
            bundled: &[],
            // An author looks at one stage at a time.
            instance_count_max: 1,
        };
        Sandbox::open(config).map_err(Error::Sandbox)
    }

    /// The plugin in a file, as [`plugin_in`] finds it.
    ///
    /// # Errors
    /// [`Error::Plugin`] with everything that is wrong with it.
    pub fn plugin(
        &self,
        component: &Path,
        on_compile: &mut dyn FnMut(),
    ) -> Result<KnownPlugin, Error> {
        plugin_in(&self.sandbox, component, on_compile)
    }

    /// Runs stages of the plugins that were asked for.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// The plugin in a file, compared with the contract. `on_compile` is called before it is compiled, if it has to be.
///
/// # Errors
/// [`Error::Plugin`] with everything that is wrong with it.
pub fn plugin_in(
    sandbox: &Sandbox,
    component: &Path,
    on_compile: &mut dyn FnMut(),
) -> Result<KnownPlugin, Error> {
    // What cannot be read is told by the sandbox.
    if std::fs::read(component).is_ok_and(|bytes| sandbox.would_compile(&bytes)) {
        on_compile();
    }
    let reference = PluginRef::Path(component.display().to_string());
    sandbox.find(&reference, None).map_err(Error::Plugin)
}
