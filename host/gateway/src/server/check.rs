//! Whether a server works as configured: its list of models, then a chat of a few tokens.
use std::sync::Arc;
use std::time::Duration;

use domain::model::{
    Completion, FinishReason, Message, ModelError, ModelErrorKind, ModelOptions, ModelRequest, Role,
};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::refusal::understand;
use super::{Answer, Server, Try, in_words, transfer};
use crate::call::{self, in_ms};
use crate::question::{CheckCall, Checked, Delta, Timing};

/// Longest time for a whole check. A person waits for it; a reasoning model answers one word in a few seconds.
const CHECK_TIME_MAX: Duration = Duration::from_secs(60);
/// Room for the answer, in tokens. Some models refuse a bound below 16.
const CHECK_TOKENS_MAX: u32 = 16;
/// Models that are named when the configured one is not among them.
const NAMED_MODEL_COUNT_MAX: usize = 10;

/// What came of asking for the models.
enum Listing {
    Names(Vec<String>),
    /// The server has no such list.
    None,
    /// It failed to give it. Its chat may work all the same.
    Failed(ModelError),
}

impl Server {
    /// Asks for the models and for a few tokens. One try: a person waits, and can ask for another.
    pub(crate) async fn check(&self, model: &str) -> Result<Checked, ModelError> {
        self.check_within(model, CHECK_TIME_MAX).await
    }

    /// Names of the models; `None` if the server has no such list.
    pub(crate) async fn listed_models(&self) -> Result<Option<Vec<String>>, ModelError> {
        match self.listing().await? {
            Listing::Names(names) => Ok(Some(names)),
            Listing::None => Ok(None),
            Listing::Failed(error) => Err(error),
        }
    }

    async fn check_within(&self, model: &str, time_max: Duration) -> Result<Checked, ModelError> {
        let deadline = Instant::now() + time_max;
        let cure = format!("check {}", self.setting("base_url"));
        let too_late = |what: &str, time_max| {
            self.timeout(&format!("did not {what} within {}", in_words(time_max)), &cure)
        };
        let listing = timeout_at(deadline, self.listing()).await;
        let listing = listing.map_err(|_| too_late("list its models", time_max))??;
        let request = Arc::new(check_request());
        let asked = Try {
            model,
            request: &request,
            idempotency_key: &format!("check-{:016x}", rand::random::<u64>()),
            listener: &|_: Delta| {},
        };
        let (started, mut answer) = (Instant::now(), Answer::default());
        let tried = timeout_at(deadline, self.try_once(&asked, &mut answer)).await;
        let left = deadline.saturating_duration_since(started);
        tried
            .map_err(|_| too_late("answer", left))?
            .map_err(|failed| self.with_listed(failed.error, &listing))?;
        let latency_ms = in_ms(started.elapsed());
        let answered_model = answer.model.take().unwrap_or_else(|| model.to_owned());
        let counted = answer.told_usage().output_tokens;
        let counted = counted.map(|count| format!(" with {count} tokens")).unwrap_or_default();
        let detail = format!(
            "{} {}; `{answered_model}` answered{counted} after {latency_ms} ms",
            self.base_url(),
            listing.says_of(model),
        );
        let timing = Timing {
            queue_ms: 0,
            first_token_ms: answer.first_token_at.map(|at| in_ms(at.duration_since(started))),
            total_ms: latency_ms,
            tries: answer.request_count,
        };
        let completion = Completion {
            usage: call::used_by_size(&request, &answer),
            content: answer.content,
            finish_reason: answer.finish_reason.unwrap_or(FinishReason::Stop),
            model: answered_model.clone(),
            cost_nano_usd: None,
        };
        let call = Some(CheckCall { request, completion, timing });
        Ok(Checked { model: answered_model, latency_ms, detail, call })
    }

