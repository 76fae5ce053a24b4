//! What a person calls a plugin of this host: everything that a profile can say, and the beginning of a digest.
//!
//! Profiles need the whole digest: what is the only one today may be one of two tomorrow.
use std::str::FromStr;

use crate::Digest;
use crate::plan::{InvalidPluginRef, PluginRef, is_digits_of_digest};
use crate::port::{PluginCatalog, PluginError};
use crate::upload::UploadError;

/// A plugin as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedPlugin {
    /// As in a profile.
    Whole(PluginRef),
    /// `sha256:` and the first digits, at least eight.
    Beginning(String),
    /// A name whose letters may also be the first digits of a digest, e.g. `bb8fc0cd`.
    NameOrBeginning(String),
}

impl FromStr for AskedPlugin {
    type Err = InvalidPluginRef;

    fn from_str(text: &str) -> Result<Self, InvalidPluginRef> {
        let digits = text.strip_prefix(Digest::PREFIX).unwrap_or(text);
        match text.parse() {
            Ok(PluginRef::Name(name)) if is_digits_of_digest(&name) => {
                Ok(AskedPlugin::NameOrBeginning(name))
            }
            Ok(reference) => Ok(AskedPlugin::Whole(reference)),
            Err(_) if is_digits_of_digest(digits) => {
                Ok(AskedPlugin::Beginning(format!("{}{digits}", Digest::PREFIX)))
            }
            // That a profile needs all digits is none of this person's business.
            Err(_) => Err(InvalidPluginRef::Form),
        }
    }
}

impl AskedPlugin {
    /// What it means on this host. Blocks.
    ///
    /// # Errors
    /// [`PluginError::Unknown`] if no digest begins so, [`UploadError::Ambiguous`] if several do.
    pub fn meant(self, catalog: &dyn PluginCatalog) -> Result<PluginRef, UploadError> {
        match self {
            AskedPlugin::Whole(reference) => Ok(reference),
            AskedPlugin::Beginning(beginning) => {
                let unknown =
                    || PluginError::Unknown { asked: beginning.clone(), known: Vec::new() };
                begun(catalog, &beginning)?.ok_or_else(|| unknown().into())
            }
            AskedPlugin::NameOrBeginning(name) => {
                let reference = PluginRef::Name(name.clone());
                match catalog.find(&reference, None) {
                    Err(unknown @ PluginError::Unknown { .. }) => {
                        let beginning = format!("{}{name}", Digest::PREFIX);
                        begun(catalog, &beginning)?.ok_or_else(|| unknown.into())
                    }
                    // Also one that cannot be used: it has the name.
                    Ok(_) | Err(PluginError::Unfit { .. } | PluginError::Io { .. }) => {
                        Ok(reference)
                    }
                }
            }
        }
    }
}

/// The only plugin whose digest begins so.
fn begun(catalog: &dyn PluginCatalog, beginning: &str) -> Result<Option<PluginRef>, UploadError> {
    let mut candidates = catalog.digests();
    candidates.retain(|digest| digest.as_str().starts_with(beginning));
    match candidates.len() {
        0 => Ok(None),
        1 => Ok(Some(PluginRef::Digest(candidates.swap_remove(0)))),
        _ => Err(UploadError::Ambiguous {
            asked: beginning.to_owned(),
            candidates: candidates.iter().map(Digest::to_string).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_can_be_begun_with_eight_digits_and_not_with_fewer() {
        let begun = |text: &str| text.parse::<AskedPlugin>();
        let beginning = Ok(AskedPlugin::Beginning("sha256:531caabe".to_owned()));
        assert_eq!(begun("sha256:531caabe"), beginning);
        let whole = format!("sha256:{}", "0".repeat(64));
        assert!(matches!(begun(&whole), Ok(AskedPlugin::Whole(PluginRef::Digest(_)))));
        assert!(matches!(begun("research"), Ok(AskedPlugin::Whole(PluginRef::Name(_)))));
        let longer = format!("{whole}0");
        for text in ["sha256:531caab", "sha256:531CAABE", "sha256:531caabg", &longer] {
            assert_eq!(begun(text), Err(InvalidPluginRef::Form), "{text}");
        }
    }

    #[test]
    fn digits_without_their_prefix_begin_a_digest_too_and_may_be_a_name_where_they_begin_with_a_letter()
     {
        let asked = |text: &str| text.parse::<AskedPlugin>();
        let beginning = Ok(AskedPlugin::Beginning("sha256:531caabe".to_owned()));
        assert_eq!(asked("531caabe"), beginning);
        assert!(matches!(asked(&"0".repeat(64)), Ok(AskedPlugin::Beginning(_))));
        assert_eq!(asked("bb8fc0cd"), Ok(AskedPlugin::NameOrBeginning("bb8fc0cd".to_owned())));
        assert!(matches!(asked("bb8fc0c"), Ok(AskedPlugin::Whole(PluginRef::Name(_)))));
        assert_eq!(asked("531caab"), Err(InvalidPluginRef::Form));
    }
}
