//! The files of the vault in the data folder: private, written whole, one writer at a time.
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::VaultError;
use super::in_folder;
use super::key::{KEY_BYTES, Key};
use super::sealed::FILE_BYTES_MAX;

const VAULT: &str = "secrets.vault";
const KEY: &str = "vault.key";
/// Held while somebody writes. Beside the vault, because that is replaced by every write.
const LOCK: &str = "vault.lock";
/// Bits of a file's mode that let others in.
#[cfg(unix)]
const MODE_OF_OTHERS: u32 = 0o077;

/// The data folder.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(data_dir: &Path) -> Folder {
        Folder(data_dir.to_owned())
    }

    pub(super) fn vault_path(&self) -> PathBuf {
        in_folder(&self.0, VAULT)
    }

    pub(super) fn key_path(&self) -> PathBuf {
        in_folder(&self.0, KEY)
    }

    pub(super) fn exists(&self) -> bool {
        self.vault_path().exists()
    }

    /// Waits until nobody else writes, and keeps others waiting until what it gives is dropped. The system lets go of
    /// it when a process dies; a writer needs milliseconds.
    pub(super) fn lock(&self) -> Result<File, VaultError> {
        create_private_folder(&self.0).map_err(failed("cannot make the folder", &self.0))?;
        let path = in_folder(&self.0, LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed("cannot open", &path))?;
        file.lock().map_err(failed("cannot lock", &path))?;
        Ok(file)
    }

    /// The bytes of the vault; `None` if there is none.
    pub(super) fn read_vault(&self) -> Result<Option<Vec<u8>>, VaultError> {
        // One byte more than may be there is enough to see that it is too long.
        let bytes = read_private(&self.vault_path(), FILE_BYTES_MAX + 1)?;
        Ok(bytes.map(|mut bytes| std::mem::take(&mut *bytes)))
    }

    pub(super) fn write_vault(&self, bytes: &[u8]) -> Result<(), VaultError> {
        let path = self.vault_path();
        write_whole(&self.0, &path, bytes).map_err(failed("cannot write", &path))
    }

    /// The key in the key file; `None` if there is no such file.
    pub(super) fn read_key(&self) -> Result<Option<Key>, VaultError> {
        let path = self.key_path();
        // 64 digits, and room for the ends of lines that an editor adds.
        let Some(text) = read_private(&path, KEY_BYTES * 2 + 16)? else { return Ok(None) };
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let digits = text.trim_ascii();
        if hex::decode_to_slice(digits, bytes.as_mut()).is_err() {
            return Err(VaultError::BadKeyFile { path });
        }
        Ok(Some(Key::from_bytes(bytes)))
    }

    /// Makes a key and its file. To be called under the lock.
    pub(super) fn make_key(&self) -> Result<Key, VaultError> {
        let path = self.key_path();
        let key = Key::new_random().map_err(|flaw| VaultError::of_flaw(flaw, path.clone()))?;
        let mut line = Zeroizing::new([b'\n'; KEY_BYTES * 2 + 1]);
        hex::encode_to_slice(key.as_bytes(), &mut line[..KEY_BYTES * 2])
            .expect("two digits for each byte fit");
        write_whole(&self.0, &path, line.as_ref()).map_err(failed("cannot write", &path))?;
        Ok(key)
    }
}

fn failed<'p>(what: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> VaultError + 'p {
    move |source| VaultError::Io { what, path: path.to_owned(), source }
}

/// At most so many bytes of a file that nobody else may read or write; `None` if it is not there.
fn read_private(path: &Path, bytes_max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A data folder that is a file is told by whoever needs the folder.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed("cannot read", path)(error)),
    };
    check_private(&file, path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max));
    file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(failed("cannot read", path))?;
    Ok(Some(bytes))
}

#[cfg(unix)]
fn check_private(file: &File, path: &Path) -> Result<(), VaultError> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = file.metadata().map_err(failed("cannot read", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & MODE_OF_OTHERS != 0 {
        return Err(VaultError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Elsewhere the folder of the user decides who may read.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "where there are modes it fails")]
fn check_private(_: &File, _: &Path) -> Result<(), VaultError> {
    Ok(())
}

/// Writes beside and renames, so that a reader, or a crash, sees either what was there or what is there now.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".vault-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // Without this a power failure may bring back the old name.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
