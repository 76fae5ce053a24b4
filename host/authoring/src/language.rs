//! The languages in which a plugin can be begun.
use std::fmt;
use std::str::FromStr;

/// A language with a template and a tool that makes components of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// `cargo` for `wasm32-wasip2`.
    Rust,
    /// `componentize-js` from npm.
    JavaScript,
    /// `componentize-py` from PyPI.
    Python,
}

impl Language {
    /// Every language, the usual one first.
    pub const ALL: [Language; 3] = [Language::Rust, Language::JavaScript, Language::Python];

    /// As it is said on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::JavaScript => "js",
            Language::Python => "python",
        }
    }

    /// What people say just as well.
    fn also_called(self) -> Option<&'static str> {
        match self {
            Language::Rust => None,
            Language::JavaScript => Some("javascript"),
            Language::Python => Some("py"),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_named = |language: &Self| {
            language.as_str() == text || language.also_called().is_some_and(|name| name == text)
        };
        Self::ALL.into_iter().find(is_named).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|language| language.as_str()).collect();
            format!("no language `{text}`: there are {}", known.join(", "))
        })
    }
}
