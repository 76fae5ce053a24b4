//! Knows the plugins of this host: those inside the program, those that were uploaded, and the files that a person put
//! there. How uploads come and go is in `adding`, and the copies that runs are bound to are in `copies`.
//!
//! Invariant: a plugin is what its digest says. Bytes are compared with the digest that named them whenever they are
//! read, so that a file that was replaced is another plugin, and a damaged copy is none.
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use domain::Digest;
use domain::plan::{PinnedPlugin, PluginRef};
use domain::port::{KnownPlugin, PluginError, PluginSource};
use domain::upload::{Upload, UploadedPlugin};
use semver::Version;
use sha2::{Digest as _, Sha256};

use crate::checker::Checker;
use crate::describe::Facts;
use crate::facts::FactBook;
use crate::machine::Machine;
use crate::uploads::Uploads;
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
    pub(crate) config: Config,
    pub(crate) checker: Option<Checker>,
    pub(crate) uploads: Uploads,
    /// Held by whoever adds or removes an upload.
    pub(crate) adding: Mutex<()>,
    pub(crate) upload_count: AtomicUsize,
    bundled: OnceLock<Vec<Bundled>>,
    seen_files: Mutex<HashMap<PathBuf, SeenFile>>,
    pub(crate) facts: FactBook,
    /// Copies that this process has written or compared with their digest, and when it was last asked for them.
    pub(crate) pinned: Mutex<HashMap<Digest, Instant>>,
    /// Held alone by whoever removes copies, and together by those who make some.
    pub(crate) sweeping: RwLock<()>,
}

