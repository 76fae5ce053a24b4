//! Reads answers: bounded in size, and in the time between two pieces.
use reqwest::Response;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::RegistryError;
use super::artifact::{Announced, finished};
use super::transfer::{Conversation, place};
use crate::redact::Secrets;

/// Longest part of a registry's own words that is quoted, in bytes.
const WORDS_BYTES_MAX: usize = 300;
/// Largest body of a refusal that is read, in bytes.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;

/// The body of a refusal, as the distribution specification has it.
#[derive(Deserialize)]
struct Refusal {
    errors: Vec<RefusalItem>,
}

#[derive(Deserialize)]
struct RefusalItem {
    code: String,
    #[serde(default)]
    message: Option<String>,
}

/// What somebody else wrote, fit for a message.
pub(super) fn quotable(secrets: &Secrets, text: &str) -> String {
    secrets.quotable(text, WORDS_BYTES_MAX)
}

impl Conversation<'_> {
    /// A body of at most so many bytes.
    pub(super) async fn whole(
        &self,
        mut response: Response,
        what: &'static str,
        bytes_max: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let too_large = || RegistryError::TooLarge { what, bytes_max };
        if response.content_length().is_some_and(|len| len > bytes_max) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(piece) = self.next_piece(&mut response).await? {
            if (bytes.len() + piece.len()) as u64 > bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// A body that is what was announced, byte by byte. Ends at the first byte too many.
    pub(super) async fn announced(
        &self,
        mut response: Response,
        announced: &Announced,
    ) -> Result<Vec<u8>, RegistryError> {
        let wrong_size = |found: u64| RegistryError::WrongSize {
            what: announced.what,
            expected: announced.size_bytes,
            found,
        };
        let mut bytes = Vec::new();
        let mut hasher = Sha256::new();
        while let Some(piece) = self.next_piece(&mut response).await? {
            let len = (bytes.len() + piece.len()) as u64;
            if len > announced.size_bytes {
                return Err(wrong_size(len));
            }
            hasher.update(&piece);
            bytes.extend_from_slice(&piece);
        }
        if (bytes.len() as u64) < announced.size_bytes {
            return Err(wrong_size(bytes.len() as u64));
        }
        let found = finished(hasher);
        if found != announced.digest {
            let expected = announced.digest.clone();
            return Err(RegistryError::WrongDigest { what: announced.what, expected, found });
        }
        Ok(bytes)
    }

    async fn next_piece(
        &self,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>, RegistryError> {
        let silence_max = self.registry.patience.silence_max;
        match tokio::time::timeout(silence_max, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => {
                let host = place(response.url());
                Err(self.unreachable(&host, error))
            }
            Err(_) => Err(RegistryError::TimedOut {
                registry: self.host(),
                what: "has not sent more of its answer",
                time_max: silence_max,
            }),
        }
    }

    /// What an answer means that is not the one that was hoped for.
    pub(super) async fn refusal(
        &self,
        response: Response,
        doing: &'static str,
        what: &str,
    ) -> RegistryError {
        let status = response.status().as_u16();
        if !self.is_own(response.url()) {
            // What a storage host says is of no use to anybody, and says nothing about whoever asks.
            let words = ", which comes from another host that it leads to".to_owned();
            return RegistryError::Status { registry: self.host(), doing, status, words };
        }
        let words = self.words(response).await;
        match status {
            401 => self.unaccepted(),
            403 => RegistryError::Denied { registry: self.host(), words },
            404 => RegistryError::NotFound { what: what.to_owned(), words },
            status => RegistryError::Status { registry: self.host(), doing, status, words },
        }
    }

    async fn words(&self, response: Response) -> String {
        let body = self.whole(response, "a refusal", REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let Ok(refusal) = serde_json::from_slice::<Refusal>(&body) else { return String::new() };
        let said = refusal.errors.into_iter().map(|item| match item.message {
            Some(message) => format!("{} ({message})", item.code),
            None => item.code,
        });
        let said = said.collect::<Vec<_>>().join(", ");
        match quotable(&self.secrets, &said) {
            words if words.is_empty() => words,
            words => format!(": {words}"),
        }
    }
}
