//! The uploads of a host: for each a file with its bytes and a record of how it came, both named by its digest.
//!
//! Invariant: the record is the last thing written and the first that goes, so that whoever has a record had a whole
//! file. Whether the file still is what it was is for `catalog` to say: it compares bytes and digest whenever it reads.
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::plan::PinnedPlugin;
use domain::port::PluginError;
use domain::upload::{PLUGIN_BYTES_MAX, Upload, UploadedPlugin};
use domain::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::copies::named_digest;
use crate::files::{create_private_folder, write_private_file};

/// Where uploads lie, in the plugin folder. What lies below that folder's own files is nobody's but the host's.
const FOLDER: &str = "uploaded";

/// What files are called that are not whole yet. The next upload removes those that a crash left behind.
const INCOMING_PREFIX: &str = "incoming-";

/// How much of an upload is read at a time, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Largest record, in bytes: far more than a name, a version, a digest and an actor have.
const RECORD_BYTES_MAX: u64 = 16 << 10;

/// An upload as it is kept on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    version: String,
    digest: String,
    uploaded_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uploaded_by: Option<String>,
}

/// All uploads, the earliest first; and records that say nothing, and bytes that have none.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) uploads: Vec<UploadedPlugin>,
    pub(crate) errors: Vec<PluginError>,
    /// The digests of the bytes that have no record, which is told among the errors.
    pub(crate) orphans: BTreeSet<Digest>,
}

/// An upload that is not kept yet.
pub(crate) struct Spooled {
    pub(crate) file: NamedTempFile,
    pub(crate) digest: Digest,
}

/// Why an upload could not be taken in.
pub(crate) enum SpoolError {
    TooLarge,
    Io(io::Error),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        SpoolError::Io(error)
    }
}

pub(crate) struct Uploads {
    folder: PathBuf,
    /// Read at the first need. The owner of the data folder is the only one who changes it.
    kept: Mutex<Option<Arc<Kept>>>,
}

impl Uploads {
    pub(crate) fn new(plugin_dir: &Path) -> Self {
        Self { folder: plugin_dir.join(FOLDER), kept: Mutex::default() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All uploads, as they were when they came.
    pub(crate) fn kept(&self) -> Arc<Kept> {
        Arc::clone(self.lock().get_or_insert_with(|| Arc::new(self.read_records())))
    }

    pub(crate) fn with_digest(&self, digest: &Digest) -> Option<UploadedPlugin> {
        let kept = self.kept();
        kept.uploads.iter().find(|uploaded| uploaded.plugin.digest == *digest).cloned()
    }

    /// What is wrong with the bytes that have this digest, if it is that nobody knows how they came.
    pub(crate) fn without_record(&self, digest: &Digest) -> Option<PluginError> {
        self.kept().orphans.contains(digest).then(|| without_record(&self.path(digest)))
    }

    /// Writes what comes into a file, and says what it is. No more is in memory than one piece.
    pub(crate) fn spool(&self, component: &mut dyn Read) -> Result<Spooled, SpoolError> {
        create_private_folder(&self.folder)?;
        let mut file =
            tempfile::Builder::new().prefix(INCOMING_PREFIX).tempfile_in(&self.folder)?;
        let (mut hasher, mut size_bytes) = (Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match component.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            size_bytes += count as u64;
            if size_bytes > PLUGIN_BYTES_MAX {
                return Err(SpoolError::TooLarge);
            }
            hasher.update(&chunk[..count]);
            file.write_all(&chunk[..count])?;
        }
        let text = format!("{}{}", Digest::PREFIX, hex::encode(hasher.finalize()));
        let digest = text.parse().expect("a SHA-256 in hexadecimal is a digest");
        Ok(Spooled { file, digest })
    }

    /// Where the bytes with a digest lie.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.wasm", digest.hex()))
    }

    fn record_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.json", digest.hex()))
    }

