//! One call of an attempt, from the question to its durable end.
//!
//! It is worked on apart from the attempt: an attempt that is stopped stops the provider ([`Ending`]), and what was used
//! up to there is recorded all the same.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::StageKey;
use domain::model::{Completion, ModelError, ModelErrorKind};
use domain::port::{AskError, BoxFuture};
use domain::run::{Command, ModelCallNote};
use domain::{Fault, FaultKind};
use gateway::{Answered, Delta, Listener, Question, Route};
use store::{Beside, CallAnswered, CallStarted};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::admission::Admitted;
use super::record::{is_canceled, kept_answer, noted, stopped_by_stage};
use super::{Asking, Attempted, Interruption};
use crate::Error;
use crate::budget::{Amount, Hold};
use crate::lifecycle::Inner;
use crate::live::Live;
use crate::outlet::Outlet;
use crate::registry::RunCell;

/// What came of a call.
pub(super) type Outcome = Result<Result<Completion, ModelError>, AskError>;

/// A question that is about to be asked, or is refused.
pub(super) struct OpenCall {
    pub(super) ordinal: u32,
    pub(super) started: CallStarted,
    pub(super) admitted: Result<Admitted, ModelError>,
}

/// Ends a call from outside.
pub(super) struct Ending {
    /// Fires when nobody wants the answer any more.
    pub(super) stop: CancellationToken,
    /// Who did not want it: the stage, which goes on. Otherwise the attempt was stopped.
    by_stage: AtomicBool,
}

impl Ending {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { stop: CancellationToken::new(), by_stage: AtomicBool::new(false) })
    }

    /// The stage has enough.
    pub(super) fn stop_by_stage(&self) {
        self.by_stage.store(true, Ordering::Release);
        self.stop.cancel();
    }
}

/// Shows an answer while it is written, to whoever watches and to the stage.
struct Hearing {
    cell: Arc<RunCell>,
    stage: StageKey,
    attempt: u32,
    ordinal: u32,
    outlet: Option<Outlet<String>>,
}

/// Asks, and makes what comes of it durable before it is given. The pieces go to the outlet.
pub(super) async fn carry_out(
    attempt: Arc<Attempted>,
    mut asking: OwnedMutexGuard<Asking>,
    call: OpenCall,
    outlet: Option<Outlet<String>>,
    ending: Arc<Ending>,
) -> Outcome {
    let OpenCall { ordinal, started, admitted } = call;
    let admitted = match admitted {
        Ok(admitted) => admitted,
        // What a budget or a missing provider refuses is an outcome like every other: a replay must not decide it
        // anew, with other numbers.
        Err(refused) => {
            let route = Route { provider: started.provider.clone(), model: started.model.clone() };
            let now = attempt.engine.parts.clock.now();
            let answer = kept_answer(started, Answered::refused(route, refused), now);
            return attempt.keep_outcome(&mut asking, ordinal, answer, None).await;
        }
    };
    let hearing = attempt.hearing(ordinal, outlet);
    let (question, hold) = attempt.question(ordinal, &started, admitted, &ending);
    attempt.engine.parts.store.note_call_started(started.clone());
    hearing.show_started(&question.route);
    let conversation = attempt.conversation();
    let gateway = &attempt.engine.parts.gateway;
    let answered = gateway.ask_in(&conversation, question, &hearing).await;
    let answer = kept_answer(started, answered, attempt.engine.parts.clock.now());
    let outcome = attempt.settle(&mut asking, ordinal, answer, (hold, &ending)).await;
    // The stage may be slow to read; nothing else has to wait for that.
    drop(asking);
    if let Some(outlet) = &hearing.outlet {
        outlet.flushed().await;
    }
    outcome
}

impl Attempted {
    fn question(
        &self,
        ordinal: u32,
        started: &CallStarted,
        admitted: Admitted,
        ending: &Ending,
    ) -> (Question, Option<Hold>) {
        let Admitted { route, alternatives, time_max, hold, .. } = admitted;
        let question = Question {
            route,
            alternatives,
            request: Arc::clone(&started.request),
            time_max,
            idempotency_key: self.idempotency_key(ordinal),
            caching: self.choice.caching,
            stop: ending.stop.clone(),
        };
        (question, hold)
    }

    /// The same for the same question, before and after a crash.
    fn idempotency_key(&self, ordinal: u32) -> String {
        format!("{}/{ordinal}", self.conversation())
    }

    /// All questions of an attempt are one conversation; the store names it alike.
    fn conversation(&self) -> String {
        format!("{}/{}/{}", self.cell.id, self.key, self.attempt)
    }

