//! Error messages: who, where, what, and what to do about it.
use std::error::Error as _;
use std::time::Duration;

use domain::model::{ModelError, ModelErrorKind};

use super::{PROVIDER_WORDS_BYTES_MAX, Server};

impl Server {
    /// Puts a message together. `what` goes on after the provider's name; `cure` is one imperative sentence.
    pub(crate) fn error(&self, kind: ModelErrorKind, what: &str, cure: &str) -> ModelError {
        let message = format!("provider `{}` ({}) {what}; {cure}", self.name, self.base_url());
        ModelError { kind, message }
    }

    /// What somebody else wrote, fit for a message.
    pub(super) fn quoted(&self, words: &str) -> String {
        self.secrets.quotable(words, PROVIDER_WORDS_BYTES_MAX)
    }

    pub(super) fn bad_response(&self, what: &str) -> ModelError {
        let cure = format!(
            "check that {} is the address of a server that speaks {}",
            self.setting("base_url"),
            self.protocol.spoken()
        );
        self.error(ModelErrorKind::BadResponse, what, &cure)
    }

    pub(super) fn broke_off(&self, what: &str) -> ModelError {
        self.error(ModelErrorKind::Unavailable, what, "try again later")
    }

    /// It took too long. `otherwise` is what else helps, as an imperative.
    pub(crate) fn timeout(&self, what: &str, otherwise: &str) -> ModelError {
        let cure = format!("try again later, or {otherwise}");
        self.error(ModelErrorKind::Timeout, what, &cure)
    }

    /// The request did not get through.
    pub(super) fn unreachable(&self, error: reqwest::Error) -> ModelError {
        let what = format!("cannot be reached: {}", self.quoted(&chain(error)));
        let cure = format!(
            "check that it is running, that the network is up, and {}",
            self.setting("base_url")
        );
        self.error(ModelErrorKind::Unavailable, &what, &cure)
    }

    /// No connection could be tried.
    pub(super) fn unconnectable(&self, detail: &str) -> ModelError {
        self.error(
            ModelErrorKind::Unavailable,
            &format!("was not asked, because {detail}"),
            "check the system's certificates",
        )
    }

    /// The place where a person sets what a message is about.
    pub(super) fn setting(&self, setting: &str) -> String {
        let environment = match (self.name.as_str(), setting) {
            ("kimi" | "openai" | "anthropic", "base_url") => Some("BASE_URL"),
            ("kimi" | "openai" | "anthropic", "key") => Some("API_KEY"),
            ("kimi" | "openai" | "anthropic", "model") => Some("MODEL"),
            _ => None,
        };
        match environment {
            Some(suffix) => format!("`{}_{suffix}`", self.name.to_uppercase()),
            None => format!("`providers.{}.{setting}`", self.name),
        }
    }
}

/// The causes of an error: the outermost only say that something failed. Of a connection that was not made, the
/// innermost says all there is to know.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if error.is_connect() {
        return causes.pop().expect("there is the error itself");
    }
    let mut text = String::new();
    for cause in causes {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// A time for a message: `250 ms`, `30 s`.
pub(crate) fn in_words(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}
