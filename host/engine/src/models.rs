//! Answers the questions of one attempt: from the journal where an answer is kept, else from a model.
//!
//! Invariant: an answer is durable before the guest sees it, and a kept answer is never asked for again.
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::model::{Completion, ModelError, ModelErrorKind, ModelRequest};
use domain::plan::ModelChoice;
use domain::port::{AskError, BoxFuture, ModelPort};
use domain::run::{CallOutcome, Command, ModelCallNote, Run};
use domain::{Fault, FaultKind, StageIdx, StageKey};
use gateway::{Answered, Delta, Question, Route};
use store::{Beside, CallAnswered, CallOrigin, CallStarted, CallTiming, Journaled};
use tokio::sync::Mutex;

use crate::budget::Budget;
use crate::lifecycle::Inner;
use crate::live::Live;
use crate::registry::RunCell;
use crate::{Error, request};

/// The port of one attempt.
pub(crate) struct AttemptModels {
    engine: Arc<Inner>,
    cell: Arc<RunCell>,
    stage: StageIdx,
    key: StageKey,
    attempt: u32,
    choice: ModelChoice,
    call_count_max: u32,
    asking: Mutex<Asking>,
    interrupted: AtomicBool,
}

/// How far the attempt has asked.
struct Asking {
    ordinal: u32,
    journal: HashMap<u32, Journaled>,
    budget: Budget,
}

impl AttemptModels {
    pub(crate) async fn open(
        engine: &Arc<Inner>,
        cell: &Arc<RunCell>,
        run: &Run,
        stage: StageIdx,
        attempt: u32,
    ) -> Result<Self, Error> {
        let planned = run.plan().stage(stage).expect("an attempt is made at a stage of the plan");
        let store = &engine.parts.store;
        let journal = store.journaled(&cell.id, &planned.key, attempt).await?;
        let asking = Asking {
            ordinal: 0,
            journal: journal.into_iter().map(|kept| (kept.ordinal, kept)).collect(),
            budget: Budget::open(store, run, stage).await?,
        };
        Ok(Self {
            engine: Arc::clone(engine),
            cell: Arc::clone(cell),
            stage,
            key: planned.key.clone(),
            attempt,
            choice: planned.model.clone(),
            call_count_max: planned.limits.model_call_count_max,
            asking: Mutex::new(asking),
            interrupted: AtomicBool::new(false),
        })
    }

