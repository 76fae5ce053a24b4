//! One call: tries and waits within one deadline.
use std::sync::Arc;
use std::time::Duration;

use domain::model::{Completion, FinishReason, ModelError, ModelErrorKind, Usage};
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{Answer, Read};
use super::dialect::{Dialect, Lasts};
use super::error::in_words;
use super::refusal::{Again, Refusal, understand};
use super::{Server, transfer, wait, wire};
use crate::question::{Answered, BrokenOff, Delta, Question, Timing};
use crate::tokens;

/// Header with which OpenAI and others recognize the second copy of one request.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

type Deltas<'a> = &'a (dyn Fn(Delta) + Send + Sync);

/// Asks, retries what may be retried, and gives what came of it. Dropping the future closes the connection.
pub(crate) async fn ask(server: &Server, question: &Question, deltas: Deltas<'_>) -> Answered {
    let started = Instant::now();
    let time_max = question.time_max.min(server.bounds.call_time_max);
    let mut call = Call {
        server,
        question,
        deltas,
        started,
        deadline: started + time_max,
        tries: 0,
        first_token: None,
        last_failure: None,
        answer: Answer::default(),
    };
    let ended = match timeout_at(call.deadline, call.answered()).await {
        Ok(ended) => ended,
        Err(_) => Err(call.out_of_time(time_max)),
    };
    let timing = Timing {
        first_token_ms: call.first_token.map(in_ms),
        total_ms: in_ms(started.elapsed()),
        tries: call.tries,
    };
    let (answer, deadline) = (call.answer, call.deadline);
    match ended {
        Ok(()) => {
            let completion = completed(question, answer, deadline).await;
            Answered { outcome: Ok(completion), timing, broken_off: None }
        }
        Err(error) => {
            let broken_off = match answer.has_begun() {
                true => Some(broken_off(question, answer, deadline).await),
                false => None,
            };
            Answered { outcome: Err(error), timing, broken_off }
        }
    }
}

struct Call<'a> {
    server: &'a Server,
    question: &'a Question,
    deltas: Deltas<'a>,
    started: Instant,
    deadline: Instant,
    tries: u32,
    first_token: Option<Duration>,
    last_failure: Option<String>,
    answer: Answer,
}

/// Why a try gave no answer.
enum TryFailed {
    For(Refusal),
    /// The server does not understand a part of the request that can be left out.
    Speaks(Dialect),
}

impl From<ModelError> for TryFailed {
    fn from(error: ModelError) -> Self {
        TryFailed::For(Refusal { error, again: Again::Never })
    }
}

impl Call<'_> {
    async fn answered(&mut self) -> Result<(), ModelError> {
        let mut dialect = self.server.dialect(&self.question.route.model);
        let mut failed_tries = 0;
        loop {
            self.tries += 1;
            match self.try_once(dialect).await {
                Ok(()) => return Ok(()),
                Err(TryFailed::Speaks(other)) => dialect = other,
                Err(TryFailed::For(Refusal { error, again: Again::Never })) => return Err(error),
                Err(TryFailed::For(Refusal { error, again: Again::After(asked) })) => {
                    failed_tries += 1;
                    self.wait_after(error, asked, failed_tries).await?;
                }
            }
        }
    }

    /// Waits before another try, or gives the error back if there is no try or no time left.
    async fn wait_after(
        &mut self,
        error: ModelError,
        asked: Option<Duration>,
        failed_tries: u32,
    ) -> Result<(), ModelError> {
        let bounds = &self.server.bounds;
        if failed_tries >= bounds.tries_max {
            return Err(error);
        }
        let wait = asked.unwrap_or_else(|| wait::random(bounds.retry_wait, failed_tries));
        if wait >= self.deadline.saturating_duration_since(Instant::now()) {
            // A wait that cannot end in a try is no use to anybody.
            return Err(error);
        }
        tracing::debug!(
            provider = self.server.name,
            failed_tries,
            wait_ms = in_ms(wait),
            "provider `{}` is asked again: {}",
            self.server.name,
            error.message
        );
        (self.deltas)(Delta::Retrying {
            try_number: self.tries + 1,
            wait_ms: in_ms(wait),
            cause: error.message.clone(),
        });
        self.last_failure = Some(error.message);
        sleep(wait).await;
        Ok(())
    }

    async fn try_once(&mut self, dialect: Dialect) -> Result<(), TryFailed> {
        let server = self.server;
        let first_token_until = Instant::now() + server.bounds.first_token_time_max;
        let sending = self.request(dialect)?.send();
        let sent = transfer::before_first_token(server, first_token_until, sending).await?;
        let response = sent.map_err(|error| {
            // Nothing was answered. A request that was sent and lost is what the idempotency key is for.
            let again = if error.is_builder() { Again::Never } else { Again::After(None) };
            TryFailed::For(Refusal { error: server.unreachable(error), again })
        })?;
        if response.status().is_success() {
            self.read(response, first_token_until).await?;
            return Ok(());
        }
        Err(self.refused(response, dialect).await)
    }

    fn request(&self, dialect: Dialect) -> Result<reqwest::RequestBuilder, ModelError> {
        let server = self.server;
        let asked = &self.question.request;
        let body = wire::body(asked, &self.question.route.model, dialect).map_err(|error| {
            server.error(
                ModelErrorKind::Rejected,
                &format!("was not asked, because {error}"),
                "correct the stage that asks",
            )
        })?;
        let client = server.client().map_err(|detail| {
            server.error(
                ModelErrorKind::Unavailable,
                &format!("was not asked, because {detail}"),
                "check the system's certificates",
            )
        })?;
        Ok(client
            .post(server.endpoint("chat/completions"))
            .header("content-type", "application/json")
            .header("accept", "text/event-stream, application/json")
            .header(IDEMPOTENCY_KEY, dialect.keyed(&self.question.idempotency_key))
            .headers(server.headers())
            .body(body))
    }

    async fn read(
        &mut self,
        response: reqwest::Response,
        first_token_until: Instant,
    ) -> Result<(), ModelError> {
        let (deltas, started, first_token) = (self.deltas, self.started, &mut self.first_token);
        let mut on_read = |read| {
            first_token.get_or_insert_with(|| started.elapsed());
            deltas(match read {
                Read::Text(text) => Delta::Text(text),
                Read::Reasoning(text) => Delta::Reasoning(text),
            });
        };
        transfer::read_answer(
            self.server,
            response,
            first_token_until,
            &mut self.answer,
            &mut on_read,
        )
        .await
    }

    async fn refused(&self, response: reqwest::Response, dialect: Dialect) -> TryFailed {
        let (status, headers) = (response.status(), response.headers().clone());
        let words = transfer::read_refusal(self.server, response).await;
        let refusal = understand(self.server, status, &headers, &words);
        let is_about_the_form =
            matches!(status.as_u16(), 400 | 422) && refusal.error.kind == ModelErrorKind::Rejected;
        let options = &self.question.request.options;
        let change = dialect.change_after(options, &words).filter(|_| is_about_the_form);
        let Some((change, lasts)) = change else {
            return TryFailed::For(refusal);
        };
        if lasts == Lasts::ForTheModel {
            self.server.remember(&self.question.route.model, change);
        }
        tracing::debug!(
            provider = self.server.name,
            "provider `{}` is asked in another form: {}",
            self.server.name,
            refusal.error.message
        );
        TryFailed::Speaks(dialect.with(change))
    }

    fn out_of_time(&self, time_max: Duration) -> ModelError {
        let mut what = format!("did not answer within {}", in_words(time_max));
        if let Some(failure) = &self.last_failure {
            what.push_str(&format!(" (the try before failed: {failure})"));
        }
        self.server
            .timeout(&what, "raise `model_call_s`, or the time that the profile gives a call")
    }
}

