//! Keeps secrets in an encrypted file of the data folder, by the names of the environment variables that they stand for.
//!
//! The file `secrets.vault` is sealed with XChaCha20-Poly1305. Its key is made from a passphrase (`STAGEWRIGHT_VAULT_KEY`)
//! or, where there is none, lies in `vault.key` beside it. What that protects: with a passphrase, whoever gets the whole
//! data folder learns the names of no secrets and no values. With a key file, only whoever gets `secrets.vault` **alone**
//! is kept out, such as the reader of a backup that leaves `vault.key` away; whoever may read both reads the secrets. In
//! neither case is anything hidden from a program that runs as the same user while Stagewright runs.
//!
//! What is not done here: nothing is read from the environment, and which layer of the configuration wins is not known.
//!
//! Invariants: the file is whole at every moment (written beside, then renamed); two processes that write do not undo
//! each other's change; no secret has a `Debug`, or is part of an error.
mod error;
mod files;
mod key;
mod sealed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::error::VaultError;
use self::files::Folder;
use self::key::{Cost, Key, KeyOrigin};
use self::sealed::Sealed;

/// Longest name, in bytes: the longest names of variables that are in use are a third of it.
const NAME_BYTES_MAX: usize = 128;

/// The secrets of a data folder, as they were when it was opened or written last.
pub(crate) struct Vault {
    folder: Folder,
    passphrase: Option<SecretString>,
    /// What a new vault makes of a passphrase.
    cost: Cost,
    /// The key that opened the file, kept so that it is made from a passphrase only once.
    opened_with: Option<(KeyOrigin, Key)>,
    secrets: Secrets,
}

type Secrets = BTreeMap<String, SecretString>;

impl Vault {
    /// Opens the vault of a data folder. Where there is no file it is empty, and nothing is made.
    ///
    /// # Errors
    /// [`VaultError`] if the file cannot be read, or not with this key.
    pub(crate) fn open(
        data_dir: &Path,
        passphrase: Option<&SecretString>,
    ) -> Result<Vault, VaultError> {
        Self::open_with(data_dir, passphrase, Cost::USUAL)
    }

    fn open_with(
        data_dir: &Path,
        passphrase: Option<&SecretString>,
        cost: Cost,
    ) -> Result<Vault, VaultError> {
        let mut vault = Vault {
            folder: Folder::new(data_dir),
            passphrase: passphrase.cloned(),
            cost,
            opened_with: None,
            secrets: Secrets::new(),
        };
        vault.read()?;
        Ok(vault)
    }

    /// The names that have a secret, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.secrets.keys().cloned().collect()
    }

    /// The secret of this name.
    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        self.secrets.get(name).cloned()
    }

    /// Keeps a secret, or another one of the same name. It is on disk when this returns.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is changed then.
    pub(crate) fn set(&mut self, name: &str, secret: SecretString) -> Result<(), VaultError> {
        if !is_name(name) {
            return Err(VaultError::BadName);
        }
        let _lock = self.folder.lock()?;
        self.read()?;
        let before = self.secrets.insert(name.to_owned(), secret);
        let written = self.write();
        if written.is_err() {
            match before {
                Some(before) => self.secrets.insert(name.to_owned(), before),
                None => self.secrets.remove(name),
            };
        }
        written
    }

    /// Forgets a secret, and says whether there was one.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is changed then.
    pub(crate) fn remove(&mut self, name: &str) -> Result<bool, VaultError> {
        if !self.folder.exists() {
            return Ok(false);
        }
        let _lock = self.folder.lock()?;
        self.read()?;
        let Some(before) = self.secrets.remove(name) else { return Ok(false) };
        let written = self.write();
        if written.is_err() {
            self.secrets.insert(name.to_owned(), before);
        }
        written.map(|()| true)
    }

    /// Reads the file again: another process may have written since.
    fn read(&mut self) -> Result<(), VaultError> {
        let Some(bytes) = self.folder.read_vault()? else {
            self.secrets.clear();
            self.opened_with = None;
            return Ok(());
        };
        let sealed = Sealed::parse(&bytes).map_err(|flaw| self.flawed(flaw))?;
        let key = self.key_of(&sealed)?;
        let opened = sealed.open(&key).map_err(|flaw| self.flawed(flaw))?;
        self.opened_with = Some((sealed.origin().clone(), key));
        self.secrets = opened;
        Ok(())
    }

    fn key_of(&self, sealed: &Sealed<'_>) -> Result<Key, VaultError> {
        let path = || self.folder.vault_path();
        let origin = sealed.origin();
        let known = self.opened_with.as_ref().filter(|(known, _)| known == origin);
        let key = match (known, origin, &self.passphrase) {
            (Some((_, key)), _, _) => key.clone(),
            (None, KeyOrigin::KeyFile, None) => self.folder.read_key()?.ok_or_else(|| {
                VaultError::KeyFileMissing { path: self.folder.key_path(), vault: path() }
            })?,
            (None, KeyOrigin::Passphrase { .. }, Some(passphrase)) => {
                Key::of_passphrase(passphrase, origin).map_err(|flaw| self.flawed(flaw))?
            }
            (None, KeyOrigin::KeyFile, Some(_)) => {
                return Err(VaultError::PassphraseUnexpected { path: path() });
            }
            (None, KeyOrigin::Passphrase { .. }, None) => {
                return Err(VaultError::PassphraseMissing { path: path() });
            }
        };
        if sealed.fits(&key) {
            return Ok(key);
        }
        Err(match origin {
            KeyOrigin::KeyFile => VaultError::OtherKeyFile { path: path() },
            KeyOrigin::Passphrase { .. } => VaultError::OtherPassphrase { path: path() },
        })
    }

    fn write(&mut self) -> Result<(), VaultError> {
        let (origin, key) = match self.opened_with.take() {
            Some(opened_with) => opened_with,
            None => self.new_key()?,
        };
        let sealed = sealed::seal(&self.secrets, &origin, &key);
        self.opened_with = Some((origin, key));
        let bytes = sealed.map_err(|flaw| self.flawed(flaw))?;
        self.folder.write_vault(&bytes)
    }

    fn new_key(&self) -> Result<(KeyOrigin, Key), VaultError> {
        match &self.passphrase {
            Some(passphrase) => {
                let origin = KeyOrigin::new_passphrase(self.cost).map_err(|e| self.flawed(e))?;
                let key = Key::of_passphrase(passphrase, &origin).map_err(|e| self.flawed(e))?;
                Ok((origin, key))
            }
            None => {
                // A key file that is left over from an earlier vault is as good as a new one.
                let key = match self.folder.read_key()? {
                    Some(key) => key,
                    None => self.folder.make_key()?,
                };
                Ok((KeyOrigin::KeyFile, key))
            }
        }
    }

    fn flawed(&self, flaw: sealed::Flaw) -> VaultError {
        VaultError::of_flaw(flaw, self.folder.vault_path())
    }
}

/// Whether a name can be that of an environment variable in every shell.
fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    starts_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_plain)
}

/// Bytes that the secrets take up as JSON, at most: each byte of a text may need six.
fn json_bytes_max(secrets: &Secrets) -> usize {
    let of_one = |(name, secret): (&String, &SecretString)| {
        let bytes = name.len() + secret.expose_secret().len();
        bytes.saturating_mul(6).saturating_add(8)
    };
    secrets.iter().map(of_one).sum::<usize>().saturating_add(2)
}

/// Paths in messages are those that the user gave.
fn in_folder(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}
