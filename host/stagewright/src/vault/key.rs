//! The key of the vault: 32 random bytes of a key file, or made from a passphrase with Argon2id.
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::sealed::Flaw;

pub(super) const KEY_BYTES: usize = 32;
pub(super) const SALT_BYTES: usize = 16;
pub(super) const CHECK_BYTES: usize = 16;

/// Most memory and passes that a file may ask for: a file that was tampered with must not stop the machine.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;
/// Least memory, in KiB, that Argon2 works with in one lane.
const MEMORY_KIB_MIN: u32 = 8;

/// What it takes to try one passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
}

impl Cost {
    /// OWASP's recommendation for Argon2id. No more, because every command that opens the vault pays for it.
    pub(super) const USUAL: Cost = Cost { memory_kib: 19 << 10, passes: 2 };

    pub(super) fn is_sane(self) -> bool {
        (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (1..=PASSES_MAX).contains(&self.passes)
    }
}

/// Where the key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyOrigin {
    KeyFile,
    Passphrase { salt: [u8; SALT_BYTES], cost: Cost },
}

impl KeyOrigin {
    pub(super) fn new_passphrase(cost: Cost) -> Result<KeyOrigin, Flaw> {
        let mut salt = [0; SALT_BYTES];
        fill_randomly(&mut salt)?;
        Ok(KeyOrigin::Passphrase { salt, cost })
    }
}

/// A key. Overwritten when it is dropped.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    pub(super) fn new_random() -> Result<Key, Flaw> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill_randomly(bytes.as_mut())?;
        Ok(Key(bytes))
    }

    pub(super) fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Key {
        Key(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Makes the key that a passphrase stands for. Slow on purpose.
    pub(super) fn of_passphrase(
        passphrase: &SecretString,
        origin: &KeyOrigin,
    ) -> Result<Key, Flaw> {
        let KeyOrigin::Passphrase { salt, cost } = origin else {
            return Err(Flaw::KeyNotMade("the vault has no passphrase".to_owned()));
        };
        let failed = |error: argon2::Error| Flaw::KeyNotMade(error.to_string());
        let params =
            Params::new(cost.memory_kib, cost.passes, 1, Some(KEY_BYTES)).map_err(failed)?;
        let mut blocks = vec![Block::default(); params.block_count()];
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let made = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                passphrase.expose_secret().as_bytes(),
                salt,
                bytes.as_mut(),
                &mut blocks,
            );
        blocks.zeroize();
        made.map_err(failed)?;
        Ok(Key(bytes))
    }

    /// Tells whether a key belongs to a file, without telling anything else about it.
    pub(super) fn check(&self) -> [u8; CHECK_BYTES] {
        let mut hasher = Sha256::new();
        hasher.update(b"stagewright vault 1: which key\0");
        hasher.update(self.as_bytes());
        let digest = hasher.finalize();
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&digest[..CHECK_BYTES]);
        check
    }
}

pub(super) fn fill_randomly(bytes: &mut [u8]) -> Result<(), Flaw> {
    OsRng.try_fill_bytes(bytes).map_err(|error| Flaw::NoRandomness(error.to_string()))
}
