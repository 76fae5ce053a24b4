//! The one path of a call: cache, routes in order, breaker, limits, tries and the waits between them, fallback.
//!
//! One deadline holds for all of it, and [`Question::stop`] ends it at any point: both drop the future that works on the
//! call, which closes the connection. What had come up to there is kept outside of that future (`Call::answer`), so that
//! what was used can be told.
//!
//! Here is the frame: what came of a call is put together, priced and recorded. `call::shared` answers from the cache and
//! makes identical calls once, `call::routes` goes through the routes, `call::tries` asks one of them.
//!
//! Invariants: after a 2xx, and after the first piece was handed on, nobody is asked again. Places within the limits and
//! the breaker's leave are given back on every way out.
mod line;
mod routes;
mod shared;
mod tries;
mod usage;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use domain::model::{Completion, FinishReason, ModelError, ModelErrorKind, ModelRequest, Usage};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use crate::question::{
    AnswerSource, Answered, BrokenOff, Listener, PassedOver, Question, Route, Timing,
};
use crate::server::{Answer, in_words};
use crate::telemetry::{self, Times};
use crate::{Configured, Inner};
use line::Line;
pub(crate) use line::Lines;
use tries::OpenTry;
use usage::{COUNT_AFTER_ANSWER_MAX, COUNT_AFTER_STOP_MAX, Came};

/// A silence before the first piece that is cut off by the deadline of a call counts as a failure of the model if it was
/// at least this long. A deadline of a few milliseconds says nothing about a model.
const SILENCE_IS_FAILURE: Duration = Duration::from_secs(10);

/// No call takes longer, whatever is configured.
const TIME_LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Asks, and tells what came of it.
pub(crate) async fn ask(
    gateway: &Inner,
    question: &Question,
    listener: &dyn Listener,
    conversation: Option<&str>,
) -> Answered {
    let started = Instant::now();
    let configured = match gateway.find(&question.route.provider) {
        Ok(configured) => configured,
        Err(unknown) => {
            return Answered::refused(question.route.clone(), crate::rejected(&unknown));
        }
    };
    let span = telemetry::span(question, Some(configured.lines.place()), conversation);
    let call = Call {
        gateway,
        question,
        listener,
        started,
        deadline: after(started, question.time_max),
        route: Cow::Borrowed(&question.route),
        line: configured.lines.line(&question.route.model),
        source: AnswerSource::Provider,
        passed_over: Vec::new(),
        answer: Answer::default(),
        counted: None,
        open: None,
        queue: Duration::ZERO,
        queued_since: None,
        last_failure: None,
        too_long_wait: None,
    };
    // The span is entered with each poll: who does not listen pays a branch.
    call.run(configured, &span).instrument(span.clone()).await
}

/// A call, while it is worked on.
struct Call<'a> {
    gateway: &'a Inner,
    question: &'a Question,
    listener: &'a dyn Listener,
    started: Instant,
    deadline: Instant,
    /// Who is asked now.
    route: Cow<'a, Route>,
    line: Arc<Line>,
    source: AnswerSource,
    passed_over: Vec<PassedOver>,
    answer: Answer,
    /// What the answer used, where it is known without a provider.
    counted: Option<Usage>,
    /// The request that is being answered.
    open: Option<OpenTry>,
    queue: Duration,
    queued_since: Option<Instant>,
    last_failure: Option<String>,
    /// The call ended because its own time is shorter than this wait. Another call that can wait so long may fare better.
    too_long_wait: Option<Duration>,
}

/// How the work on a call ended.
enum Ended {
    Answered(Result<(), ModelError>),
    Stopped,
    OutOfTime,
}

impl<'a> Call<'a> {
    async fn run(mut self, configured: &'a Configured, span: &Span) -> Answered {
        let question = self.question;
        let deadline = self.deadline;
        let ended = tokio::select! {
            biased;
            () = question.stop.cancelled() => Ended::Stopped,
            ended = timeout_at(deadline, self.answered(configured)) => match ended {
                Ok(outcome) => Ended::Answered(outcome),
                Err(_) => Ended::OutOfTime,
            },
        };
        let was_queued = self.count_queue();
        let (outcome, broken_off) = match ended {
            Ended::Answered(Ok(())) => (Ok(self.completed().await), None),
            Ended::Answered(Err(error)) => {
                // A model may have worked on what was accepted, whether it then fell silent or its connection broke.
                let broke =
                    matches!(error.kind, ModelErrorKind::Timeout | ModelErrorKind::Unavailable);
                let used = self.answer.has_begun() || self.answer.accepted && broke;
                (
                    Err(error),
                    self.broken_off(used, deadline.min(soon(COUNT_AFTER_ANSWER_MAX))).await,
                )
            }
            Ended::Stopped => {
                // A request that was sent is worked on, whether or not its answer has begun.
                let used = self.answer.has_begun() || self.open.is_some();
                self.close_open_try(None);
                (Err(stopped()), self.broken_off(used, soon(COUNT_AFTER_STOP_MAX)).await)
            }
            Ended::OutOfTime => {
                let error = self.out_of_time(unanswered(was_queued));
                // A server that did not even accept the request has hardly worked on it.
                let used = self.answer.has_begun() || self.answer.accepted;
                self.close_open_try(Some(&error.message));
                (Err(error), self.broken_off(used, Instant::now()).await)
            }
        };
        self.told(outcome, broken_off, span)
    }

