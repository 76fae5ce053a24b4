//! Answers the questions of one attempt: from the journal where an answer is kept, else from a model.
//!
//! Invariant: an answer is durable before the guest sees it as a whole, and a kept answer is never asked for again.
mod admission;
mod call;
mod record;
mod stream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use domain::model::{Completion, ModelError, ModelErrorKind, ModelRequest};
use domain::plan::ModelChoice;
use domain::port::{AnswerStream, AskError, BoxFuture, ModelPort};
use domain::run::{BudgetBound, Command};
use domain::{CallId, Digest, Fault, FaultKind, StageIdx, StageKey};
use store::{CallOrigin, CallStarted, Journaled};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use crate::budget::Budget;
use crate::drive::{AttemptStep, History};
use crate::lifecycle::Inner;
use crate::outlet::Outlet;
use crate::registry::RunCell;
use crate::{Error, request};
use admission::NotAdmitted;
use call::{Ending, OpenCall, carry_out};
pub(crate) use record::{is_canceled, kept_answer};
use stream::{KeptStream, LiveStream, OpenStream, PIECE_COUNT_MAX};

/// The port of one attempt.
pub(crate) struct AttemptModels(Arc<Attempted>);

/// The attempt, as its calls see it.
struct Attempted {
    engine: Arc<Inner>,
    cell: Arc<RunCell>,
    stage: StageIdx,
    key: StageKey,
    attempt: u32,
    choice: ModelChoice,
    call_count_max: u32,
    /// Locked while a question is worked on, also if the stage has dropped its answer.
    asking: Arc<Mutex<Asking>>,
    is_streaming: AtomicBool,
    interrupted: std::sync::Mutex<Option<Interruption>>,
}

/// Why an attempt was stopped, if the reason is not its own: its end means nothing then.
pub(crate) enum Interruption {
    /// The host shuts down.
    Shutdown,
    /// A person has to allow more of a budget.
    Budget(BudgetBound),
    /// An answer could not be put into the log of the run, or the run does not want it any more.
    Error(Error),
}

/// How far the attempt has asked.
struct Asking {
    ordinal: u32,
    journal: HashMap<u32, Journaled>,
    budget: Budget,
}

/// What comes of the next question.
enum Next {
    /// It was asked before.
    Kept { call: CallId, outcome: Result<Completion, ModelError> },
    /// It is to be asked.
    Open(Box<OpenCall>),
}

impl AttemptModels {
    pub(crate) async fn open(
        engine: &Arc<Inner>,
        cell: &Arc<RunCell>,
        step: &AttemptStep,
    ) -> Result<Self, Error> {
        let AttemptStep { run, stage, attempt, history, .. } = step;
        let planned = run.plan().stage(*stage).expect("an attempt is made at a stage of the plan");
        let store = &engine.parts.store;
        let journal = match history {
            History::None => Vec::new(),
            History::Journal => store.journaled(&cell.id, &planned.key, *attempt).await?,
        };
        let asking = Asking {
            ordinal: 0,
            journal: journal.into_iter().map(|kept| (kept.ordinal, kept)).collect(),
            budget: Budget::open(store, run, *stage).await?,
        };
        Ok(Self(Arc::new(Attempted {
            engine: Arc::clone(engine),
            cell: Arc::clone(cell),
            stage: *stage,
            key: planned.key.clone(),
            attempt: *attempt,
            choice: planned.model.clone(),
            call_count_max: planned.limits.model_call_count_max,
            asking: Arc::new(Mutex::new(asking)),
            is_streaming: AtomicBool::new(false),
            interrupted: std::sync::Mutex::new(None),
        })))
    }

    /// Waits until the records of all questions are durable, those that the stage dropped included.
    pub(crate) async fn settled(&self) {
        drop(self.0.asking.lock().await);
    }

    /// Why the attempt was stopped, if the reason is not its own.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.0.interrupted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ModelPort for AttemptModels {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(self.0.ask_next(request))
    }

    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        Box::pin(self.0.stream_next(request))
    }
}

impl Attempted {
    async fn ask_next(self: &Arc<Self>, asked: ModelRequest) -> Result<Completion, AskError> {
        let mut asking = self.begin().await?;
        let outcome = match self.next_call(&mut asking, asked).await? {
            Next::Kept { outcome, .. } => outcome,
            Next::Open(call) => {
                let ending = Ending::new();
                let _stop = ending.stop.clone().drop_guard();
                let work = carry_out(Arc::clone(self), asking, *call, None, ending);
                self.engine.finish(work).await?
            }
        };
        outcome.map_err(AskError::Model)
    }

