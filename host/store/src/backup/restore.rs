//! Puts a backup back.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use domain::Timestamp;

use super::{DATABASE_FILE, FOLDERS, FORMAT, FORMAT_VERSION, FileLine, MANIFEST, Manifest, VAULT};
use crate::archive::{ArchiveError, Entries, expect_format};
use crate::database::{self, Deleted};
use crate::folder::{create_private_dir, private_file};
use crate::{Error, check};

/// Most bytes that a backup may have when it is unpacked. The disk is the narrower bound; this one ends a file that was
/// made to have no end.
const UNPACKED_BYTES_MAX: u64 = 4 << 40;
/// Largest manifest, in bytes: a hundred thousand files.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Compiled code, which may be anybody's: a plugin's author has it in a folder in which nothing ever ran.
const CACHE_FOLDER: &str = "cache";
/// What the folder is called while it is not whole.
const STAGING_PREFIX: &str = ".stagewright-restoring-";
/// The folder in it that is put in place.
const UNPACKED: &str = "unpacked";

const RUN_COUNTS: &str = "SELECT COUNT(*),
    COALESCE(SUM(status NOT IN ('completed', 'failed', 'canceled')), 0) FROM runs";

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made.
    pub created_at: Timestamp,
    pub run_count: u64,
    /// Those among them that go on.
    pub unfinished_run_count: u64,
    pub file_count: u64,
    pub size_bytes: u64,
    /// Whether the encrypted keys of providers are among the files.
    pub has_secrets: bool,
}

/// Puts a backup into a folder that is empty, but for compiled code, or does not exist. The folder is there as a whole
/// and sound, or nothing of it. A process that dies meanwhile leaves a folder behind whose name begins with
/// `.stagewright-restoring-`: in the folder itself if it was there, else beside it. Blocks.
///
/// # Errors
/// [`ArchiveError::FolderNotEmpty`], [`ArchiveError::Bad`] with the entry that is at fault, or what the disk says.
pub fn restore(archive: &File, data_dir: &Path) -> Result<Restored, ArchiveError> {
    let place = Place::of(data_dir)?;
    let parent = place.parent();
    create_private_dir(&parent)?;
    let staging = tempfile::Builder::new().prefix(STAGING_PREFIX).tempdir_in(&parent);
    let staging = staging.map_err(|error| Error::io(&parent, error))?;
    let unpacked = staging.path().join(UNPACKED);
    create_private_dir(&unpacked)?;
    let manifest = unpack(archive, &unpacked)?;
    let (run_count, unfinished_run_count) = expect_sound(&unpacked)?;
    place.take(&unpacked)?;
    Ok(Restored {
        created_at: Timestamp::from_unix_ms(manifest.created_at),
        run_count,
        unfinished_run_count,
        file_count: manifest.files.len() as u64,
        size_bytes: manifest.files.iter().map(|file| file.size_bytes).sum(),
        has_secrets: manifest.files.iter().any(|file| file.name == VAULT),
    })
}

/// Where the folder is to be.
enum Place {
    /// There is nothing yet.
    Absent(PathBuf),
    /// There is a folder with nothing in it but compiled code. It stays, because it may be one that a volume is mounted
    /// on, or that a link leads to.
    Empty(PathBuf),
}

impl Place {
    fn of(data_dir: &Path) -> Result<Self, ArchiveError> {
        let failed = |error| Error::io(data_dir, error);
        match fs::read_dir(data_dir) {
            Ok(mut entries) => {
                let is_cache = |entry: io::Result<fs::DirEntry>| {
                    entry.is_ok_and(|entry| entry.file_name() == CACHE_FOLDER)
                };
                if entries.all(is_cache) {
                    Ok(Place::Empty(data_dir.canonicalize().map_err(failed)?))
                } else {
                    Err(ArchiveError::FolderNotEmpty(data_dir.to_owned()))
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if data_dir.is_symlink() {
                    let cause = "it is a link to a folder that does not exist";
                    return Err(failed(io::Error::new(error.kind(), cause)).into());
                }
                Ok(Place::Absent(data_dir.to_owned()))
            }
            Err(error) => Err(failed(error).into()),
        }
    }

    /// The folder in which everything is made ready: of the same file system.
    fn parent(&self) -> PathBuf {
        match self {
            Place::Empty(folder) => folder.clone(),
            Place::Absent(folder) => match folder.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                Some(_) | None => PathBuf::from("."),
            },
        }
    }