    /// Makes durable what came of a call, canceled or not.
    async fn settle(
        &self,
        asking: &mut Asking,
        ordinal: u32,
        mut answer: CallAnswered,
        (hold, ending): (Option<Hold>, &Ending),
    ) -> Outcome {
        if !is_canceled(&answer.outcome) {
            return self.keep_outcome(asking, ordinal, answer, hold).await;
        }
        if ending.by_stage.load(Ordering::Acquire) {
            return self.keep_outcome(asking, ordinal, stopped_by_stage(answer), hold).await;
        }
        if !ending.stop.is_cancelled() {
            // A canceled call is asked again by a replay. This one ended by itself, and that has to hold.
            if let Err(error) = &mut answer.outcome {
                error.kind = ModelErrorKind::Unavailable;
            }
            return self.keep_outcome(asking, ordinal, answer, hold).await;
        }
        // The host stops: a call that used nothing stays open, and the next start asks it again under the same key.
        let stays_open = self.engine.giving_up.is_cancelled() && answer.spent.is_none();
        if !stays_open {
            let kept = self.engine.keep_patiently(answer.clone()).await;
            kept.unwrap_or_else(|error| lost(&self.cell, &error));
        }
        if let Some(hold) = hold {
            hold.settle(&answer);
        }
        let message = "the attempt was stopped while the model was answering".to_owned();
        Err(AskError::Stop(Fault { kind: FaultKind::Host, message }))
    }

    /// Makes an outcome durable and counts it, before the guest gets it.
    async fn keep_outcome(
        &self,
        asking: &mut Asking,
        ordinal: u32,
        answer: CallAnswered,
        hold: Option<Hold>,
    ) -> Outcome {
        let outcome = answer.outcome.clone();
        let note = ModelCallNote {
            stage: self.stage,
            attempt: self.attempt,
            ordinal,
            call: answer.started.call.clone(),
            outcome: noted(&outcome),
        };
        let kept = keep(&self.engine, &self.cell, note, &answer).await;
        asking.budget.count(Amount::of_call(&answer));
        if let Some(hold) = hold {
            hold.settle(&answer);
        }
        let warned = match kept {
            Ok(()) => self.warn(asking, &answer.provider).await,
            Err(error) => Err(error),
        };
        match warned {
            Ok(()) => Ok(outcome),
            Err(error) => {
                let why = error.to_string();
                Err(self.interrupt(Interruption::Error(error), &why))
            }
        }
    }

    fn hearing(&self, ordinal: u32, outlet: Option<Outlet<String>>) -> Hearing {
        Hearing {
            cell: Arc::clone(&self.cell),
            stage: self.key.clone(),
            attempt: self.attempt,
            ordinal,
            outlet,
        }
    }
}

/// Makes an answer durable, in one transaction with the event that says so.
async fn keep(
    engine: &Arc<Inner>,
    cell: &Arc<RunCell>,
    note: ModelCallNote,
    answer: &CallAnswered,
) -> Result<(), Error> {
    let beside = vec![Beside::Answer(Box::new(answer.clone()))];
    match engine.commit_patiently(cell, Command::NoteModelCall(note), beside).await {
        Ok(_) => Ok(()),
        // The run went another way while the model answered.
        Err(refused @ Error::Refused { .. }) => {
            let kept = engine.keep_patiently(answer.clone()).await;
            kept.inspect_err(|error| lost(cell, error))?;
            Err(refused)
        }
        Err(error) => {
            lost(cell, &error);
            Err(error)
        }
    }
}

fn lost(cell: &RunCell, error: &Error) {
    tracing::error!(run.id = %cell.id, %error, "an answer of a model could not be kept");
}

impl Hearing {
    fn show(&self, live: Live) {
        // Nobody may be watching; that is no error.
        self.cell.live.send(live).ok();
    }

    fn show_started(&self, route: &Route) {
        self.show(Live::CallStarted {
            stage: self.stage.clone(),
            attempt: self.attempt,
            ordinal: self.ordinal,
            provider: route.provider.clone(),
            model: route.model.clone(),
        });
    }
}

impl Listener for Hearing {
    fn hear(&self, delta: Delta) {
        let Hearing { stage, attempt, ordinal, .. } = self;
        let (stage, attempt, ordinal) = (stage.clone(), *attempt, *ordinal);
        match delta {
            Delta::Text(text) => {
                if let Some(outlet) = self.outlet.as_ref().filter(|_| !text.is_empty()) {
                    outlet.put(text.clone());
                }
                self.show(Live::Text { stage, attempt, ordinal, text });
            }
            Delta::Reasoning(text) => self.show(Live::Reasoning { stage, attempt, ordinal, text }),
            Delta::Retrying { try_number, wait_ms, cause } => {
                tracing::info!(run.id = %self.cell.id, %stage, try_number, wait_ms, "asking again: {cause}");
                self.show(Live::Retrying { stage, attempt, ordinal, try_number, wait_ms, cause });
            }
            Delta::FallingBack { to: Route { provider, model }, cause } => {
                tracing::info!(run.id = %self.cell.id, %stage, "asking `{model}` at `{provider}` instead: {cause}");
                self.show(Live::FallingBack { stage, attempt, ordinal, provider, model, cause });
            }
        }
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        match &self.outlet {
            Some(outlet) if outlet.is_full() => Box::pin(outlet.room()),
            Some(_) | None => Box::pin(std::future::ready(())),
        }
    }
}
