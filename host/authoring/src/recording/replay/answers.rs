//! The ports of a replay: recorded answers, given to whom they belong.
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::http::{HttpError, HttpRequest, HttpResponse};
use domain::model::{Completion, ModelRequest};
use domain::port::{AnswerStream, AskError, BoxFuture, HttpAskError, HttpPort, ModelPort};
use domain::{Fault, FaultKind};

use super::{Divergence, Part};
use crate::difference::unified;
use crate::exchange::{Exchange, HttpExchange, Kept, digest_of, line_of, questions_as_yaml};
use crate::recording::Recording;

/// Gives recorded answers to the questions that they belong to.
pub(super) struct Answers {
    state: Mutex<AnswersState>,
    /// How the recorded attempt ended, if it did while a question was open.
    ended: Fault,
    request_count_max: u32,
}

struct AnswersState {
    exchanges: VecDeque<Exchange>,
    asked_count: usize,
    requests: VecDeque<HttpExchange>,
    sent_count: usize,
    divergence: Option<Divergence>,
}

impl Answers {
    pub(super) fn of(recording: &Recording) -> Self {
        let ended = recording.outcome.as_ref().err().cloned().unwrap_or_else(|| Fault {
            kind: FaultKind::Host,
            message: "the recording has no answer to this question".to_owned(),
        });
        let exchanges = recording.exchanges.iter().cloned().collect();
        let requests = recording.requests.iter().cloned().collect();
        let state =
            AnswersState { exchanges, asked_count: 0, requests, sent_count: 0, divergence: None };
        let request_count_max = recording.limits.http_request_count_max;
        Self { state: Mutex::new(state), ended, request_count_max }
    }

    fn lock(&self) -> MutexGuard<'_, AnswersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the questions first differ, recorded ones that were not asked included.
    pub(super) fn divergence(&self) -> Option<Divergence> {
        let mut state = self.lock();
        let found = state.divergence.take().or_else(|| state.unsent());
        found.or_else(|| {
            let missing = state.exchanges.front()?;
            let recorded = questions_as_yaml(std::slice::from_ref(&missing.request));
            Some(Divergence {
                part: Part::Question(state.asked_count + 1),
                message: "it was asked when it was recorded, and is not asked in the replay"
                    .to_owned(),
                diff: unified(("recorded", &recorded), ("replayed", "")),
            })
        })
    }

    fn next(&self, asked: &ModelRequest) -> Result<Kept, AskError> {
        let mut state = self.lock();
        let ordinal = state.asked_count + 1;
        if state.divergence.is_some() {
            return Err(diverged());
        }
        state.asked_count = ordinal;
        let exchange = state.exchanges.pop_front();
        if let Some(divergence) = question_differing(ordinal, exchange.as_ref(), asked) {
            state.divergence = Some(divergence);
            return Err(diverged());
        }
        let exchange = exchange.expect("a question beyond the recorded ones has diverged");
        Ok(Kept::of(&exchange.answer, AskError::Stop(self.ended.clone())))
    }
}

impl AnswersState {
    /// The first recorded request that was not sent.
    fn unsent(&self) -> Option<Divergence> {
        let missing = self.requests.front()?;
        Some(Divergence {
            part: Part::Request(self.sent_count + 1),
            message: "it was sent when it was recorded, and is not sent in the replay".to_owned(),
            diff: unified(("recorded", &text_of(missing)), ("replayed", "")),
        })
    }
}

fn stopped() -> Fault {
    let message = "the stage asks something else than when it was recorded".to_owned();
    Fault { kind: FaultKind::ReplayDiverged, message }
}

fn diverged() -> AskError {
    AskError::Stop(stopped())
}

impl HttpPort for Answers {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpAskError>> {
        Box::pin(std::future::ready(self.send_next(&request)))
    }
}

impl Answers {
    fn send_next(&self, sent: &HttpRequest) -> Result<HttpResponse, HttpAskError> {
        let mut state = self.lock();
        if state.divergence.is_some() {
            return Err(HttpAskError::Stop(stopped()));
        }
        state.sent_count += 1;
        let ordinal = state.sent_count;
        let is_further = u32::try_from(ordinal).map_or(true, |sent| sent > self.request_count_max);
        if is_further {
            let refused = HttpError::too_many_requests(self.request_count_max);
            return Err(HttpAskError::Http(refused));
        }
        let recorded = state.requests.pop_front();
        if let Some(divergence) = request_differing(ordinal, recorded.as_ref(), sent) {
            state.divergence = Some(divergence);
            return Err(HttpAskError::Stop(stopped()));
        }
        match recorded.and_then(|recorded| recorded.answer) {
            Some(outcome) => outcome.map_err(HttpAskError::Http),
            None => Err(HttpAskError::Stop(self.ended.clone())),
        }
    }
}

fn text_of(recorded: &HttpExchange) -> String {
    format!("{}\n", line_of(&recorded.method, &recorded.url))
}

fn request_differing(
    ordinal: usize,
    recorded: Option<&HttpExchange>,
    sent: &HttpRequest,
) -> Option<Divergence> {
    let part = Part::Request(ordinal);
    let after = format!("{}\n", line_of(&sent.method, &sent.url));
    let Some(recorded) = recorded else {
        return Some(Divergence {
            part,
            message: "it is sent in the replay, and was not when it was recorded".to_owned(),
            diff: unified(("recorded", ""), ("replayed", &after)),
        });
    };
    let before = text_of(recorded);
    (!recorded.is_of(sent)).then(|| Divergence {
        part,
        message: match before == after {
            true => {
                "its headers, its body or a secret in its URL are others than when it was recorded"
                    .to_owned()
            }
            false => "the stage sends something else than when it was recorded".to_owned(),
        },
        diff: unified(("recorded", &before), ("replayed", &after)),
    })
}

impl ModelPort for Answers {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(std::future::ready(self.next(&request).and_then(Kept::whole)))
    }

    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        let kept = self.next(&request).map(|kept| Box::new(kept) as Box<dyn AnswerStream>);
        Box::pin(std::future::ready(kept))
    }
}

fn question_differing(
    ordinal: usize,
    recorded: Option<&Exchange>,
    asked: &ModelRequest,
) -> Option<Divergence> {
    let part = Part::Question(ordinal);
    let asked_text = questions_as_yaml(std::slice::from_ref(asked));
    let Some(recorded) = recorded else {
        return Some(Divergence {
            part,
            message: "it is asked in the replay, and was not when it was recorded".to_owned(),
            diff: unified(("recorded", ""), ("replayed", &asked_text)),
        });
    };
    let is_same = match &recorded.request_digest {
        Some(digest) => *digest == digest_of(asked),
        None => recorded.request == *asked,
    };
    if is_same {
        return None;
    }
    // A run fills in what the stage leaves open. That is no difference of the question.
    let mut before = recorded.request.clone();
    if recorded.request_digest.is_some() {
        before.options.max_tokens = before.options.max_tokens.and(asked.options.max_tokens);
        if asked.options.temperature.is_none() {
            before.options.temperature = None;
        }
    }
    let before = questions_as_yaml(std::slice::from_ref(&before));
    let message = if before == asked_text {
        "the question is as it is recorded, and its digest is not: the recording was changed by hand"
    } else {
        "the stage asks something else than when it was recorded"
    };
    Some(Divergence {
        part,
        message: message.to_owned(),
        diff: unified(("recorded", &before), ("replayed", &asked_text)),
    })
}