/// No code panics while it holds one of these locks with the map half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Catalog {
    pub(crate) fn new(config: Config, checker: Option<Checker>, machine: Arc<Machine>) -> Self {
        Self {
            facts: FactBook::new(config.cache_dir.clone(), machine),
            uploads: Uploads::new(&config.plugin_dir),
            config,
            checker,
            adding: Mutex::default(),
            upload_count: AtomicUsize::new(0),
            bundled: OnceLock::new(),
            seen_files: Mutex::default(),
            pinned: Mutex::default(),
            sweeping: RwLock::default(),
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

    pub(crate) fn bundled_digests(&self) -> impl Iterator<Item = &Digest> {
        self.bundled().iter().map(|bundled| &bundled.digest)
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
        let (kept, unusable) = self.list_kept();
        plugins.extend(kept);
        errors.extend(unusable);
        // The sort keeps the order of equal ones: bundled before uploads, those by time, before files, those by path.
        plugins.sort_by(|one, other| {
            (&one.info.name, version(one)).cmp(&(&other.info.name, version(other)))
        });
        (plugins, errors)
    }

    /// What is not inside the program: uploads, the earliest first, then files by path.
    pub(crate) fn list_kept(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        let (mut plugins, mut errors) = (Vec::new(), Vec::new());
        let kept = self.uploads.kept();
        for UploadedPlugin { plugin, upload } in &kept.uploads {
            match self.upload(plugin, upload) {
                Ok(plugin) => plugins.push(plugin),
                Err(error) => errors.push(error),
            }
        }
        errors.extend(kept.errors.iter().cloned());
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

    /// Copies that runs are bound to are not looked at: whoever removes a plugin means that no run begins with it.
    fn find_digest(&self, digest: &Digest) -> Result<KnownPlugin, PluginError> {
        if let Some(plugin) = self.usable(digest) {
            return Ok(plugin);
        }
        // A damaged upload says more than that nobody knows the digest.
        if let Some(uploaded) = self.uploads.with_digest(digest) {
            return self.upload(&uploaded.plugin, &uploaded.upload);
        }
        let unknown = || PluginError::Unknown { asked: digest.to_string(), known: Vec::new() };
        Err(self.uploads.without_record(digest).unwrap_or_else(unknown))
    }

    /// The plugin with this digest, if a profile can name it in any way.
    pub(crate) fn usable(&self, digest: &Digest) -> Option<KnownPlugin> {
        // Digests are compared before anybody is asked: to ask the others would cost their `describe` and change nothing.
        let paths = plugin_files(&self.config.plugin_dir).unwrap_or_default();
        let is_wanted = |path: &&PathBuf| self.read(path).is_ok_and(|read| read.digest == *digest);
        let file = paths.iter().rfind(is_wanted).and_then(|path| self.file(path).ok());
        let upload = || {
            let uploaded = self.uploads.with_digest(digest)?;
            self.upload(&uploaded.plugin, &uploaded.upload).ok()
        };
        let shipped = || {
            let bundled = self.bundled().iter().find(|bundled| bundled.digest == *digest)?;
            self.shipped(bundled).ok()
        };
        file.or_else(upload).or_else(shipped)
    }

    /// The newest release wins, or the newest pre-release where there is no release. At the same version an upload beats
    /// what is inside the program and the uploads before it, and a file beats all, because a person put it there. Where the
    /// winner would be an upload that was damaged, no weaker one takes its place: a run would do something else without a
    /// word.
    fn find_named(
        &self,
        name: &str,
        wanted_version: Option<&str>,
    ) -> Result<KnownPlugin, PluginError> {
        if let Some(version) = wanted_version
            && let Some(plugin) = self.find_version(name, version)
        {
            return self.check_stronger(name, wanted_version, Some(&plugin)).map(|()| plugin);
        }
        let (plugins, errors) = self.list();
        let namesakes = plugins.iter().filter(|plugin| plugin.info.name == name);
        // Of equal ones the last is taken, which is the strongest.
        let newest = namesakes.max_by_key(|plugin| rank(&plugin.info.version));
        if let Some(plugin) = newest.filter(|_| wanted_version.is_none()) {
            return self
                .check_stronger(name, wanted_version, Some(plugin))
                .map(|()| plugin.clone());
        }
        self.check_stronger(name, wanted_version, None)?;
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
        let kept = self.uploads.kept();
        let is_named = |uploaded: &&UploadedPlugin| {
            uploaded.plugin.name == name && uploaded.plugin.version == version
        };
        let uploads = kept.uploads.iter().rev().filter(is_named);
        let uploads = uploads.filter_map(|known| self.upload(&known.plugin, &known.upload).ok());
        let shipped = self.bundled().iter().rev().filter_map(|bundled| self.shipped(bundled).ok());
        files
            .chain(uploads)
            .chain(shipped)
            .find(|plugin| plugin.info.name == name && plugin.info.version == version)
    }

    /// Refuses a winner that won only because a stronger upload was damaged.
    fn check_stronger(
        &self,
        name: &str,
        wanted_version: Option<&str>,
        winner: Option<&KnownPlugin>,
    ) -> Result<(), PluginError> {
        let winners_rank = winner.map(|plugin| match &plugin.source {
            PluginSource::Bundled => (rank(&plugin.info.version), i64::MIN),
            PluginSource::Uploaded(upload) => (rank(&plugin.info.version), upload.at.as_unix_ms()),
            PluginSource::File(_) => (rank(&plugin.info.version), i64::MAX),
        });
        for UploadedPlugin { plugin, upload } in &self.uploads.kept().uploads {
            let rank = (rank(&plugin.version), upload.at.as_unix_ms());
            let is_wanted = wanted_version.is_none_or(|wanted| wanted == plugin.version);
            if plugin.name == name && is_wanted && Some(&rank) > winners_rank.as_ref() {
                let found = self.upload(plugin, upload);
                // One that was removed at this moment is no longer stronger.
                if found.is_err() && self.uploads.with_digest(&plugin.digest).is_some() {
                    found?;
                }
            }
        }
        Ok(())
    }

    /// The bytes with this digest, from wherever they are.
    pub(crate) fn bytes(&self, digest: &Digest) -> Result<Cow<'static, [u8]>, PluginError> {
        if let Some(bundled) = self.bundled().iter().find(|bundled| bundled.digest == *digest) {
            return Ok(Cow::Borrowed(bundled.bytes));
        }
        let mut paths = vec![self.pinned_path(digest), self.uploads.path(digest)];
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

    /// A plugin that was uploaded, if its file still is what came.
    pub(crate) fn upload(
        &self,
        plugin: &PinnedPlugin,
        upload: &Upload,
    ) -> Result<KnownPlugin, PluginError> {
        let damaged = |what: &str| PluginError::Unfit {
            place: upload.path.clone(),
            findings: vec![format!(
                "{what}, which is `{}@{}`: upload that again, or remove `{}`",
                plugin.name, plugin.version, plugin.digest
            )],
        };
        let path = Path::new(&upload.path);
        let ReadFile { digest, bytes } = match self.read(path) {
            Ok(read) => read,
            Err(_) if !path.exists() => return Err(damaged("the bytes are gone of what came")),
            Err(error) => return Err(error),
        };
        if digest != plugin.digest {
            return Err(damaged("somebody has changed the bytes of what came"));
        }
        let facts = self.facts.look_up(&digest, &upload.path, || match bytes {
            Some(bytes) => Ok(Cow::Owned(bytes)),
            None => self.bytes(&digest),
        })?;
        Ok(known(&facts, digest, PluginSource::Uploaded(upload.clone())))
    }

    /// A file that was removed may come back as another one.
    pub(crate) fn forget_file(&self, path: &Path) {
        lock(&self.seen_files).remove(path);
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

    pub(crate) fn file_digest(&self, path: &Path) -> Result<Digest, PluginError> {
        self.read(path).map(|read| read.digest)
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

pub(crate) fn known(facts: &Facts, digest: Digest, source: PluginSource) -> KnownPlugin {
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

/// How new a version is for whoever names none: every release is before every pre-release.
fn rank(version: &str) -> Option<(bool, Version)> {
    let version = Version::parse(version).ok()?;
    Some((version.pre.is_empty(), version))
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> PluginError {
    PluginError::Io { place: path.display().to_string(), detail: error.to_string() }
}

/// The `*.wasm` files of a folder, by path. A folder that does not exist has none.
pub(crate) fn plugin_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
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
