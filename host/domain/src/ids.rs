//! Identifiers and names. Each is opaque and parsed where it enters; identifiers are prefixed, so that a log line says
//! what it names, and sort by the time of their creation.
use std::fmt;
use std::str::FromStr;

/// Why a text is not an identifier or a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The prefix that says what is named is missing.
    #[error("it does not start with `{expected}`")]
    Prefix {
        /// The prefix.
        expected: &'static str,
    },
    /// The part after the prefix has another length.
    #[error("it has {found} characters after its prefix, not {expected}")]
    Length {
        /// Characters wanted.
        expected: usize,
        /// Characters found.
        found: usize,
    },
    /// A character that does not belong there.
    #[error("it has a character other than {allowed}")]
    Alphabet {
        /// The characters that may occur, in words.
        allowed: &'static str,
    },
    /// Empty, or longer than it may be.
    #[error("it has {found} characters, not 1 to {max}")]
    Size {
        /// Most characters allowed.
        max: usize,
        /// Characters found.
        found: usize,
    },
    /// The first character is not a letter.
    #[error("it does not start with a lower-case letter")]
    Start,
}

const HEX: &str = "digits and the letters a to f";

/// Length of an identifier after its prefix: a UUID (version 7) in hexadecimal.
pub const ID_BODY_LEN: usize = 32;

fn parse_hex(text: &str, prefix: &'static str, len: usize) -> Result<Box<str>, InvalidId> {
    let body = text.strip_prefix(prefix).ok_or(InvalidId::Prefix { expected: prefix })?;
    if body.len() != len {
        return Err(InvalidId::Length { expected: len, found: body.chars().count() });
    }
    if !body.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return Err(InvalidId::Alphabet { allowed: HEX });
    }
    Ok(text.into())
}

fn parse_name(
    text: &str,
    len_max: usize,
    extra: u8,
    allowed: &'static str,
) -> Result<Box<str>, InvalidId> {
    if text.is_empty() || text.len() > len_max {
        return Err(InvalidId::Size { max: len_max, found: text.chars().count() });
    }
    if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(InvalidId::Start);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == extra)
    {
        return Err(InvalidId::Alphabet { allowed });
    }
    Ok(text.into())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let parse: fn(&str) -> Result<Box<str>, InvalidId> = $parse;
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

text_type! {
    /// Names one run, e.g. `run_01939f2e7c3a7b2c9d4e5f6071829304`.
    RunId, |text| parse_hex(text, RunId::PREFIX, ID_BODY_LEN)
}
text_type! {
    /// Names one question to a person at a gate, e.g. `appr_01939f2e7c3a7b2c9d4e5f6071829304`.
    ApprovalId, |text| parse_hex(text, ApprovalId::PREFIX, ID_BODY_LEN)
}
text_type! {
    /// Names one model call, e.g. `call_01939f2e7c3a7b2c9d4e5f6071829304`.
    CallId, |text| parse_hex(text, CallId::PREFIX, ID_BODY_LEN)
}
text_type! {
    /// A SHA-256 digest of some bytes: `sha256:` and 64 hexadecimal digits.
    Digest, |text| parse_hex(text, Digest::PREFIX, 64)
}
text_type! {
    /// The name of a stage within its profile, e.g. `brand-voice`; at most 64 characters.
    StageKey, |text| parse_name(text, 64, b'-', "lower-case letters, digits and `-`")
}
text_type! {
    /// The name of a profile, e.g. `foundation_stack`; at most 64 characters.
    Mode, |text| parse_name(text, 64, b'_', "lower-case letters, digits and `_`")
}
text_type! {
    /// The name of a context variable, e.g. `positioning_statement`; at most 64 characters.
    VariableName, |text| parse_name(text, 64, b'_', "lower-case letters, digits and `_`")
}

impl RunId {
    /// What every identifier of a run starts with.
    pub const PREFIX: &str = "run_";
}

impl ApprovalId {
    /// What every identifier of an approval starts with.
    pub const PREFIX: &str = "appr_";
}

impl CallId {
    /// What every identifier of a model call starts with.
    pub const PREFIX: &str = "call_";
}

impl Digest {
    /// What every digest starts with.
    pub const PREFIX: &str = "sha256:";

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0[Self::PREFIX.len()..]
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "01939f2e7c3a7b2c9d4e5f6071829304";

    #[test]
    fn an_id_keeps_its_text() {
        let id: RunId = format!("run_{BODY}").parse().unwrap();
        assert_eq!(id.to_string(), format!("run_{BODY}"));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        assert_eq!(
            format!("appr_{BODY}").parse::<RunId>(),
            Err(InvalidId::Prefix { expected: "run_" })
        );
    }

    #[test]
    fn a_path_is_no_id() {
        assert_eq!(
            "run_../../../../../../../../etc/passwd".parse::<RunId>(),
            Err(InvalidId::Length { expected: 32, found: 34 })
        );
        assert_eq!(
            "run_../../../../../../../../../ab/..".parse::<RunId>(),
            Err(InvalidId::Alphabet { allowed: HEX })
        );
    }

    #[test]
    fn names_are_bounded_and_start_with_a_letter() {
        assert!("brand-voice".parse::<StageKey>().is_ok());
        assert_eq!("-voice".parse::<StageKey>(), Err(InvalidId::Start));
        assert_eq!("".parse::<Mode>(), Err(InvalidId::Size { max: 64, found: 0 }));
        assert!("brand-voice".parse::<Mode>().is_err());
    }
}