    /// Asks for the list. A wrong key or a server that is not there is an error.
    async fn listing(&self) -> Result<Listing, ModelError> {
        let client = self.client().map_err(|detail| self.unconnectable(detail))?;
        let until = Instant::now() + self.bounds.first_token_time_max;
        let url = format!("{}/{}", self.base_url, self.protocol.models_path());
        let sending = client.get(url).headers(self.headers.clone()).send();
        let response = transfer::before_first_token(self, until, sending)
            .await?
            .map_err(|error| self.unreachable(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            let body = transfer::read_json(self, response).await;
            return Ok(body.as_ref().and_then(model_names).map_or(Listing::None, Listing::Names));
        }
        let words = transfer::read_refusal(self, response).await;
        let error = understand(self, status, &headers, &words).error;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(error),
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => Ok(Listing::None),
            _ => Ok(Listing::Failed(error)),
        }
    }

    fn with_listed(&self, mut error: ModelError, listing: &Listing) -> ModelError {
        let Listing::Names(names) = listing else {
            return error;
        };
        if error.kind == ModelErrorKind::ModelNotFound && !names.is_empty() {
            let shown = &names[..names.len().min(NAMED_MODEL_COUNT_MAX)];
            error.message.push_str(&format!(" (it has {})", self.quoted(&shown.join(", "))));
            if names.len() > shown.len() {
                error.message.push_str(" and others");
            }
        }
        error
    }
}

impl Listing {
    fn says_of(&self, model: &str) -> &'static str {
        match self {
            Listing::Names(names) if names.iter().any(|name| name == model) => "lists the model",
            Listing::Names(_) => "does not list the model, but answers for it",
            Listing::None => "has no list of models",
            Listing::Failed(_) => "does not give its list of models",
        }
    }
}

fn check_request() -> ModelRequest {
    ModelRequest {
        messages: vec![Message {
            role: Role::User,
            content: "This is a connection check. Answer with the one word: ok".to_owned(),
        }],
        options: ModelOptions { max_tokens: Some(CHECK_TOKENS_MAX), ..ModelOptions::default() },
        label: Some("check".to_owned()),
    }
}

fn model_names(body: &Value) -> Option<Vec<String>> {
    let models = body.get("data")?.as_array()?;
    Some(models.iter().filter_map(|model| model.get("id")?.as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use model_server::{Behavior, ModelServer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{OpenAi, Provider};

    /// Short enough to run into on purpose, and enough for a list on a busy machine; all other bounds are far longer.
    const SHORT: Duration = Duration::from_millis(1_500);

    async fn checked(base_url: String) -> (ModelError, Duration) {
        let kind = OpenAi { base_url, key: None, headers: Vec::new() };
        let server = Server::parse(&Provider::openai("mine", kind, model_server::MODEL)).unwrap();
        let started = Instant::now();
        let error = server.check_within(model_server::MODEL, SHORT).await.unwrap_err();
        (error, started.elapsed())
    }

    #[tokio::test]
    async fn a_list_without_end_runs_into_the_bound_of_the_check() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let serving = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _ = connection.read(&mut [0; 1024]).await;
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
            connection.write_all(head).await.unwrap();
            std::future::pending::<()>().await;
        };
        let (error, elapsed) = tokio::select! {
            checked = checked(base_url) => checked,
            () = serving => unreachable!("it serves for ever"),
        };
        assert_eq!(error.kind, ModelErrorKind::Timeout);
        assert!(error.message.contains("did not list its models within 1500 ms"), "{error:?}");
        assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
    }

    #[tokio::test]
    async fn the_chat_has_what_the_list_left_of_the_time() {
        let server = ModelServer::start().await;
        server.otherwise(Behavior::Hang);
        let (error, elapsed) = checked(server.base_url()).await;
        assert_eq!((error.kind, server.count()), (ModelErrorKind::Timeout, 1));
        assert!(error.message.contains("did not answer within"), "{error:?}");
        assert!(!error.message.contains("within 1500 ms"), "{error:?}");
        assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
    }
}