    /// Counts the wait for a place that is over, however it ended. Whether there was one.
    fn count_queue(&mut self) -> bool {
        let since = self.queued_since.take();
        self.queue += since.map_or(Duration::ZERO, |since| since.elapsed());
        since.is_some()
    }

    /// Gives back what the request held that was cut off. `cause`: why that may be the model's fault.
    fn close_open_try(&mut self, cause: Option<&str>) {
        let Some(open) = self.open.take() else { return };
        open.count_tries(self.answer.request_count);
        let used = usage::used_by_size(&self.came()).total_tokens();
        let has_begun = self.answer.has_begun();
        match cause.filter(|_| !has_begun && open.age() >= SILENCE_IS_FAILURE) {
            Some(cause) => open.failed(cause, used),
            None => open.ended(used),
        }
    }

    fn came(&self) -> Came<'_> {
        Came {
            request: &self.question.request,
            content: &self.answer.content,
            reasoning: &self.answer.reasoning,
            told: self.counted.unwrap_or_else(|| self.answer.told_usage()),
        }
    }

    async fn completed(&mut self) -> Completion {
        let until = self.deadline.min(soon(COUNT_AFTER_ANSWER_MAX));
        let usage = self.used(until).await;
        let answer = &mut self.answer;
        Completion {
            content: std::mem::take(&mut answer.content),
            finish_reason: answer.finish_reason.take().unwrap_or(FinishReason::Stop),
            model: answer.model.take().unwrap_or_else(|| self.route.model.clone()),
            cost_nano_usd: self.cost(&usage),
            usage,
        }
    }

    async fn broken_off(&mut self, used: bool, until: Instant) -> Option<BrokenOff> {
        if !used {
            return None;
        }
        let usage = self.used(until).await;
        let cost_nano_usd = self.cost(&usage);
        Some(BrokenOff { content: std::mem::take(&mut self.answer.content), usage, cost_nano_usd })
    }

    /// What was used, counted until then or until nobody waits any more.
    async fn used(&self, until: Instant) -> Usage {
        let stop = &self.question.stop;
        if stop.is_cancelled() {
            return usage::used(self.came(), until.min(soon(COUNT_AFTER_STOP_MAX))).await;
        }
        tokio::select! {
            used = usage::used(self.came(), until) => used,
            () = stop.cancelled() => usage::used_by_size(&self.came()),
        }
    }

    fn cost(&self, usage: &Usage) -> Option<u64> {
        match self.source {
            AnswerSource::Provider => self.gateway.cost_of(&self.route, usage),
            AnswerSource::Cache | AnswerSource::SharedCall => Some(0),
        }
    }

    fn told(
        self,
        outcome: Result<Completion, ModelError>,
        broken_off: Option<BrokenOff>,
        span: &Span,
    ) -> Answered {
        let first_token = self.answer.first_token_at.map(|at| at.duration_since(self.started));
        let times = Times { total: self.started.elapsed(), queue: self.queue, first_token };
        let timing = Timing {
            queue_ms: in_ms(times.queue),
            first_token_ms: first_token.map(in_ms),
            total_ms: in_ms(times.total),
            tries: self.answer.request_count,
        };
        let answered = Answered {
            outcome,
            timing,
            broken_off,
            route: self.route.into_owned(),
            source: self.source,
            passed_over: self.passed_over,
        };
        telemetry::record(span, &self.question.route, &answered, &times);
        self.line.meters.count_call(&answered, &times);
        answered
    }

    fn out_of_time(&self, what: &str) -> ModelError {
        let mut what = format!("{what} within {}", in_words(self.question.time_max));
        if let Some(failure) = &self.last_failure {
            what.push_str(&format!(" (the try before failed: {failure})"));
        }
        let otherwise =
            "try again later, or raise `model_call_s`, or the time that the profile gives a call";
        self.error(ModelErrorKind::Timeout, &what, otherwise)
    }

    /// Puts a message together. `what` goes on after the provider's name; `cure` is one imperative sentence.
    fn error(&self, kind: ModelErrorKind, what: &str, cure: &str) -> ModelError {
        let provider = &self.route.provider;
        let info = self.gateway.find(provider).ok().map(|configured| &configured.info);
        let base_url = info.and_then(|info| info.base_url.as_deref());
        let at = base_url.map_or(String::new(), |base_url| format!(" ({base_url})"));
        ModelError { kind, message: format!("provider `{provider}`{at} {what}; {cure}") }
    }
}

/// What a provider did whose time was over.
fn unanswered(was_queued: bool) -> &'static str {
    if was_queued { "had no place within its limits" } else { "did not answer" }
}

/// What an answer used: as told, or estimated by its size.
pub(crate) fn used_by_size(request: &Arc<ModelRequest>, answer: &Answer) -> Usage {
    usage::used_by_size(&Came {
        request,
        content: &answer.content,
        reasoning: &answer.reasoning,
        told: answer.told_usage(),
    })
}

fn stopped() -> ModelError {
    let message = "the call was stopped, because nobody waits for its answer any more".to_owned();
    ModelError { kind: ModelErrorKind::Canceled, message }
}

fn soon(time: Duration) -> Instant {
    after(Instant::now(), time)
}

/// Any time may be configured, also one that no clock can show.
fn after(start: Instant, time: Duration) -> Instant {
    start + time.min(TIME_LONGEST)
}

pub(crate) fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
