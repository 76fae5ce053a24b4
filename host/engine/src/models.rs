//! Answers the questions of one attempt: from the journal where an answer is kept, else from a model.
//!
//! Invariant: an answer is durable before the guest sees it, and a kept answer is never asked for again.
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use domain::model::{Completion, ModelError, ModelErrorKind, ModelRequest};
use domain::plan::ModelChoice;
use domain::port::{AskError, BoxFuture, ModelPort};
use domain::run::{CallOutcome, Command, ModelCallNote, Run};
use domain::{CallId, Digest, Fault, FaultKind, StageIdx, StageKey};
use gateway::{Answered, Delta, Question, Route};
use store::{Beside, CallAnswered, CallOrigin, CallStarted, CallTiming, Journaled};
use tokio::sync::Mutex;

use crate::budget::Budget;
use crate::drive::History;
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
    interrupted: std::sync::Mutex<Option<Interruption>>,
}

/// A question that may be asked.
struct Admitted {
    route: Route,
    max_tokens: Option<u32>,
}

/// The question as it goes out.
fn within(mut request: ModelRequest, admitted: &Result<Admitted, ModelError>) -> ModelRequest {
    if let Ok(admitted) = admitted {
        request.options.max_tokens = admitted.max_tokens;
    }
    request
}

/// Why an attempt was stopped, if the reason is not its own: its end means nothing then.
pub(crate) enum Interruption {
    /// The host shuts down.
    Shutdown,
    /// An answer could not be put into the log of the run, or the run does not want it any more.
    Error(Error),
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
        (stage, attempt): (StageIdx, u32),
        history: History,
    ) -> Result<Self, Error> {
        let planned = run.plan().stage(stage).expect("an attempt is made at a stage of the plan");
        let store = &engine.parts.store;
        let journal = match history {
            History::None => Vec::new(),
            History::Journal => store.journaled(&cell.id, &planned.key, attempt).await?,
        };
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
            interrupted: std::sync::Mutex::new(None),
        })
    }

    /// Why the attempt was stopped, if the reason is not its own.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.interrupted.lock().unwrap_or_else(PoisonError::into_inner).take()
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
            return Err(self.interrupt(Interruption::Shutdown, "the host is shutting down"));
        }
        // The same every time, so that the journal need not know of it.
        self.check_call_count(ordinal).map_err(AskError::Model)?;
        let admitted = self.admitted(&asking, &filled_in).await;
        let request = within(filled_in, &admitted);
        // A call that was in flight at a crash is the same call, asked again.
        let started = self.started(ordinal, kept.map(|kept| kept.call), request, digest);
        let outcome = match admitted {
            Ok(Admitted { route, .. }) => self.ask_model(ordinal, route, started).await?,
            // What a budget or a missing provider refuses is an outcome like every other: a replay must not decide
            // it anew, with other numbers.
            Err(refused) => {
                let answered = Answered {
                    outcome: Err(refused),
                    timing: gateway::Timing::default(),
                    broken_off: None,
                };
                let now = self.engine.parts.clock.now();
                self.keep_outcome(ordinal, kept_answer(started, answered, now)).await?
            }
        };
        if let Ok(completion) = &outcome {
            asking.budget.count(&completion.usage, completion.cost_nano_usd);
        }
        outcome.map_err(AskError::Model)
    }

    fn started(
        &self,
        ordinal: u32,
        call: Option<CallId>,
        request: ModelRequest,
        request_digest: Digest,
    ) -> CallStarted {
        let clock = &self.engine.parts.clock;
        CallStarted {
            call: call.unwrap_or_else(|| clock.new_call_id()),
            origin: CallOrigin::Stage {
                run: self.cell.id.clone(),
                stage: self.key.clone(),
                attempt: self.attempt,
                ordinal,
            },
            request: Arc::new(request),
            request_digest,
            provider: self.choice.provider.clone(),
            model: self.choice.model.clone(),
            at: clock.now(),
        }
    }

    fn check_call_count(&self, ordinal: u32) -> Result<(), ModelError> {
        let max = self.call_count_max;
        if ordinal <= max {
            return Ok(());
        }
        let message = format!(
            "the stage may ask {max} times in one attempt; raise `limits.model_calls` in the profile"
        );
        Err(ModelError { kind: ModelErrorKind::BudgetExhausted, message })
    }

    /// Where the question goes, and how long its answer may be.
    async fn admitted(
        &self,
        asking: &Asking,
        request: &ModelRequest,
    ) -> Result<Admitted, ModelError> {
        let gateway = &self.engine.parts.gateway;
        let ModelChoice { provider, model, .. } = &self.choice;
        let route = gateway.route(provider, Some(model)).map_err(|unknown| {
            let message = format!(
                "the run is bound to a provider that is not configured any more: {unknown}"
            );
            ModelError { kind: ModelErrorKind::Unavailable, message }
        })?;
        if asking.budget.is_unbounded() {
            return Ok(Admitted { route, max_tokens: request.options.max_tokens });
        }
        let counted = request.clone();
        let input =
            self.engine.blocking(move |inner| inner.parts.gateway.count_tokens(&counted)).await;
        let max_tokens = asking.budget.admit(gateway, &route, input, request.options.max_tokens)?;
        Ok(Admitted { route, max_tokens })
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
        let answer = kept_answer(open.close(), answered, self.engine.parts.clock.now());
        self.keep_outcome(ordinal, answer).await
    }

    /// Makes an outcome durable before the guest gets it.
    async fn keep_outcome(
        &self,
        ordinal: u32,
        answer: CallAnswered,
    ) -> Result<Result<Completion, ModelError>, AskError> {
        let outcome = answer.outcome.clone();
        let note = ModelCallNote {
            stage: self.stage,
            attempt: self.attempt,
            ordinal,
            call: answer.started.call.clone(),
            outcome: noted(&outcome),
        };
        // From here on the answer is paid for: it is kept also if the attempt is stopped meanwhile.
        let keeping = keep(Arc::clone(&self.engine), Arc::clone(&self.cell), note, answer);
        match self.engine.finish(keeping).await {
            Ok(()) => Ok(outcome),
            Err(error) => {
                let why = error.to_string();
                Err(self.interrupt(Interruption::Error(error), &why))
            }
        }
    }

    fn interrupt(&self, interruption: Interruption, why: &str) -> AskError {
        let mut first = self.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(interruption);
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

/// Makes an answer durable, in one transaction with the event that says so.
async fn keep(
    engine: Arc<Inner>,
    cell: Arc<RunCell>,
    note: ModelCallNote,
    answer: CallAnswered,
) -> Result<(), Error> {
    let beside = vec![Beside::Answer(Box::new(answer.clone()))];
    match engine.commit_patiently(&cell, Command::NoteModelCall(note), beside).await {
        Ok(_) => Ok(()),
        // The run went another way while the model answered.
        Err(refused @ Error::Refused { .. }) => {
            engine.keep_patiently(answer).await.inspect_err(|error| lost(&cell, error))?;
            Err(refused)
        }
        Err(error) => {
            lost(&cell, &error);
            Err(error)
        }
    }
}

fn lost(cell: &RunCell, error: &Error) {
    tracing::error!(run.id = %cell.id, %error, "an answer of a model could not be kept");
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
