//! Knows the plugins of this host: those inside the program, the files that a person put there, and the copies that
//! runs are bound to.
//!
//! Invariant: a plugin is what its digest says. Bytes are compared with the digest that named them whenever they are
//! read, so that a file that was replaced is another plugin, and a damaged copy is none.
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use domain::Digest;
use domain::plan::PluginRef;
use domain::port::{KnownPlugin, PluginError, PluginSource};
use semver::Version;
use sha2::{Digest as _, Sha256};

use crate::describe::Facts;
use crate::facts::FactBook;
use crate::machine::Machine;
use crate::{Config, files};

/// The digest that names some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    let text = format!("{}{}", Digest::PREFIX, hex::encode(Sha256::digest(bytes)));
    text.parse().expect("a SHA-256 in hexadecimal is a digest")
}

/// A plugin inside the program.
struct Bundled {
    name: &'static str,
    digest: Digest,
    bytes: &'static [u8],
}

/// A file as it was when it was read last. A file that has not changed is not read again.
#[derive(Clone)]
struct SeenFile {
    size_bytes: u64,
    modified: Option<SystemTime>,
    digest: Digest,
}

/// A file that is as it was, or its bytes.
struct ReadFile {
    digest: Digest,
    bytes: Option<Vec<u8>>,
}

pub(crate) struct Catalog {
    config: Config,
    bundled: OnceLock<Vec<Bundled>>,
    seen_files: Mutex<HashMap<PathBuf, SeenFile>>,
    facts: FactBook,
    /// Copies that this process has written or compared with their digest.
    pinned: Mutex<HashSet<Digest>>,
}