    async fn stream_next(
        self: &Arc<Self>,
        asked: ModelRequest,
    ) -> Result<Box<dyn AnswerStream>, AskError> {
        let mut asking = self.begin().await?;
        let call = match self.next_call(&mut asking, asked).await? {
            Next::Open(call) => call,
            Next::Kept { call, outcome } => {
                let text = self.kept_text(&call, &outcome).await?;
                let open = Some(OpenStream::begin(self));
                return Ok(Box::new(KeptStream { text, outcome, open }));
            }
        };
        let (sender, pieces) = mpsc::channel(PIECE_COUNT_MAX);
        let (told, outcome) = oneshot::channel();
        let ending = Ending::new();
        let outlet = Some(Outlet::new(sender));
        let work = carry_out(Arc::clone(self), asking, *call, outlet, Arc::clone(&ending));
        let work = Box::pin(work);
        self.engine.spawn(async move {
            // The stage may have dropped its end; then nobody wants to know.
            told.send(work.await).ok();
        });
        let open = Some(OpenStream::begin(self));
        Ok(Box::new(LiveStream { pieces, outcome, ending, open, ended: None }))
    }

    /// The turn of the next question: when what the stage dropped before it is recorded.
    async fn begin(&self) -> Result<OwnedMutexGuard<Asking>, AskError> {
        if self.is_streaming.load(Ordering::Acquire) {
            let message =
                "an answer is still being streamed: read it to its end or drop it, and ask then"
                    .to_owned();
            return Err(AskError::Model(ModelError { kind: ModelErrorKind::Rejected, message }));
        }
        let asking = Arc::clone(&self.asking).lock_owned().await;
        if self.interrupted.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            // The attempt runs again from the question that stopped it: an answer to a later one would be kept at a place
            // that the journal does not know.
            let message = "the attempt was stopped before this question".to_owned();
            return Err(AskError::Stop(Fault { kind: FaultKind::Host, message }));
        }
        Ok(asking)
    }

    async fn next_call(&self, asking: &mut Asking, asked: ModelRequest) -> Result<Next, AskError> {
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
                return Ok(Next::Kept { call: kept.call.clone(), outcome: outcome.clone() });
            }
        }
        if self.engine.draining.is_cancelled() {
            return Err(self.interrupt(Interruption::Shutdown, "the host is shutting down"));
        }
        // The same every time, so that the journal need not know of it.
        self.check_call_count(ordinal).map_err(AskError::Model)?;
        let admitted = match self.admitted(asking, &filled_in).await {
            Ok(admitted) => Ok(admitted),
            Err(NotAdmitted::Refused(refused)) => Err(refused),
            Err(NotAdmitted::Gate(bound)) => {
                let why = "a budget is used up, and a person is asked";
                return Err(self.interrupt(Interruption::Budget(bound), why));
            }
        };
        let mut request = filled_in;
        if let Ok(admitted) = &admitted {
            request.options.max_tokens = admitted.max_tokens;
        }
        // A call that was in flight at a crash is the same call, asked again.
        let started = self.started(ordinal, kept.map(|kept| kept.call), request, digest);
        Ok(Next::Open(Box::new(OpenCall { ordinal, started, admitted })))
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
            conversation_id: None,
            at: clock.now(),
        }
    }

    fn check_call_count(&self, ordinal: u32) -> Result<(), ModelError> {
        let max = self.call_count_max;
        if ordinal <= max {
            return Ok(());
        }
        Err(ModelError::too_many_calls(max))
    }

    /// The text that a stream gives again. An answer that broke off gave what had come.
    async fn kept_text(
        &self,
        call: &CallId,
        outcome: &Result<Completion, ModelError>,
    ) -> Result<Option<String>, AskError> {
        if let Ok(completion) = outcome {
            return Ok(Some(completion.content.clone()));
        }
        match self.engine.parts.store.call(call).await {
            Ok(detail) => Ok(detail.and_then(|detail| detail.answer).map(|part| part.content)),
            Err(error) => {
                let why = error.to_string();
                Err(self.interrupt(Interruption::Error(error.into()), &why))
            }
        }
    }

    /// Puts it into the log of the run when budgets are nearly used up, those of who answered included.
    async fn warn(&self, asking: &mut Asking, provider: &str) -> Result<(), Error> {
        let now = self.engine.parts.clock.now();
        self.engine.days.turn_to(now).await;
        let due = asking.budget.due_warnings(&self.engine.days, provider, now);
        for bound in due {
            let (stage, attempt) = (self.stage, self.attempt);
            let warning = Command::WarnBudget { stage, attempt, bound };
            self.engine.commit_patiently(&self.cell, warning, Vec::new()).await?;
        }
        Ok(())
    }

    fn interrupt(&self, interruption: Interruption, why: &str) -> AskError {
        let mut first = self.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(interruption);
        AskError::Stop(Fault { kind: FaultKind::Host, message: why.to_owned() })
    }

    fn diverged(&self, kept: &Journaled, asked: &ModelRequest) -> Fault {
        let [before, now] = request::shown_differing(&kept.request, asked);
        let message = format!(
            "the stage asked something else than before the interruption, at question {} of attempt {}: nothing was asked again. A stage must depend on nothing but its context; retry the stage to start it anew.\n\nkept in the journal:\n{before}\n\nasked now:\n{now}",
            kept.ordinal, self.attempt,
        );
        Fault { kind: FaultKind::ReplayDiverged, message }
    }

    /// Longest time for one call, its retries and the wait for a budget's place included.
    fn call_time_max(&self) -> Duration {
        let usual = self.engine.settings.model_call_time_max;
        self.choice.call_time_ms_max.map_or(usual, Duration::from_millis)
    }
}