    /// Whether the attempt was stopped for a reason that is not its own, so that its end means nothing.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    async fn ask_next(&self, asked: ModelRequest) -> Result<Completion, AskError> {
        // A guest asks one question at a time; the lock only makes that plain.
        let mut asking = self.asking.lock().await;
        asking.ordinal += 1;
        let ordinal = asking.ordinal;
        let digest = request::digest(&asked);
        let filled_in = request::filled_in(asked, &self.choice);
        let kept = asking.journal.remove(&ordinal);
        if let Some(kept) = &kept {
            if kept.request_digest != digest {
                return Err(AskError::Stop(self.diverged(kept, &filled_in)));
            }
            if let Some(outcome) = &kept.outcome {
                return outcome.clone().map_err(AskError::Model);
            }
        }
        if self.engine.draining.is_cancelled() {
            return Err(self.interrupt("the host is shutting down"));
        }
        let (route, request) =
            self.admitted(&asking, ordinal, filled_in).map_err(AskError::Model)?;
        let started = CallStarted {
            // A call that was in flight at a crash is the same call, asked again.
            call: kept.map_or_else(|| self.engine.parts.clock.new_call_id(), |kept| kept.call),
            origin: CallOrigin::Stage {
                run: self.cell.id.clone(),
                stage: self.key.clone(),
                attempt: self.attempt,
                ordinal,
            },
            request: Arc::new(request),
            request_digest: digest,
            provider: route.provider.clone(),
            model: route.model.clone(),
            at: self.engine.parts.clock.now(),
        };
        let outcome = self.ask_model(ordinal, route, started).await?;
        if let Ok(completion) = &outcome {
            asking.budget.count(&completion.usage, completion.cost_nano_usd);
        }
        outcome.map_err(AskError::Model)
    }

    /// Where the question goes, and the question within the bounds of the profile.
    fn admitted(
        &self,
        asking: &Asking,
        ordinal: u32,
        request: ModelRequest,
    ) -> Result<(Route, ModelRequest), ModelError> {
        if ordinal > self.call_count_max {
            let message = format!(
                "the stage may ask {} times in one attempt; raise `limits.model_calls` in the profile",
                self.call_count_max
            );
            return Err(ModelError { kind: ModelErrorKind::BudgetExhausted, message });
        }
        let gateway = &self.engine.parts.gateway;
        let ModelChoice { provider, model, .. } = &self.choice;
        let route = gateway.route(provider, Some(model)).map_err(|unknown| {
            let message = format!(
                "the run is bound to a provider that is not configured any more: {unknown}"
            );
            ModelError { kind: ModelErrorKind::Unavailable, message }
        })?;
        let request = asking.budget.admit(gateway, &route, request)?;
        Ok((route, request))
    }

    async fn ask_model(
        &self,
        ordinal: u32,
        route: Route,
        started: CallStarted,
    ) -> Result<Result<Completion, ModelError>, AskError> {
        self.engine.parts.store.note_call_started(started.clone());
        self.show(Live::CallStarted {
            stage: self.key.clone(),
            attempt: self.attempt,
            ordinal,
            provider: route.provider.clone(),
            model: route.model.clone(),
        });
        let question = Question {
            route,
            request: Arc::clone(&started.request),
            time_max: self
                .choice
                .call_time_ms_max
                .map_or(self.engine.settings.model_call_time_max, Duration::from_millis),
            idempotency_key: self.idempotency_key(ordinal),
        };
        let open = OpenCall { engine: Arc::clone(&self.engine), started: Some(started) };
        let answered =
            self.engine.parts.gateway.ask(question, &|delta| self.show_delta(ordinal, delta)).await;
        self.keep(ordinal, open.close(), answered).await
    }

    /// Makes the answer durable, in one transaction with the event that says so.
    async fn keep(
        &self,
        ordinal: u32,
        started: CallStarted,
        answered: Answered,
    ) -> Result<Result<Completion, ModelError>, AskError> {
        let call = started.call.clone();
        let answer = kept_answer(started, answered, self.engine.parts.clock.now());
        let outcome = answer.outcome.clone();
        let note = ModelCallNote {
            stage: self.stage,
            attempt: self.attempt,
            ordinal,
            call,
            outcome: noted(&outcome),
        };
        let beside = vec![Beside::Answer(Box::new(answer.clone()))];
        match self.engine.commit_patiently(&self.cell, Command::NoteModelCall(note), beside).await {
            Ok(_) => Ok(outcome),
            // The run went another way while the model answered. The answer was paid for, so that it is kept.
            Err(Error::Refused { .. }) => {
                if let Err(error) = self.engine.parts.store.keep_answer(answer).await {
                    tracing::error!(run.id = %self.cell.id, %error, "an answer that came too late could not be kept");
                }
                Err(self.interrupt("the run does not want the attempt any more"))
            }
            Err(error) => Err(self.interrupt(&error.to_string())),
        }
    }

    fn interrupt(&self, why: &str) -> AskError {
        self.interrupted.store(true, Ordering::SeqCst);
        AskError::Stop(Fault { kind: FaultKind::Host, message: why.to_owned() })
    }

    fn diverged(&self, kept: &Journaled, asked: &ModelRequest) -> Fault {
        let message = format!(
            "the stage asked something else than before the interruption, at question {} of attempt {}: nothing was asked again. A stage must depend on nothing but its context; retry the stage to start it anew.\n\nkept in the journal:\n{}\n\nasked now:\n{}",
            kept.ordinal,
            self.attempt,
            request::shown(&kept.request),
            request::shown(asked),
        );
        Fault { kind: FaultKind::ReplayDiverged, message }
    }

    /// The same for the same question, before and after a crash.
    fn idempotency_key(&self, ordinal: u32) -> String {
        format!("{}/{}/{}/{ordinal}", self.cell.id, self.key, self.attempt)
    }

    fn show_delta(&self, ordinal: u32, delta: Delta) {
        let (stage, attempt) = (self.key.clone(), self.attempt);
        match delta {
            Delta::Text(text) => self.show(Live::Text { stage, attempt, ordinal, text }),
            Delta::Reasoning(text) => self.show(Live::Reasoning { stage, attempt, ordinal, text }),
            Delta::Retrying { try_number, wait_ms, cause } => {
                tracing::info!(run.id = %self.cell.id, stage = %self.key, try_number, wait_ms, "asking again: {cause}");
            }
        }
    }

    fn show(&self, live: Live) {
        // Nobody may be watching; that is no error.
        self.cell.live.send(live).ok();
    }
}

impl ModelPort for AttemptModels {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(self.ask_next(request))
    }
}

/// What the log says about a call.
fn noted(outcome: &Result<Completion, ModelError>) -> CallOutcome {
    match outcome {
        Ok(completion) => CallOutcome::Answered {
            model: completion.model.clone(),
            input_tokens: completion.usage.input_tokens,
            output_tokens: completion.usage.output_tokens,
        },
        Err(error) => CallOutcome::Failed {
            code: error.kind.code().to_owned(),
            message: error.message.clone(),
        },
    }
}

/// The record of a call that has ended.
pub(crate) fn kept_answer(
    started: CallStarted,
    answered: Answered,
    at: domain::Timestamp,
) -> CallAnswered {
    let timing = CallTiming {
        first_token_ms: answered.timing.first_token_ms,
        total_ms: answered.timing.total_ms,
        tries: answered.timing.tries,
    };
    CallAnswered { started, outcome: answered.outcome, timing, at }
}

/// A call that is under way. Dropped before its end (the run was canceled, or the attempt ran out of time), it is
/// recorded as canceled; that is no answer, and a replay would ask again.
struct OpenCall {
    engine: Arc<Inner>,
    started: Option<CallStarted>,
}

impl OpenCall {
    fn close(mut self) -> CallStarted {
        self.started.take().expect("a call is closed once")
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let Some(started) = self.started.take() else { return };
        if self.engine.giving_up.is_cancelled() {
            // The host stops: the call stays open, and the next start asks it again under the same key.
            return;
        }
        let at = self.engine.parts.clock.now();
        let timing =
            CallTiming { first_token_ms: None, total_ms: at.ms_since(started.at), tries: 1 };
        let message = "the attempt was stopped while the model was answering".to_owned();
        let outcome = Err(ModelError { kind: ModelErrorKind::Canceled, message });
        let answer = CallAnswered { started, outcome, timing, at };
        let engine = Arc::clone(&self.engine);
        self.engine.spawn(async move {
            if let Err(error) = engine.parts.store.keep_answer(answer).await {
                tracing::error!(%error, "a canceled call could not be recorded");
            }
        });
    }
}
