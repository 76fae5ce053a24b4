//! The format of the file: a header in the clear, then the sealed secrets as a JSON object.
//!
//! ```text
//! offset  bytes
//!      0      7  `STGWVLT`
//!      7      1  version of the format: 1
//!      8      1  where the key comes from: 0 key file, 1 passphrase
//!      9      4  Argon2id: memory in KiB, little-endian; 0 with a key file
//!     13      4  Argon2id: passes; 0 with a key file
//!     17     16  Argon2id: salt; 0 with a key file
//!     33     16  which key it is: beginning of a hash of the key
//!     49     24  nonce, random at every write
//!     73      …  XChaCha20-Poly1305 of the secrets; the 73 bytes before are its associated data
//! ```
//!
//! Invariant: no byte of the file can be changed without being noticed.
use std::collections::BTreeMap;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::key::{CHECK_BYTES, Cost, Key, KeyOrigin, SALT_BYTES, fill_randomly};
use super::{Secrets, json_bytes_max};

const MAGIC: &[u8; 7] = b"STGWVLT";
const VERSION: u8 = 1;
const ORIGIN_KEY_FILE: u8 = 0;
const ORIGIN_PASSPHRASE: u8 = 1;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 73;

/// Largest file. Sixteen of the longest secrets that a command takes fit in.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;

/// Why it cannot be opened or sealed.
#[derive(Debug)]
pub(super) enum Flaw {
    Damaged(&'static str),
    Newer { version: u8 },
    TooLarge { max: usize },
    NoRandomness(String),
    KeyNotMade(String),
}

/// A file whose header has been understood.
pub(super) struct Sealed<'a> {
    origin: KeyOrigin,
    check: [u8; CHECK_BYTES],
    nonce: [u8; NONCE_BYTES],
    header: &'a [u8],
    body: &'a [u8],
}

impl<'a> Sealed<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Sealed<'a>, Flaw> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Flaw::Damaged("it is too long"));
        }
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(Flaw::Damaged("its header is cut off"));
        };
        let mut fields = Fields(header);
        if fields.take::<7>() != *MAGIC {
            return Err(Flaw::Damaged("it does not begin like a vault"));
        }
        let [version] = fields.take();
        if version > VERSION {
            return Err(Flaw::Newer { version });
        }
        if version < VERSION {
            return Err(Flaw::Damaged("there is no such version"));
        }
        let origin = parse_origin(&mut fields)?;
        Ok(Sealed { origin, check: fields.take(), nonce: fields.take(), header, body })
    }

    pub(super) fn origin(&self) -> &KeyOrigin {
        &self.origin
    }

    /// Whether it was sealed with this key.
    pub(super) fn fits(&self, key: &Key) -> bool {
        bool::from(self.check.ct_eq(&key.check()))
    }

    pub(super) fn open(&self, key: &Key) -> Result<Secrets, Flaw> {
        let payload = Payload { msg: self.body, aad: self.header };
        let text = cipher(key)
            .decrypt(XNonce::from_slice(&self.nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| Flaw::Damaged("its contents were changed"))?;
        let secrets: BTreeMap<String, String> = serde_json::from_slice(&text)
            .map_err(|_| Flaw::Damaged("its contents are not understood"))?;
        Ok(secrets.into_iter().map(|(name, text)| (name, SecretString::from(text))).collect())
    }
}

fn parse_origin(fields: &mut Fields<'_>) -> Result<KeyOrigin, Flaw> {
    let [kind] = fields.take();
    let memory_kib = u32::from_le_bytes(fields.take());
    let passes = u32::from_le_bytes(fields.take());
    let salt: [u8; SALT_BYTES] = fields.take();
    let cost = Cost { memory_kib, passes };
    match kind {
        ORIGIN_KEY_FILE if memory_kib == 0 && passes == 0 && salt == [0; SALT_BYTES] => {
            Ok(KeyOrigin::KeyFile)
        }
        ORIGIN_PASSPHRASE if cost.is_sane() => Ok(KeyOrigin::Passphrase { salt, cost }),
        _ => Err(Flaw::Damaged("its header makes no sense")),
    }
}

/// Seals the secrets into the bytes of a file.
pub(super) fn seal(secrets: &Secrets, origin: &KeyOrigin, key: &Key) -> Result<Vec<u8>, Flaw> {
    let mut nonce = [0; NONCE_BYTES];
    fill_randomly(&mut nonce)?;
    let header = header(origin, key, &nonce);
    let plain: BTreeMap<&str, &str> =
        secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose_secret())).collect();
    // With room for all of it from the start: a vector that grows leaves copies behind that nobody overwrites.
    let mut text = Zeroizing::new(Vec::with_capacity(json_bytes_max(secrets)));
    serde_json::to_writer(&mut *text, &plain)
        .map_err(|_| Flaw::Damaged("its contents cannot be written"))?;
    let payload = Payload { msg: &text, aad: &header };
    let body = cipher(key)
        .encrypt(XNonce::from_slice(&nonce), payload)
        .map_err(|_| Flaw::TooLarge { max: FILE_BYTES_MAX })?;
    let bytes = [header, body].concat();
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Flaw::TooLarge { max: FILE_BYTES_MAX });
    }
    Ok(bytes)
}

fn header(origin: &KeyOrigin, key: &Key, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
    let nothing = (ORIGIN_KEY_FILE, Cost { memory_kib: 0, passes: 0 }, [0; SALT_BYTES]);
    let (kind, cost, salt) = match origin {
        KeyOrigin::KeyFile => nothing,
        KeyOrigin::Passphrase { salt, cost } => (ORIGIN_PASSPHRASE, *cost, *salt),
    };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend([VERSION, kind]);
    header.extend(cost.memory_kib.to_le_bytes());
    header.extend(cost.passes.to_le_bytes());
    header.extend(salt);
    header.extend(key.check());
    header.extend(nonce);
    header
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.as_bytes().into())
}

/// The header, field by field. Its length was checked once, for all of them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const LEN: usize>(&mut self) -> [u8; LEN] {
        let (field, rest) =
            self.0.split_first_chunk().expect("the header is as long as its fields together");
        self.0 = rest;
        *field
    }
}
