//! Ports that answer from files, write down what others answer, or bound how often is asked.
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::model::{Completion, FinishReason, ModelError, ModelRequest, Usage, UsageSource};
use domain::port::{AnswerStream, AskError, BoxFuture, ModelPort};
use domain::{Fault, FaultKind};

use super::{Answer, Exchange, digest_of};

/// No code panics while it holds one of these locks with the value half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stop(message: &str) -> AskError {
    AskError::Stop(Fault { kind: FaultKind::Host, message: message.to_owned() })
}

/// An answer that is known from its start to its end.
pub(crate) struct Kept {
    /// What is not given yet.
    text: Option<String>,
    outcome: Result<Completion, AskError>,
}

impl Kept {
    /// The answer of a file; `open` is what becomes of a stage that waits for one that never came.
    pub(crate) fn of(answer: &Answer, open: AskError) -> Self {
        match answer {
            Answer::Complete(completion) => {
                let text = Some(completion.content.clone());
                Self { text, outcome: Ok(completion.clone()) }
            }
            Answer::Failed { error, partial } => {
                let outcome = Err(AskError::Model(error.clone()));
                Self { text: Some(partial.clone()), outcome }
            }
            Answer::Open { partial } => Self { text: Some(partial.clone()), outcome: Err(open) },
        }
    }

    /// The whole answer.
    pub(crate) fn whole(self) -> Result<Completion, AskError> {
        self.outcome
    }

    fn end(&mut self) -> Result<Completion, AskError> {
        self.text = None;
        if let Ok(completion) = &self.outcome
            && completion.finish_reason.as_str() == FinishReason::STOPPED_BY_STAGE
        {
            let message =
                "the stage wants the rest of an answer that it did not want when it was recorded";
            let kind = FaultKind::ReplayDiverged;
            return Err(AskError::Stop(Fault { kind, message: message.to_owned() }));
        }
        self.outcome.clone()
    }
}

impl AnswerStream for Kept {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>> {
        let next = match self.text.take().filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(text)),
            None => self.end().map(|_| None),
        };
        Box::pin(std::future::ready(next))
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(std::future::ready(self.end()))
    }

    fn unwanted(self: Box<Self>) {}
}

/// Gives the answers of files, in their order, whatever is asked.
pub struct Script {
    state: Mutex<ScriptState>,
}

struct ScriptState {
    answers: VecDeque<Answer>,
    asked: Vec<ModelRequest>,
}

impl Script {
    /// Answers in the order in which they are given.
    pub fn new(answers: Vec<Answer>) -> Self {
        Self { state: Mutex::new(ScriptState { answers: answers.into(), asked: Vec::new() }) }
    }

    /// Every question so far, one without an answer included.
    pub fn asked(&self) -> Vec<ModelRequest> {
        lock(&self.state).asked.clone()
    }

    /// Answers that nobody has asked for.
    pub fn unused_count(&self) -> usize {
        lock(&self.state).answers.len()
    }

    fn next(&self, request: ModelRequest) -> Result<Kept, AskError> {
        let mut state = lock(&self.state);
        state.asked.push(request);
        let ordinal = state.asked.len();
        let Some(answer) = state.answers.pop_front() else {
            return Err(stop(&format!(
                "the stage asked question {ordinal}, and there is no answer for it"
            )));
        };
        let open = stop(&format!("answer {ordinal} has neither `content` nor `error`"));
        Ok(Kept::of(&answer, open))
    }
}

impl ModelPort for Script {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(std::future::ready(self.next(request).and_then(Kept::whole)))
    }

    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        let kept = self.next(request).map(|kept| Box::new(kept) as Box<dyn AnswerStream>);
        Box::pin(std::future::ready(kept))
    }
}

/// Refuses further questions of an attempt that has asked as often as it may, as a run does.
pub struct CallBound {
    models: Arc<dyn ModelPort>,
    call_count_max: u32,
    call_count: AtomicU32,
}

impl CallBound {
    /// Lets `call_count_max` questions through.
    pub fn new(models: Arc<dyn ModelPort>, call_count_max: u32) -> Self {
        Self { models, call_count_max, call_count: AtomicU32::new(0) }
    }

