//! One try: a request, and either its answer or what came instead.
use std::time::Duration;

use domain::model::{ModelError, ModelErrorKind, ModelRequest};
use reqwest::header::HeaderName;
use tokio::time::Instant;

use super::dialect::{Dialect, Lasts};
use super::refusal::understand;
use super::{Answer, Server, transfer};
use crate::question::Listener;

/// Header with which OpenAI and others recognize the second copy of one request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Requests of one try, each in another form. A dialect loses one feature after the other and has eight of them.
const FORM_COUNT_MAX: u32 = 10;

/// What is asked.
pub(crate) struct Try<'a> {
    pub(crate) model: &'a str,
    pub(crate) request: &'a ModelRequest,
    pub(crate) idempotency_key: &'a str,
    pub(crate) listener: &'a dyn Listener,
}

/// Why a try gave no answer.
#[derive(Debug)]
pub(crate) struct TryFailed {
    pub(crate) error: ModelError,
    /// Whether the same request may be sent again.
    pub(crate) again: Again,
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// After the wait that the server asks for, or else after one of ours.
    After(Option<Duration>),
}

impl From<ModelError> for TryFailed {
    fn from(error: ModelError) -> Self {
        TryFailed { error, again: Again::Never }
    }
}

/// What became of one request.
enum Outcome {
    Answered,
    Failed(TryFailed),
    /// The server does not understand a part of the request that can be left out.
    Speaks(Dialect, TryFailed),
}

impl Server {
    /// Asks once. Waits at most for the silences that the provider's bounds allow; whoever asks drops the future when
    /// the time of the call is over, which closes the connection. A failure after which the same may be asked again
    /// leaves nothing in `answer` but the number of requests.
    pub(crate) async fn try_once(
        &self,
        asked: &Try<'_>,
        answer: &mut Answer,
    ) -> Result<(), TryFailed> {
        let mut dialect = self.dialect(asked.model);
        for form_number in 1.. {
            answer.request_count += 1;
            match self.request_once(asked, dialect, answer).await {
                Outcome::Answered => return Ok(()),
                Outcome::Speaks(other, _) if form_number < FORM_COUNT_MAX => dialect = other,
                Outcome::Speaks(_, failed) | Outcome::Failed(failed) => {
                    if failed.again != Again::Never {
                        answer.forget();
                    }
                    return Err(failed);
                }
            }
        }
        unreachable!("the last form fails or answers")
    }

    async fn request_once(
        &self,
        asked: &Try<'_>,
        dialect: Dialect,
        answer: &mut Answer,
    ) -> Outcome {
        match self.exchange(asked, dialect, answer).await {
            Ok(outcome) => outcome,
            Err(failed) => Outcome::Failed(failed),
        }
    }

    async fn exchange(
        &self,
        asked: &Try<'_>,
        dialect: Dialect,
        answer: &mut Answer,
    ) -> Result<Outcome, TryFailed> {
        let first_token_until = Instant::now() + self.bounds.first_token_time_max;
        let sending = self.request(asked, dialect)?.send();
        let sent = transfer::before_first_token(self, first_token_until, sending).await?;
        let response = sent.map_err(|error| {
            // Nothing was answered. A request that was sent and lost is what the idempotency key is for.
            let again = if error.is_builder() { Again::Never } else { Again::After(None) };
            TryFailed { error: self.unreachable(error), again }
        })?;
        if !response.status().is_success() {
            return Ok(self.refused(response, asked, dialect).await);
        }
        answer.accepted = true;
        transfer::read_answer(self, response, first_token_until, answer, asked.listener).await?;
        Ok(Outcome::Answered)
    }

    fn request(
        &self,
        asked: &Try<'_>,
        dialect: Dialect,
    ) -> Result<reqwest::RequestBuilder, ModelError> {
        let body = self.protocol.body(asked, dialect).map_err(|error| {
            self.error(
                ModelErrorKind::Rejected,
                &format!("was not asked, because {error}"),
                "correct the stage that asks",
            )
        })?;
        let client = self.client().map_err(|detail| self.unconnectable(detail))?;
        Ok(client
            .post(self.ask_url.clone())
            .header(IDEMPOTENCY_KEY, dialect.keyed(asked.idempotency_key))
            .headers(self.headers.clone())
            .body(body))
    }

    async fn refused(
        &self,
        response: reqwest::Response,
        asked: &Try<'_>,
        dialect: Dialect,
    ) -> Outcome {
        let (status, headers) = (response.status(), response.headers().clone());
        let words = transfer::read_refusal(self, response).await;
        let failed = understand(self, status, &headers, &words);
        let is_about_the_form = matches!(status.as_u16(), 400 | 422);
        let (options, kind) = (&asked.request.options, failed.error.kind);
        let change = self
            .protocol
            .change_after(dialect, options, kind, &words)
            .filter(|_| is_about_the_form);
        let Some((change, lasts)) = change else {
            return Outcome::Failed(failed);
        };
        if lasts == Lasts::ForTheModel {
            self.remember(asked.model, change);
        }
        tracing::debug!(
            provider = self.name,
            "provider `{}` is asked in another form: {}",
            self.name,
            failed.error.message
        );
        Outcome::Speaks(dialect.with(change), failed)
    }
}