    /// Puts there what is ready.
    fn take(&self, unpacked: &Path) -> Result<(), Error> {
        let moved =
            |from: &Path, to: &Path| fs::rename(from, to).map_err(|error| Error::io(to, error));
        match self {
            Place::Absent(folder) => moved(unpacked, folder),
            Place::Empty(folder) => {
                for name in FOLDERS.into_iter().chain([VAULT]) {
                    if unpacked.join(name).exists() {
                        moved(&unpacked.join(name), &folder.join(name))?;
                    }
                }
                // At last, so that no database stands there whose components are missing.
                moved(&unpacked.join(DATABASE_FILE), &folder.join(DATABASE_FILE))
            }
        }
    }
}

/// Writes the files of a backup into a folder, and compares them with its manifest.
fn unpack(archive: &File, into: &Path) -> Result<Manifest, ArchiveError> {
    let mut found: BTreeMap<String, FileLine> = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    Entries::bounded(archive, UNPACKED_BYTES_MAX)?.each(|entry| {
        let name = entry.name().to_owned();
        if manifest.is_some() {
            return Err(ArchiveError::bad(name, "it comes behind the manifest"));
        }
        if name == MANIFEST {
            manifest = Some(read_manifest(&entry.text(MANIFEST_BYTES_MAX)?)?);
            return Ok(());
        }
        expect_known(&name)?;
        let path = into.join(&name);
        if let Some(folder) = path.parent() {
            create_private_dir(folder)?;
        }
        let mut file = private_file(File::options().write(true).create_new(true))
            .open(&path)
            .map_err(|error| Error::io(&path, error))?;
        let sha256 = entry.copy_to(&mut file)?;
        file.sync_all().map_err(|error| Error::io(&path, error))?;
        let size_bytes = file.metadata().map_err(|error| Error::io(&path, error))?.len();
        found.insert(name.clone(), FileLine { name, size_bytes, sha256 });
        Ok(())
    })?;
    let manifest = manifest.ok_or_else(|| ArchiveError::bad(MANIFEST, "it is missing"))?;
    expect_same(&manifest, &found)?;
    Ok(manifest)
}

fn read_manifest(text: &str) -> Result<Manifest, ArchiveError> {
    let bad = |detail: String| ArchiveError::bad(MANIFEST, detail);
    expect_format(text, FORMAT)?;
    let manifest: Manifest = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if !(1..=FORMAT_VERSION).contains(&manifest.version) {
        let found = manifest.version;
        let detail =
            format!("the format has version {found}, and this program reads 1 to {FORMAT_VERSION}");
        return Err(bad(detail));
    }
    Ok(manifest)
}

/// Whether a backup may have a file of this name.
fn expect_known(name: &str) -> Result<(), ArchiveError> {
    let is_below = |folder: &str| name.strip_prefix(folder).is_some_and(|n| n.starts_with('/'));
    if name == DATABASE_FILE || name == VAULT || FOLDERS.iter().any(|folder| is_below(folder)) {
        return Ok(());
    }
    Err(ArchiveError::bad(name, "a backup has no such file"))
}

fn expect_same(
    manifest: &Manifest,
    found: &BTreeMap<String, FileLine>,
) -> Result<(), ArchiveError> {
    for told in &manifest.files {
        match found.get(&told.name) {
            None => return Err(ArchiveError::bad(&told.name, "it is missing")),
            Some(is) if is == told => {}
            Some(_) => {
                let detail = "its content is not that of which the manifest has the digest";
                return Err(ArchiveError::bad(&told.name, detail));
            }
        }
    }
    let is_told = |name: &&String| manifest.files.iter().any(|told| told.name == **name);
    if let Some(other) = found.keys().find(|name| !is_told(name)) {
        return Err(ArchiveError::bad(other, "the manifest does not tell of it"));
    }
    if !found.contains_key(DATABASE_FILE) {
        return Err(ArchiveError::bad(DATABASE_FILE, "it is missing"));
    }
    Ok(())
}

/// Looks through the whole database; gives how many runs it has, and how many of them go on.
fn expect_sound(data_dir: &Path) -> Result<(u64, u64), ArchiveError> {
    let db = database::open_writer(data_dir, Deleted::Forgotten)?;
    let findings =
        check::look(&db, check::Depth::Deep, &std::sync::atomic::AtomicBool::new(false))?;
    if let Some(first) = findings.first() {
        return Err(ArchiveError::bad(DATABASE_FILE, first));
    }
    let counts = db.query_row(RUN_COUNTS, [], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(counts.map_err(Error::from)?)
}
