//! The copies of plugins that runs are bound to, and whether what is kept still is what its digest says.
//!
//! Invariant: a copy serves the runs that are bound to it and nobody else, so that what was removed from the store is
//! not found by any run that begins.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use domain::Digest;
use domain::port::{KnownPlugin, PluginError, PluginSource};

use crate::catalog::{Catalog, digest_of, known, lock, plugin_files, unreadable};
use crate::files;

/// How long a copy stays that no run is bound to yet: a run that begins pins before it is written down, and an import
/// reads a whole archive in between.
const UNBOUND_TIME_MAX: Duration = Duration::from_secs(60 * 60);

impl Catalog {
    pub(crate) fn pinned_path(&self, digest: &Digest) -> PathBuf {
        self.config.pinned_dir.join(format!("{}.wasm", digest.hex()))
    }

    pub(crate) fn pin(&self, digest: &Digest) -> Result<(), PluginError> {
        let _nothing_goes = self.sweeping.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = lock(&self.pinned).get_mut(digest) {
            *at = Instant::now();
            return Ok(());
        }
        let path = self.pinned_path(digest);
        if !is_whole(&path, digest) {
            let bytes = self.bytes(digest)?;
            files::write_private_file(&path, &bytes).map_err(|error| unreadable(&path, &error))?;
        }
        lock(&self.pinned).insert(digest.clone(), Instant::now());
        Ok(())
    }

    pub(crate) fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), PluginError> {
        let _nothing_goes = self.sweeping.read().unwrap_or_else(PoisonError::into_inner);
        let path = self.pinned_path(digest);
        if digest_of(bytes) != *digest {
            let detail = format!("the bytes do not have the digest `{digest}`");
            return Err(PluginError::Io { place: path.display().to_string(), detail });
        }
        files::write_private_file(&path, bytes).map_err(|error| unreadable(&path, &error))?;
        lock(&self.pinned).insert(digest.clone(), Instant::now());
        Ok(())
    }

    /// Puts the right bytes in the place of a copy that somebody has changed.
    pub(crate) fn mend(&self, digest: &Digest, source: &Path) -> Result<(), PluginError> {
        let path = self.pinned_path(digest);
        if !path.exists() || is_whole(&path, digest) {
            return Ok(());
        }
        let bytes = files::read_plugin(source).map_err(|error| unreadable(source, &error))?;
        self.keep(digest, &bytes)
    }

    /// The plugin that a run is bound to, wherever its bytes are.
    pub(crate) fn bound(&self, digest: &Digest) -> Result<KnownPlugin, PluginError> {
        if let Some(plugin) = self.usable(digest) {
            return Ok(plugin);
        }
        if !self.has_copy(digest) {
            return Err(PluginError::Unknown { asked: digest.to_string(), known: Vec::new() });
        }
        let place = self.pinned_path(digest).display().to_string();
        let facts = self.facts.look_up(digest, &place, || self.bound_bytes(digest))?;
        Ok(known(&facts, digest.clone(), PluginSource::File(place)))
    }

    pub(crate) fn has_copy(&self, digest: &Digest) -> bool {
        self.pinned_path(digest).is_file()
    }

    /// The bytes that a run is bound to. A copy that was changed or cannot be read says more than that nobody knows the
    /// digest.
    pub(crate) fn bound_bytes(&self, digest: &Digest) -> Result<Cow<'static, [u8]>, PluginError> {
        self.bytes(digest).map_err(|error| {
            let path = self.pinned_path(digest);
            if path.exists() { compared(&path).err().unwrap_or(error) } else { error }
        })
    }

    /// Removes the copies that none of these plugins is, and says how many.
    pub(crate) fn release(&self, bound: &BTreeSet<Digest>) -> Result<u64, PluginError> {
        self.release_old(bound, |pinned_at| pinned_at.elapsed() > UNBOUND_TIME_MAX)
    }

    /// The same, where `is_old` says whether a copy of this process was pinned long enough ago.
    pub(crate) fn release_old(
        &self,
        bound: &BTreeSet<Digest>,
        is_old: impl Fn(Instant) -> bool,
    ) -> Result<u64, PluginError> {
        let _nothing_comes = self.sweeping.write().unwrap_or_else(PoisonError::into_inner);
        let folder = &self.config.pinned_dir;
        let paths = plugin_files(folder).map_err(|error| unreadable(folder, &error))?;
        let mut pinned = lock(&self.pinned);
        let mut count = 0;
        for path in paths {
            // What is not named by a digest was put there by somebody else.
            let Some(digest) = named_digest(&path).filter(|digest| !bound.contains(digest)) else {
                continue;
            };
            // What an earlier process pinned for a run that was never written down is in nobody's memory, and goes.
            if pinned.get(&digest).is_some_and(|at| !is_old(*at)) {
                continue;
            }
            fs::remove_file(&path).map_err(|error| unreadable(&path, &error))?;
            pinned.remove(&digest);
            count += 1;
        }
        Ok(count)
    }

    /// Reads everything that is kept under its digest: how many files there are, and those that were changed.
    pub(crate) fn compare(&self) -> (u64, Vec<PluginError>) {
        let (mut count, mut errors) = (0, Vec::new());
        for folder in [self.config.pinned_dir.as_path(), self.uploads.folder()] {
            match plugin_files(folder) {
                Ok(paths) => {
                    count += paths.len() as u64;
                    errors.extend(paths.iter().filter_map(|path| compared(path).err()));
                }
                Err(error) => errors.push(unreadable(folder, &error)),
            }
        }
        (count, errors)
    }
}

fn is_whole(path: &Path, digest: &Digest) -> bool {
    files::read_plugin(path).is_ok_and(|bytes| digest_of(&bytes) == *digest)
}

/// The digest that a file is named by.
pub(crate) fn named_digest(path: &Path) -> Option<Digest> {
    format!("{}{}", Digest::PREFIX, path.file_stem()?.to_str()?).parse().ok()
}

fn compared(path: &Path) -> Result<(), PluginError> {
    let Some(digest) = named_digest(path) else {
        let place = path.display().to_string();
        let findings = vec!["no digest names it, so no run uses it: remove it".to_owned()];
        return Err(PluginError::Unfit { place, findings });
    };
    let bytes = files::read_plugin(path).map_err(|error| unreadable(path, &error))?;
    if digest_of(&bytes) == digest { Ok(()) } else { Err(changed(path, &digest)) }
}

fn changed(path: &Path, digest: &Digest) -> PluginError {
    let finding =
        format!("somebody has changed the file, which was `{digest}`: add that plugin again");
    PluginError::Unfit { place: path.display().to_string(), findings: vec![finding] }
}
