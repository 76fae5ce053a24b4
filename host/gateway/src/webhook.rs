//! Addresses that an operator has messages sent to.
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};

use crate::outgoing::{Outgoing, OutgoingError};

/// Longest time for one message, its answer included.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer that is read; nothing is done with it.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// An address to which messages are posted as JSON. It may hold a secret, and has no `Debug` for it.
#[derive(Clone)]
pub struct Webhook(Uri);

/// Why an address cannot be one of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an absolute `http://` or `https://` address")]
pub struct InvalidWebhook;

/// Why a message did not arrive. Names no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It could not be sent.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// Nobody answered in time.
    #[error("no answer within {} seconds", MESSAGE_TIME_MAX.as_secs())]
    Timeout,
    /// The answer is not a 2xx.
    #[error("it answered with status {0}")]
    Status(u16),
}

impl Webhook {
    /// Reads an address. Connects to nobody.
    ///
    /// # Errors
    /// [`InvalidWebhook`] if it is not an absolute `http://` or `https://` address.
    pub fn new(address: &str) -> Result<Webhook, InvalidWebhook> {
        let uri: Uri = address.parse().map_err(|_| InvalidWebhook)?;
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => {
                Ok(Webhook(uri))
            }
            _ => Err(InvalidWebhook),
        }
    }

    /// Posts JSON. `id` names the message: the same again is the same message, and whoever gets it twice can tell.
    ///
    /// # Errors
    /// [`WebhookError`] if it did not arrive. It is tried once.
    pub async fn post(
        &self,
        outgoing: &Outgoing,
        id: &str,
        json: String,
    ) -> Result<(), WebhookError> {
        let request = Request::post(self.0.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", id)
            .body(Bytes::from(json))
            .map_err(|error| OutgoingError::Failed(error.to_string()))?;
        let sending = outgoing.send(request, ANSWER_BYTES_MAX);
        let answer = tokio::time::timeout(MESSAGE_TIME_MAX, sending).await;
        let status = answer.map_err(|_| WebhookError::Timeout)??.status();
        if status.is_success() { Ok(()) } else { Err(WebhookError::Status(status.as_u16())) }
    }
}
