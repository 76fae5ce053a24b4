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

#[cfg(test)]
mod tests {
    use model_server::{After, Behavior, ModelServer};

    use super::*;

    /// A server takes messages as it takes questions.
    fn webhook_of(server: &ModelServer) -> Webhook {
        Webhook::new(&format!("{}/chat/completions?token=secret", server.base_url())).unwrap()
    }

    #[test]
    fn an_address_is_absolute_and_of_the_web() {
        for address in ["https://example.com/hook?key=1", "http://127.0.0.1:1/"] {
            assert!(Webhook::new(address).is_ok(), "{address}");
        }
        for address in ["", "example.com/hook", "/hook", "ftp://example.com/", "https://", "a b"] {
            assert_eq!(Webhook::new(address).err(), Some(InvalidWebhook), "{address}");
        }
    }

    #[tokio::test]
    async fn a_message_is_posted_as_json_under_its_name() {
        let server = ModelServer::start().await;
        server.push(Behavior::status(204, ""));
        let outgoing = Outgoing::open().unwrap();
        let json = r#"{"type":"gate_reminder"}"#.to_owned();
        webhook_of(&server).post(&outgoing, "appr_1/2", json).await.unwrap();

        let requests = server.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].header("content-type"), Some("application/json"));
        assert_eq!(requests[0].header("idempotency-key"), Some("appr_1/2"));
        assert_eq!(requests[0].body["type"], "gate_reminder");
    }

    #[tokio::test]
    async fn why_a_message_did_not_arrive_is_said_without_the_address() {
        let server = ModelServer::start().await;
        let webhook = webhook_of(&server);
        let outgoing = Outgoing::open().unwrap();
        server.push(Behavior::status(302, ""));
        let refused = webhook.post(&outgoing, "appr_1/1", "{}".to_owned()).await.unwrap_err();
        assert_eq!(refused, WebhookError::Status(302), "no redirect is followed");

        let long = "x".repeat(ANSWER_BYTES_MAX + 1);
        server.push(Behavior::raw_then("text/plain", long, After::Hang));
        let long = webhook.post(&outgoing, "appr_1/1", "{}".to_owned()).await.unwrap_err();
        assert!(matches!(long, WebhookError::Outgoing(OutgoingError::AnswerTooLong { .. })));

        drop(server);
        let gone = webhook.post(&outgoing, "appr_1/1", "{}".to_owned()).await.unwrap_err();
        assert!(!gone.to_string().contains("secret"), "{gone}");
    }
}
