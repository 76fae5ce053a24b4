//! How plugins come to a host over its API, and how they go.
//!
//! Invariant: nothing is kept that was not checked, and whatever is kept can be found by its digest until it is removed.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::Digest;
use domain::plan::{PinnedPlugin, PluginRef};
use domain::port::{KnownPlugin, PluginError, PluginSource};
use domain::upload::{
    Added, Namesake, NewPlugin, PLUGIN_BYTES_MAX, Upload, UploadError, UploadedPlugin,
};
use tempfile::NamedTempFile;

use crate::catalog::{Catalog, known, plugin_files, unreadable};
use crate::checker::Checked;
use crate::copies::named_digest;
use crate::files;
use crate::text::size;
use crate::uploads::{SpoolError, Spooled};

/// Most uploads at one time: one is checked, and the others wait with a file and a thread each.
const UPLOAD_COUNT_MAX: usize = 4;

/// What an upload is called in its findings.
const COMPONENT: &str = "the component";

/// A place in the line of uploads.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Catalog {
    fn take_place(&self) -> Result<Place<'_>, UploadError> {
        let waiting_count = self.upload_count.fetch_add(1, Ordering::AcqRel);
        let place = Place(&self.upload_count);
        if waiting_count >= UPLOAD_COUNT_MAX {
            return Err(UploadError::Busy { waiting_count });
        }
        Ok(place)
    }

    pub(crate) fn add(
        &self,
        component: &mut dyn std::io::Read,
        asked: &NewPlugin,
        is_called_off: &dyn Fn() -> bool,
    ) -> Result<Added, UploadError> {
        let _place = self.take_place()?;
        // One check at a time: each takes all cores and a good part of the memory.
        let _turn = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if is_called_off() {
            return Err(UploadError::CalledOff);
        }
        self.uploads.remove_remains();
        let Spooled { file, digest } =
            self.uploads.spool(component).map_err(|error| match error {
                SpoolError::TooLarge => too_large(),
                SpoolError::Io(error) => unreadable(self.uploads.folder(), &error).into(),
            })?;
        let kept = self.uploads.with_digest(&digest);
        let is_damaged = |kept: &UploadedPlugin| self.upload(&kept.plugin, &kept.upload).is_err();
        let damaged = kept.filter(is_damaged);
        if damaged.is_none()
            && let Some(plugin) = self.usable(&digest)
        {
            self.mend(&digest, file.path())?;
            return self.add_known(file, plugin, asked);
        }
        let plugin = self.checked(&file, &digest, is_called_off)?;
        // Also if its version is taken: runs that are bound to these bytes wait for them.
        self.mend(&digest, file.path())?;
        let upload = match (self.check_namesake(&plugin, asked.namesake), damaged) {
            // What its name and version meant when it came they mean again: its record stays as it was.
            (taken, Some(UploadedPlugin { upload, .. }))
                if taken.is_err() || asked.namesake == Namesake::Stays =>
            {
                upload
            }
            (taken, _) => taken.map(|()| self.new_upload(&digest, asked))?,
        };
        self.keep_upload(file, plugin, upload).map(Added::New)
    }

    /// Bytes that were here stay what they are, and whoever asks for it has their name and version mean them again.
    fn add_known(
        &self,
        file: NamedTempFile,
        plugin: KnownPlugin,
        asked: &NewPlugin,
    ) -> Result<Added, UploadError> {
        let reference = PluginRef::Version {
            name: plugin.info.name.clone(),
            version: plugin.info.version.clone(),
        };
        let is_meant =
            || self.find(&reference, None).is_ok_and(|meant| meant.digest == plugin.digest);
        if asked.namesake == Namesake::Stays || is_meant() {
            return Ok(Added::Known(plugin));
        }
        self.check_namesake(&plugin, asked.namesake)?;
        let upload = self.new_upload(&plugin.digest, asked);
        self.keep_upload(file, plugin, upload).map(Added::Latest)
    }

    fn new_upload(&self, digest: &Digest, asked: &NewPlugin) -> Upload {
        let path = self.uploads.path(digest).display().to_string();
        Upload { path, at: asked.at, by: asked.by.clone() }
    }

    /// What the component says about itself, if there is nothing wrong with it.
    fn checked(
        &self,
        file: &NamedTempFile,
        digest: &Digest,
        is_called_off: &dyn Fn() -> bool,
    ) -> Result<KnownPlugin, UploadError> {
        if let Some(checker) = &self.checker {
            let checked = checker.check(&self.config.cache_dir, file.path(), is_called_off);
            match checked.map_err(|error| unreadable(&checker.program, &error))? {
                Checked::Fit => {}
                Checked::CalledOff => return Err(UploadError::CalledOff),
                Checked::Unfit(findings) => {
                    return Err(PluginError::Unfit { place: COMPONENT.to_owned(), findings }.into());
                }
            }
        }
        let bytes = || {
            let bytes = files::read_plugin(file.path());
            bytes.map(Cow::Owned).map_err(|error| unreadable(file.path(), &error))
        };
        let facts = self.facts.look_up(digest, COMPONENT, bytes)?;
        Ok(known(&facts, digest.clone(), PluginSource::File(COMPONENT.to_owned())))
    }

    /// Nobody is to find another plugin under a version that they know, unless whoever sends it says so.
    fn check_namesake(&self, plugin: &KnownPlugin, namesake: Namesake) -> Result<(), UploadError> {
        let (plugins, _) = self.list();
        let taken = plugins.iter().rfind(|other| {
            (&other.info.name, &other.info.version) == (&plugin.info.name, &plugin.info.version)
                && other.digest != plugin.digest
        });
        let Some(taken) = taken else { return Ok(()) };
        // A person's file beats an upload, so that the upload would never be found by its version.
        let may_step_back = !matches!(taken.source, PluginSource::File(_));
        if may_step_back && namesake == Namesake::StepsBack {
            return Ok(());
        }
        Err(UploadError::VersionTaken {
            name: taken.info.name.clone(),
            version: taken.info.version.clone(),
            digest: taken.digest.clone(),
            place: place_of(taken),
            may_step_back,
        })
    }

    fn keep_upload(
        &self,
        file: NamedTempFile,
        plugin: KnownPlugin,
        upload: Upload,
    ) -> Result<KnownPlugin, UploadError> {
        let path = self.uploads.path(&plugin.digest);
        let uploaded = UploadedPlugin { plugin: plugin.pin(), upload: upload.clone() };
        let keeping = self.uploads.keep(file, &uploaded);
        // A clock that ticks slowly may give it the time of the file in whose place it comes.
        self.forget_file(&path);
        keeping.map_err(|error| unreadable(&path, &error))?;
        Ok(KnownPlugin { source: PluginSource::Uploaded(upload), ..plugin })
    }

    pub(crate) fn uploaded(&self, reference: &PluginRef) -> Result<UploadedPlugin, UploadError> {
        let kept = self.uploads.kept();
        let is_asked = |plugin: &PinnedPlugin| match reference {
            PluginRef::Name(name) => plugin.name == *name,
            PluginRef::Version { name, version } => {
                plugin.name == *name && plugin.version == *version
            }
            PluginRef::Digest(digest) => plugin.digest == *digest,
            PluginRef::Path(_) => false,
        };
        let mut found = kept.uploads.iter().filter(|uploaded| is_asked(&uploaded.plugin));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(self.not_uploaded(reference)),
            (Some(_), Some(_)) => {
                let all = kept.uploads.iter().filter(|uploaded| is_asked(&uploaded.plugin));
                let candidates = all.map(|UploadedPlugin { plugin, .. }| match reference {
                    PluginRef::Version { .. } => plugin.digest.to_string(),
                    PluginRef::Name(_) | PluginRef::Digest(_) | PluginRef::Path(_) => {
                        format!("{}@{} ({})", plugin.name, plugin.version, plugin.digest)
                    }
                });
                Err(UploadError::Ambiguous {
                    asked: reference.to_string(),
                    candidates: candidates.collect(),
                })
            }
        }
    }

    /// All digests that a person can name: of the program's plugins, of files, of uploads, and of the copies that runs are
    /// bound to. Nobody is asked who it is, so that what is not fit is among them.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let mut digests: BTreeSet<Digest> = self.bundled_digests().cloned().collect();
        let files = plugin_files(&self.config.plugin_dir).unwrap_or_default();
        digests.extend(files.iter().filter_map(|path| self.file_digest(path).ok()));
        let kept = self.uploads.kept();
        digests.extend(kept.uploads.iter().map(|uploaded| uploaded.plugin.digest.clone()));
        digests.extend(kept.orphans.iter().cloned());
        let copies = plugin_files(&self.config.pinned_dir).unwrap_or_default();
        digests.extend(copies.iter().filter_map(|path| named_digest(path)));
        digests.into_iter().collect()
    }

    fn not_uploaded(&self, reference: &PluginRef) -> UploadError {
        match self.find(reference, None) {
            Ok(plugin) => UploadError::NotUploaded {
                asked: reference.to_string(),
                place: place_of(&plugin),
                path: match plugin.source {
                    PluginSource::Bundled => None,
                    PluginSource::File(path) | PluginSource::Uploaded(Upload { path, .. }) => {
                        Some(path)
                    }
                },
            },
            Err(PluginError::Unknown { .. }) if self.is_copy(reference) => {
                UploadError::OnlyBound { asked: reference.to_string() }
            }
            Err(error) => error.into(),
        }
    }

    fn is_copy(&self, reference: &PluginRef) -> bool {
        matches!(reference, PluginRef::Digest(digest) if self.has_copy(digest))
    }

    pub(crate) fn remove(&self, digest: &Digest) -> Result<(), UploadError> {
        let _turn = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.uploads.with_digest(digest).is_none() {
            let asked = digest.to_string();
            return Err(PluginError::Unknown { asked, known: Vec::new() }.into());
        }
        let path = self.uploads.path(digest);
        let removing = self.uploads.remove(digest);
        self.forget_file(&path);
        Ok(removing.map_err(|error| unreadable(&path, &error))?)
    }
}

fn too_large() -> UploadError {
    let finding = format!("it has over {}: no plugin is as large", size(PLUGIN_BYTES_MAX));
    PluginError::Unfit { place: COMPONENT.to_owned(), findings: vec![finding] }.into()
}

/// Where a plugin is, in words.
fn place_of(plugin: &KnownPlugin) -> String {
    match &plugin.source {
        PluginSource::Bundled => "it is part of the program".to_owned(),
        PluginSource::File(path) => format!("it is the file `{}`", Path::new(path).display()),
        PluginSource::Uploaded(_) => "it was uploaded".to_owned(),
    }
}