    fn admit(&self) -> Result<(), AskError> {
        // An attempt asks one question after another, so that nothing is ordered by this count.
        if self.call_count.fetch_add(1, Ordering::Relaxed) < self.call_count_max {
            return Ok(());
        }
        Err(AskError::Model(ModelError::too_many_calls(self.call_count_max)))
    }
}

impl ModelPort for CallBound {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        match self.admit() {
            Ok(()) => self.models.ask(request),
            Err(refused) => Box::pin(std::future::ready(Err(refused))),
        }
    }

    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        match self.admit() {
            Ok(()) => self.models.stream(request),
            Err(refused) => Box::pin(std::future::ready(Err(refused))),
        }
    }
}

/// Writes down what is asked of another port, and what that one answers.
pub struct Recorder {
    models: Arc<dyn ModelPort>,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Recorder {
    /// Writes down what goes through to `models`.
    pub fn new(models: Arc<dyn ModelPort>) -> Self {
        Self { models, exchanges: Arc::default() }
    }

    /// Everything that was asked so far. What is asked at this moment is open.
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.exchanges).clone()
    }

    fn begin(&self, request: &ModelRequest) -> Entry {
        let mut exchanges = lock(&self.exchanges);
        exchanges.push(Exchange {
            request: request.clone(),
            request_digest: Some(digest_of(request)),
            answer: Answer::Open { partial: String::new() },
        });
        Entry { exchanges: Arc::clone(&self.exchanges), idx: exchanges.len() - 1 }
    }
}

/// Where an answer is written down.
struct Entry {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    idx: usize,
}

impl Entry {
    fn write(&self, answer: Answer) {
        lock(&self.exchanges)[self.idx].answer = answer;
    }

    fn ended(&self, outcome: &Result<Completion, AskError>, partial: &str) {
        let partial = partial.to_owned();
        self.write(match outcome {
            Ok(completion) => Answer::Complete(completion.clone()),
            Err(AskError::Model(error)) => Answer::Failed { error: error.clone(), partial },
            Err(AskError::Stop(_)) => Answer::Open { partial },
        });
    }
}

impl ModelPort for Recorder {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async move {
            let entry = self.begin(&request);
            let outcome = self.models.ask(request).await;
            entry.ended(&outcome, "");
            outcome
        })
    }

    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        Box::pin(async move {
            let entry = self.begin(&request);
            match self.models.stream(request).await {
                Ok(answer) => {
                    let recorded =
                        Recorded { answer, entry, seen: String::new(), has_ended: false };
                    Ok(Box::new(recorded) as Box<dyn AnswerStream>)
                }
                Err(refused) => {
                    entry.ended(&Err(refused.clone()), "");
                    Err(refused)
                }
            }
        })
    }
}

/// An answer that is written down while it comes.
struct Recorded {
    answer: Box<dyn AnswerStream>,
    entry: Entry,
    seen: String,
    has_ended: bool,
}

impl AnswerStream for Recorded {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>> {
        Box::pin(async move {
            let next = self.answer.next().await;
            match &next {
                Ok(Some(piece)) => {
                    self.seen.push_str(piece);
                    self.entry.write(Answer::Open { partial: self.seen.clone() });
                }
                Ok(None) => {
                    // Only the end says what was used and why it ended.
                    let whole = self.answer.finish().await;
                    self.has_ended = true;
                    self.entry.ended(&whole, &self.seen);
                }
                Err(error) => {
                    self.has_ended = true;
                    self.entry.ended(&Err(error.clone()), &self.seen);
                }
            }
            next
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async move {
            let whole = self.answer.finish().await;
            self.has_ended = true;
            self.entry.ended(&whole, &self.seen);
            whole
        })
    }

    fn unwanted(self: Box<Self>) {
        let Self { answer, entry, seen, has_ended } = *self;
        answer.unwanted();
        if has_ended {
            return;
        }
        entry.write(Answer::Complete(Completion {
            content: seen,
            finish_reason: FinishReason::Other(FinishReason::STOPPED_BY_STAGE.to_owned()),
            model: String::new(),
            usage: Usage { source: UsageSource::Estimated, ..Usage::default() },
            cost_nano_usd: None,
        }));
    }
}
