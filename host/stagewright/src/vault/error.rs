//! Why the vault cannot be used. No variant has room for a secret, and a name that was refused is not repeated: whoever
//! mixes up the two types the secret there.
use std::path::PathBuf;

use super::sealed::Flaw;

#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("that is no name of a secret")]
    BadName,
    #[error("the secrets are too large: more than {max} bytes together")]
    TooLarge { max: usize },
    #[error("the vault `{}` needs its passphrase", .path.display())]
    PassphraseMissing { path: PathBuf },
    #[error("the passphrase does not open the vault `{}`", .path.display())]
    OtherPassphrase { path: PathBuf },
    #[error("the vault `{}` opens with its key file, and a passphrase is set", .path.display())]
    PassphraseUnexpected { path: PathBuf },
    #[error("the key file `{}` of the vault `{}` is missing", .path.display(), .vault.display())]
    KeyFileMissing { path: PathBuf, vault: PathBuf },
    #[error("the key file does not open the vault `{}`", .path.display())]
    OtherKeyFile { path: PathBuf },
    #[error("`{}` is no key file: it needs 64 hexadecimal digits", .path.display())]
    BadKeyFile { path: PathBuf },
    #[error("the vault `{}` is damaged: {detail}", .path.display())]
    Damaged { path: PathBuf, detail: &'static str },
    #[error("the vault `{}` was written by a newer version of the program: format {version}", .path.display())]
    Newer { path: PathBuf, version: u8 },
    #[error("`{}` can be read or written by other users: mode {mode:03o}", .path.display())]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("no random numbers can be had: {detail}")]
    NoRandomness { detail: String },
    #[error("the key cannot be made: {detail}")]
    KeyNotMade { detail: String },
    #[error("{what} `{}`: {source}", .path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
}

impl VaultError {
    pub(super) fn of_flaw(flaw: Flaw, path: PathBuf) -> VaultError {
        match flaw {
            Flaw::Damaged(detail) => VaultError::Damaged { path, detail },
            Flaw::Newer { version } => VaultError::Newer { path, version },
            Flaw::TooLarge { max } => VaultError::TooLarge { max },
            Flaw::NoRandomness(detail) => VaultError::NoRandomness { detail },
            Flaw::KeyNotMade(detail) => VaultError::KeyNotMade { detail },
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        let fixed = match self {
            VaultError::TooOpen { path, .. } => {
                return format!("close it to others: `chmod 600 {}`", path.display());
            }
            VaultError::BadName => {
                "name it like the environment variable that it stands for, e.g. `OPENAI_API_KEY`"
            }
            VaultError::TooLarge { .. } => "keep keys and tokens here, not files",
            VaultError::PassphraseMissing { .. } => "set `STAGEWRIGHT_VAULT_KEY` to it",
            VaultError::OtherPassphrase { .. } => {
                "set `STAGEWRIGHT_VAULT_KEY` to the passphrase that the vault was made with; without it, remove the file and set the secrets again"
            }
            VaultError::PassphraseUnexpected { .. } => {
                "unset `STAGEWRIGHT_VAULT_KEY`; to have a passphrase, remove the vault, and set the secrets again with it"
            }
            VaultError::KeyFileMissing { .. } | VaultError::OtherKeyFile { .. } => {
                "put back the `vault.key` that belongs to it; without it, remove the vault, and set the secrets again"
            }
            VaultError::BadKeyFile { .. } => {
                "put back the `vault.key` that belongs to the vault, or remove both and set the secrets again"
            }
            VaultError::Damaged { .. } => {
                "put back a copy, or remove it and set the secrets again with `stagewright secrets set`"
            }
            VaultError::Newer { .. } => "use that version, or a newer one",
            VaultError::NoRandomness { .. } | VaultError::KeyNotMade { .. } => "try again",
            VaultError::Io { .. } => {
                "see who may read and write there, and whether the disk is full"
            }
        };
        fixed.to_owned()
    }
}