    /// Keeps an upload, so that it is there after any crash from now on.
    pub(crate) fn keep(&self, file: NamedTempFile, uploaded: &UploadedPlugin) -> io::Result<()> {
        let path = self.path(&uploaded.plugin.digest);
        let record = serde_json::to_vec(&Record::from(uploaded))?;
        let mut kept = self.lock();
        file.as_file().sync_all()?;
        // Before the first change: one that fails halfway is found as it is on the disk.
        *kept = None;
        let had_bytes = path.exists();
        file.persist(&path)?;
        let written = write_private_file(&self.record_path(&uploaded.plugin.digest), &record);
        if written.is_err() && !had_bytes {
            // Bytes without a record are nobody's plugin, and where the disk is full they are in the way.
            fs::remove_file(&path).ok();
        }
        written?;
        sync_folder(&self.folder)
    }

    /// Removes an upload. The record goes first: bytes without one are nobody's plugin.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<()> {
        let mut kept = self.lock();
        *kept = None;
        remove_file(&self.record_path(digest))?;
        remove_file(&self.path(digest))?;
        sync_folder(&self.folder)
    }

    /// Removes what a crash left in the middle of an upload. Only for whoever keeps other uploads out. Bytes that have lost
    /// their record stay, because they may be all that is left of a plugin.
    pub(crate) fn remove_remains(&self) {
        for path in self.paths().unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(INCOMING_PREFIX) {
                fs::remove_file(&path).ok();
            }
        }
    }

    fn read_records(&self) -> Kept {
        let mut kept = Kept::default();
        let paths = match self.paths() {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return kept,
            Err(error) => {
                kept.errors.push(damaged(&self.folder, &error.to_string()));
                return kept;
            }
        };
        for path in paths {
            match path.extension().and_then(OsStr::to_str) {
                Some("json") => match self.read_record(&path) {
                    Ok(uploaded) => kept.uploads.push(uploaded),
                    Err(detail) => kept.errors.push(damaged(&path, &detail)),
                },
                Some("wasm") if !path.with_extension("json").exists() => {
                    kept.orphans.extend(named_digest(&path));
                    kept.errors.push(without_record(&path));
                }
                Some(_) | None => {}
            }
        }
        sort(&mut kept.uploads);
        kept
    }

    fn read_record(&self, path: &Path) -> Result<UploadedPlugin, String> {
        let mut text = String::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        file.take(RECORD_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
        let record: Record = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let digest: Digest = record.digest.parse().map_err(|_| "it names no digest".to_owned())?;
        if self.record_path(&digest) != path {
            return Err("it is named like another plugin".to_owned());
        }
        Ok(UploadedPlugin {
            upload: Upload {
                path: self.path(&digest).display().to_string(),
                at: Timestamp::from_unix_ms(record.uploaded_at_ms),
                by: record.uploaded_by,
            },
            plugin: PinnedPlugin { name: record.name, version: record.version, digest },
        })
    }

    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(&self.folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }
}

impl From<&UploadedPlugin> for Record {
    fn from(uploaded: &UploadedPlugin) -> Self {
        let UploadedPlugin { plugin, upload } = uploaded;
        Self {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            digest: plugin.digest.to_string(),
            uploaded_at_ms: upload.at.as_unix_ms(),
            uploaded_by: upload.by.clone(),
        }
    }
}

fn sort(uploads: &mut [UploadedPlugin]) {
    uploads.sort_by(|one, other| {
        let key = |uploaded: &UploadedPlugin| (uploaded.upload.at, uploaded.plugin.digest.clone());
        key(one).cmp(&key(other))
    });
}

/// A record that cannot be read. Nothing is lost but the knowledge of how a file came.
fn damaged(path: &Path, detail: &str) -> PluginError {
    let finding =
        format!("the record of an upload cannot be read ({detail}): remove it and upload again");
    PluginError::Unfit { place: path.display().to_string(), findings: vec![finding] }
}

/// Bytes without a record: it was lost, or a crash came in the middle of a removal.
fn without_record(path: &Path) -> PluginError {
    let place = path.display().to_string();
    let finding = format!(
        "the record of this upload is gone, so nothing finds it: add it again with `stagewright plugins add {place}`, or \
         remove the file"
    );
    PluginError::Unfit { place, findings: vec![finding] }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A name is durable when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
