//! What a person calls a plugin of this host: everything that a profile can say, and the beginning of a digest.
//!
//! Profiles need the whole digest: what is the only one today may be one of two tomorrow.
use std::str::FromStr;

use crate::Digest;
use crate::plan::{InvalidPluginRef, PluginRef};
use crate::port::{PluginCatalog, PluginError};
use crate::upload::UploadError;

/// Hexadecimal digits with which a digest can be begun. Fewer are typed by mistake, and soon mean several.
const BEGINNING_LEN_MIN: usize = 8;

/// Hexadecimal digits of a whole digest.
const DIGEST_LEN: usize = 64;

/// A plugin as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedPlugin {
    /// As in a profile.
    Whole(PluginRef),
    /// `sha256:` and the first digits, at least eight.
    Beginning(String),
}

impl FromStr for AskedPlugin {
    type Err = InvalidPluginRef;

    fn from_str(text: &str) -> Result<Self, InvalidPluginRef> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix(Digest::PREFIX) {
            Some(digits)
                if (BEGINNING_LEN_MIN..DIGEST_LEN).contains(&digits.len())
                    && digits.bytes().all(is_digit) =>
            {
                Ok(AskedPlugin::Beginning(text.to_owned()))
            }
            Some(_) | None => text.parse().map(AskedPlugin::Whole),
        }
    }
}

impl AskedPlugin {
    /// What it means on this host. Blocks.
    ///
    /// # Errors
    /// [`PluginError::Unknown`] if no digest begins so, [`UploadError::Ambiguous`] if several do.
    pub fn meant(self, catalog: &dyn PluginCatalog) -> Result<PluginRef, UploadError> {
        let beginning = match self {
            AskedPlugin::Whole(reference) => return Ok(reference),
            AskedPlugin::Beginning(beginning) => beginning,
        };
        let mut candidates = catalog.digests();
        candidates.retain(|digest| digest.as_str().starts_with(&beginning));
        match candidates.len() {
            0 => Err(PluginError::Unknown { asked: beginning, known: Vec::new() }.into()),
            1 => Ok(PluginRef::Digest(candidates.swap_remove(0))),
            _ => Err(UploadError::Ambiguous {
                asked: beginning,
                candidates: candidates.iter().map(Digest::to_string).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_can_be_begun_with_eight_digits_and_not_with_fewer() {
        let begun = |text: &str| text.parse::<AskedPlugin>();
        assert_eq!(
            begun("sha256:531caabe"),
            Ok(AskedPlugin::Beginning("sha256:531caabe".to_owned()))
        );
        let whole = format!("sha256:{}", "0".repeat(64));
        assert!(matches!(begun(&whole), Ok(AskedPlugin::Whole(PluginRef::Digest(_)))));
        assert!(matches!(begun("research"), Ok(AskedPlugin::Whole(PluginRef::Name(_)))));
        let longer = format!("{whole}0");
        for text in ["sha256:531caab", "sha256:531CAABE", "sha256:531caabg", &longer] {
            assert_eq!(begun(text), Err(InvalidPluginRef), "{text}");
        }
    }
}