async fn completed(question: &Question, mut answer: Answer, deadline: Instant) -> Completion {
    let usage = usage_of(question, &mut answer, deadline).await;
    Completion {
        content: answer.content,
        finish_reason: answer.finish_reason.unwrap_or(FinishReason::Stop),
        model: answer.model.unwrap_or_else(|| question.route.model.clone()),
        usage,
        cost_nano_usd: None,
    }
}

async fn broken_off(question: &Question, mut answer: Answer, deadline: Instant) -> BrokenOff {
    let usage = usage_of(question, &mut answer, deadline).await;
    BrokenOff { content: answer.content, usage, cost_nano_usd: None }
}

/// What the provider counted; what it did not count is estimated here.
async fn usage_of(question: &Question, answer: &mut Answer, deadline: Instant) -> Usage {
    let told = answer.usage.take().unwrap_or_default().into_usage();
    if told.input_tokens.is_some() && told.output_tokens.is_some() {
        return told;
    }
    let estimate = estimated(question, answer, deadline).await;
    Usage {
        input_tokens: told.input_tokens.or(estimate.input_tokens),
        output_tokens: told.output_tokens.or(estimate.output_tokens),
        cached_tokens: told.cached_tokens,
        reasoning_tokens: told.reasoning_tokens.or(estimate.reasoning_tokens),
        source: estimate.source,
    }
}

/// Counting computes, so it gets a thread of its own, and it ends with the call: a long answer may take seconds.
async fn estimated(question: &Question, answer: &mut Answer, deadline: Instant) -> Usage {
    let request = Arc::clone(&question.request);
    let (content, reasoning) = (answer.content.clone(), std::mem::take(&mut answer.reasoning));
    let by_size = tokens::estimate_by_size(&request, &content, &reasoning);
    if Instant::now() >= deadline {
        return by_size;
    }
    let counting = move || tokens::estimate_until(&request, &content, &reasoning, deadline);
    match timeout_at(deadline, tokio::task::spawn_blocking(counting)).await {
        Ok(Ok(Some(counted))) => counted,
        // The time is up, or the runtime shuts down.
        Ok(Ok(None) | Err(_)) | Err(_) => by_size,
    }
}

fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use domain::model::{Message, ModelOptions, ModelRequest, Role, UsageSource};

    use super::*;
    use crate::question::Route;

    #[tokio::test]
    async fn what_an_answer_used_is_told_in_time_and_marked_as_estimated() {
        let message = Message { role: Role::User, content: "b".repeat(4_000) };
        let question = Question {
            route: Route { provider: "mine".to_owned(), model: "m".to_owned() },
            request: Arc::new(ModelRequest {
                messages: vec![message],
                options: ModelOptions::default(),
                label: None,
            }),
            time_max: Duration::ZERO,
            idempotency_key: String::new(),
        };
        let answer = || Answer { content: " bees".repeat(1_000), ..Answer::default() };
        let late = usage_of(&question, &mut answer(), Instant::now()).await;
        assert_eq!((late.output_tokens, late.source), (Some(1_250), UsageSource::Estimated));
        assert_eq!(late.input_tokens, Some(1_007));
        let in_time = Instant::now() + Duration::from_secs(600);
        let counted = usage_of(&question, &mut answer(), in_time).await;
        assert_eq!((counted.output_tokens, counted.source), (Some(1_000), UsageSource::Estimated));
    }
}