/// No code panics while it holds one of these locks with the map half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Catalog {
    pub(crate) fn new(config: Config, machine: Arc<Machine>) -> Self {
        Self {
            facts: FactBook::new(config.cache_dir.clone(), machine),
            config,
            bundled: OnceLock::new(),
            seen_files: Mutex::default(),
            pinned: Mutex::default(),
        }
    }

    /// Digests of what is inside the program are computed at the first need, because not every start needs them.
    fn bundled(&self) -> &[Bundled] {
        self.bundled.get_or_init(|| {
            let bundled = self.config.bundled.iter();
            bundled
                .map(|&(name, bytes)| Bundled { name, digest: digest_of(bytes), bytes })
                .collect()
        })
    }

    pub(crate) fn inspect(&self, bytes: &[u8], place: &str) -> Result<KnownPlugin, PluginError> {
        let digest = digest_of(bytes);
        let facts = self.facts.look_up(&digest, place, || Ok(Cow::Borrowed(bytes)))?;
        Ok(known(&facts, digest, PluginSource::File(place.to_owned())))
    }

    pub(crate) fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        let (mut plugins, mut errors) = (Vec::new(), Vec::new());
        for bundled in self.bundled() {
            match self.shipped(bundled) {
                Ok(plugin) => plugins.push(plugin),
                Err(error) => errors.push(error),
            }
        }
        match plugin_files(&self.config.plugin_dir) {
            Ok(paths) => {
                for path in paths {
                    match self.file(&path) {
                        Ok(plugin) => plugins.push(plugin),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(error) => errors.push(unreadable(&self.config.plugin_dir, &error)),
        }
        // The sort keeps the order of equal ones: bundled before files, files by path.
        plugins.sort_by(|one, other| {
            (&one.info.name, version(one)).cmp(&(&other.info.name, version(other)))
        });
        (plugins, errors)
    }

    pub(crate) fn find(
        &self,
        reference: &PluginRef,
        base: Option<&str>,
    ) -> Result<KnownPlugin, PluginError> {
        match reference {
            PluginRef::Path(path) => {
                self.file(&base.map_or_else(PathBuf::new, PathBuf::from).join(path))
            }
            PluginRef::Digest(digest) => self.find_digest(digest),
            PluginRef::Name(name) => self.find_named(name, None),
            PluginRef::Version { name, version } => self.find_named(name, Some(version)),
        }
    }

    fn find_digest(&self, digest: &Digest) -> Result<KnownPlugin, PluginError> {
        // Digests are compared before anybody is asked: to ask the others would cost their `describe` and change nothing.
        let paths = plugin_files(&self.config.plugin_dir).unwrap_or_default();
        let is_wanted = |path: &&PathBuf| self.read(path).is_ok_and(|read| read.digest == *digest);
        if let Some(plugin) = paths.iter().rfind(is_wanted).and_then(|path| self.file(path).ok()) {
            return Ok(plugin);
        }
        if let Some(bundled) = self.bundled().iter().find(|bundled| bundled.digest == *digest) {
            return self.shipped(bundled);
        }
        let path = self.pinned_path(digest);
        let place = path.display().to_string();
        let facts = self.facts.look_up(digest, &place, || self.bytes(digest))?;
        Ok(known(&facts, digest.clone(), PluginSource::File(place)))
    }

    /// The newest version wins; at the same version a file beats what is inside the program, because a person put it
    /// there.
    fn find_named(
        &self,
        name: &str,
        wanted_version: Option<&str>,
    ) -> Result<KnownPlugin, PluginError> {
        if let Some(plugin) = wanted_version.and_then(|version| self.find_version(name, version)) {
            return Ok(plugin);
        }
        let (plugins, errors) = self.list();
        let is_wanted =
            |plugin: &&KnownPlugin| plugin.info.name == name && wanted_version.is_none();
        if let Some(plugin) = plugins.iter().rfind(is_wanted) {
            return Ok(plugin.clone());
        }
        // A file of that name that does not fit is a better answer than "unknown".
        let is_namesake = |error: &&PluginError| match error {
            PluginError::Unfit { place, .. } | PluginError::Io { place, .. } => {
                Path::new(place).file_stem().is_some_and(|stem| stem == name)
            }
            PluginError::Unknown { .. } => false,
        };
        if let Some(error) = errors.iter().find(is_namesake) {
            return Err(error.clone());
        }
        let asked = match wanted_version {
            Some(version) => format!("{name}@{version}"),
            None => name.to_owned(),
        };
        let mut names: Vec<String> = plugins
            .iter()
            .map(|plugin| match wanted_version {
                Some(_) => format!("{}@{}", plugin.info.name, plugin.info.version),
                None => plugin.info.name.clone(),
            })
            .collect();
        names.dedup();
        Err(PluginError::Unknown { asked, known: names })
    }

    /// The one that wins among equal versions, from the strongest on, so that no weaker one has to be asked.
    fn find_version(&self, name: &str, version: &str) -> Option<KnownPlugin> {
        let paths = plugin_files(&self.config.plugin_dir).unwrap_or_default();
        let files = paths.iter().rev().filter_map(|path| self.file(path).ok());
        let shipped = self.bundled().iter().rev().filter_map(|bundled| self.shipped(bundled).ok());
        files
            .chain(shipped)
            .find(|plugin| plugin.info.name == name && plugin.info.version == version)
    }

    pub(crate) fn pin(&self, digest: &Digest) -> Result<(), PluginError> {
        if lock(&self.pinned).contains(digest) {
            return Ok(());
        }
        let path = self.pinned_path(digest);
        let is_there = files::read_plugin(&path).is_ok_and(|bytes| digest_of(&bytes) == *digest);
        if !is_there {
            let bytes = self.bytes(digest)?;
            files::write_private_file(&path, &bytes).map_err(|error| unreadable(&path, &error))?;
        }
        lock(&self.pinned).insert(digest.clone());
        Ok(())
    }

    pub(crate) fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), PluginError> {
        let path = self.pinned_path(digest);
        if digest_of(bytes) != *digest {
            let detail = format!("the bytes do not have the digest `{digest}`");
            return Err(PluginError::Io { place: path.display().to_string(), detail });
        }
        files::write_private_file(&path, bytes).map_err(|error| unreadable(&path, &error))?;
        lock(&self.pinned).insert(digest.clone());
        Ok(())
    }

    fn pinned_path(&self, digest: &Digest) -> PathBuf {
        self.config.pinned_dir.join(format!("{}.wasm", digest.hex()))
    }

    /// The bytes with this digest, from wherever they are.
    pub(crate) fn bytes(&self, digest: &Digest) -> Result<Cow<'static, [u8]>, PluginError> {
        if let Some(bundled) = self.bundled().iter().find(|bundled| bundled.digest == *digest) {
            return Ok(Cow::Borrowed(bundled.bytes));
        }
        let mut paths = vec![self.pinned_path(digest)];
        paths.extend(
            lock(&self.seen_files)
                .iter()
                .filter(|(_, seen)| seen.digest == *digest)
                .map(|(path, _)| path.clone()),
        );
        paths.extend(plugin_files(&self.config.plugin_dir).unwrap_or_default());
        paths
            .iter()
            .filter_map(|path| files::read_plugin(path).ok())
            .find(|bytes| digest_of(bytes) == *digest)
            .map(Cow::Owned)
            .ok_or_else(|| PluginError::Unknown { asked: digest.to_string(), known: Vec::new() })
    }

    /// A plugin inside the program.
    fn shipped(&self, bundled: &Bundled) -> Result<KnownPlugin, PluginError> {
        let bytes = || Ok(Cow::Borrowed(bundled.bytes));
        let facts = self.facts.look_up(&bundled.digest, bundled.name, bytes)?;
        Ok(known(&facts, bundled.digest.clone(), PluginSource::Bundled))
    }

    /// The plugin in a file.
    fn file(&self, path: &Path) -> Result<KnownPlugin, PluginError> {
        let ReadFile { digest, bytes } = self.read(path)?;
        let place = path.display().to_string();
        let facts = self.facts.look_up(&digest, &place, || match bytes {
            Some(bytes) => Ok(Cow::Owned(bytes)),
            None => self.bytes(&digest),
        })?;
        Ok(known(&facts, digest, PluginSource::File(place)))
    }

    /// The digest of a file, which is read if it has changed.
    fn read(&self, path: &Path) -> Result<ReadFile, PluginError> {
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            let detail = "it is no file".to_owned();
            return Err(PluginError::Io { place: path.display().to_string(), detail });
        }
        let (size_bytes, modified) = (metadata.len(), metadata.modified().ok());
        let seen = lock(&self.seen_files).get(path).cloned();
        let unchanged = seen.filter(|seen| {
            modified.is_some() && (seen.size_bytes, seen.modified) == (size_bytes, modified)
        });
        if let Some(seen) = unchanged {
            return Ok(ReadFile { digest: seen.digest, bytes: None });
        }
        let bytes = files::read_plugin(path).map_err(|error| unreadable(path, &error))?;
        let digest = digest_of(&bytes);
        let seen = SeenFile { size_bytes, modified, digest: digest.clone() };
        lock(&self.seen_files).insert(path.to_owned(), seen);
        Ok(ReadFile { digest, bytes: Some(bytes) })
    }
}

fn known(facts: &Facts, digest: Digest, source: PluginSource) -> KnownPlugin {
    KnownPlugin {
        info: facts.info.clone(),
        digest,
        size_bytes: facts.size_bytes,
        source,
        imports: facts.imports.clone(),
        contract_version: facts.contract_version.clone(),
    }
}

fn version(plugin: &KnownPlugin) -> Option<Version> {
    Version::parse(&plugin.info.version).ok()
}

fn unreadable(path: &Path, error: &std::io::Error) -> PluginError {
    PluginError::Io { place: path.display().to_string(), detail: error.to_string() }
}

/// The `*.wasm` files of a folder, by path. A folder that does not exist has none.
fn plugin_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
