//! Whether a server works as configured: its list of models, then a chat of a few tokens.
use std::sync::Arc;
use std::time::Duration;

use domain::model::{Message, ModelError, ModelErrorKind, ModelOptions, ModelRequest, Role};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::error::in_words;
use super::refusal::understand;
use super::{Server, call, transfer};
use crate::question::{Checked, Question, Route};

/// Longest time for a whole check. A person waits for it; a reasoning model answers one word in a few seconds.
const CHECK_TIME_MAX: Duration = Duration::from_secs(60);
/// Room for the answer, in tokens. Some models refuse a bound below 16.
const CHECK_TOKENS_MAX: u32 = 16;
/// Models that are named when the configured one is not among them.
const NAMED_MODEL_COUNT_MAX: usize = 10;

pub(crate) async fn check(server: &Server, model: &str) -> Result<Checked, ModelError> {
    check_within(server, model, CHECK_TIME_MAX).await
}

async fn check_within(
    server: &Server,
    model: &str,
    time_max: Duration,
) -> Result<Checked, ModelError> {
    let deadline = Instant::now() + time_max;
    let listing = timeout_at(deadline, listed_models(server, deadline)).await;
    let listed = listing.map_err(|_| {
        let what = format!("did not list its models within {}", in_words(time_max));
        server.timeout(&what, &format!("check {}", server.setting("base_url")))
    })??;
    let request = ModelRequest {
        messages: vec![Message {
            role: Role::User,
            content: "This is a connection check. Answer with the one word: ok".to_owned(),
        }],
        options: ModelOptions { max_tokens: Some(CHECK_TOKENS_MAX), ..ModelOptions::default() },
        label: Some("check".to_owned()),
    };
    let question = Question {
        route: Route { provider: server.name.clone(), model: model.to_owned() },
        request: Arc::new(request),
        time_max: deadline.saturating_duration_since(Instant::now()),
        idempotency_key: format!("check-{:016x}", rand::random::<u64>()),
    };
    let answered = call::ask(server, &question, &|_| {}).await;
    let completion =
        answered.outcome.map_err(|error| with_listed(server, error, listed.as_deref()))?;
    let list = match &listed {
        Some(names) if names.iter().any(|name| name == model) => "lists the model",
        Some(_) => "does not list the model, but answers for it",
        None => "has no list of models",
    };
    let detail = format!(
        "{} {list}; `{}` answered with {} tokens after {} ms",
        server.base_url(),
        completion.model,
        completion.usage.output_tokens.unwrap_or(0),
        answered.timing.total_ms
    );
    Ok(Checked { model: completion.model, latency_ms: answered.timing.total_ms, detail })
}

/// Names of the models; `None` if the server has no such list. A wrong key or a server that is not there is an error.
async fn listed_models(
    server: &Server,
    deadline: Instant,
) -> Result<Option<Vec<String>>, ModelError> {
    let client = server.client().map_err(|detail| {
        server.error(
            ModelErrorKind::Unavailable,
            &format!("was not asked, because {detail}"),
            "check the system's certificates",
        )
    })?;
    let until = deadline.min(Instant::now() + server.bounds.first_token_time_max);
    let sending = client.get(server.endpoint("models")).headers(server.headers()).send();
    let response = transfer::before_first_token(server, until, sending)
        .await?
        .map_err(|error| server.unreachable(error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        let words = transfer::read_refusal(server, response).await;
        return Err(understand(server, status, &headers, &words).error);
    }
    if !status.is_success() {
        return Ok(None);
    }
    let body = transfer::read_json(server, response).await;
    Ok(body.as_ref().and_then(model_names))
}

fn model_names(body: &Value) -> Option<Vec<String>> {
    let models = body.get("data")?.as_array()?;
    Some(models.iter().filter_map(|model| model.get("id")?.as_str().map(str::to_owned)).collect())
}

fn with_listed(server: &Server, mut error: ModelError, listed: Option<&[String]>) -> ModelError {
    let Some(names) = listed.filter(|names| !names.is_empty()) else {
        return error;
    };
    if error.kind == ModelErrorKind::ModelNotFound {
        let shown = &names[..names.len().min(NAMED_MODEL_COUNT_MAX)];
        error.message.push_str(&format!(" (it has {})", server.quoted(&shown.join(", "))));
        if names.len() > shown.len() {
            error.message.push_str(" and others");
        }
    }
    error
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
        let provider = Provider::openai("mine", kind.clone(), model_server::MODEL);
        let server = Server::parse(&provider, &kind).unwrap();
        let started = Instant::now();
        let error = check_within(&server, model_server::MODEL, SHORT).await.unwrap_err();
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
