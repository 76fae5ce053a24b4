//! Talks to a model outside of any run. The call is recorded like every other.
//!
//! Invariants: no piece of an answer is skipped, because a slow reader slows the provider down; and when nobody wants the
//! answer any more, the provider is stopped and what was used is recorded.
mod check;

use std::sync::Arc;

use domain::CallId;
use domain::model::{Completion, ModelError, ModelErrorKind, ModelRequest};
use domain::port::BoxFuture;
use gateway::{Answered, CheckCall, Checked, Delta, Listener, Question, Route};
use store::{AnswerSource, CallOrigin, CallStarted, CallTiming};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::{DayAsk, Held, Hold, Quote};
use crate::commands::invalid;
use crate::lifecycle::Inner;
use crate::models::{is_canceled, kept_answer};
use crate::outlet::Outlet;
use crate::{ChatAsk, Engine, Error, request};

/// The client that the records name for checks of providers.
pub const CHECK_CLIENT: &str = "providers check";

/// What is told while an answer is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatDelta {
    /// A piece of the answer.
    Text(String),
    /// A piece of what the model thinks before it answers.
    Reasoning(String),
    /// A try failed, and another follows. Never after a piece.
    Retrying {
        /// Number of the try that follows.
        try_number: u32,
        /// How long it is waited for.
        wait_ms: u64,
        /// Why the try before failed.
        cause: String,
    },
    /// Somebody else is asked, because the one before was not available. Never after a piece.
    FallingBack {
        /// Who is asked now.
        provider: String,
        /// Which model.
        model: String,
        /// Why the one before was not available.
        cause: String,
    },
}

/// An answer.
#[derive(Debug, Clone)]
pub struct ChatAnswer {
    /// Names the record of the call.
    pub call_id: CallId,
    /// The answer.
    pub completion: Completion,
    /// Who answered.
    pub provider: String,
    /// Where the answer came from.
    pub source: AnswerSource,
    /// Why somebody else answered than the one that was asked; `None` if nobody else did.
    pub fallback_reason: Option<String>,
    /// How long it took.
    pub timing: CallTiming,
    /// The conversation that the records count the call to.
    pub conversation_id: String,
}

/// Hears an answer for whoever asked, if they want pieces.
struct Hearing(Option<Outlet<ChatDelta>>);

impl Engine {
    /// Asks a model. Every piece goes to `deltas`; the provider waits while there is no room. If the receiver or this
    /// future is dropped, nobody wants the answer: the provider is stopped, and what was used is recorded.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a request that cannot be asked, [`Error::Model`] if the model did not answer.
    pub async fn chat(&self, ask: ChatAsk, deltas: Sender<ChatDelta>) -> Result<ChatAnswer, Error> {
        self.chat_with(ask, Hearing(Some(Outlet::new(deltas)))).await
    }

    /// The same for those who want the whole answer only.
    ///
    /// # Errors
    /// Those of [`Engine::chat`].
    pub async fn chat_whole(&self, ask: ChatAsk) -> Result<ChatAnswer, Error> {
        self.chat_with(ask, Hearing(None)).await
    }

    /// Asks a provider for its models and for a few tokens, to see whether it works as configured. The call is recorded
    /// like every other, as one of the client [`CHECK_CLIENT`].
    ///
    /// # Errors
    /// [`Error::Model`] if the provider does not work.
    pub async fn check_provider(&self, provider: &str) -> Result<Checked, Error> {
        let (inner, provider) = (Arc::clone(&self.0), provider.to_owned());
        self.apart(async move { inner.check_provider(provider).await }).await
    }

    async fn chat_with(&self, ask: ChatAsk, hearing: Hearing) -> Result<ChatAnswer, Error> {
        let inner = Arc::clone(&self.0);
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        self.apart(async move { inner.ask_chat(ask, &hearing, &stop).await }).await
    }
}

impl Inner {
    async fn ask_chat(
        self: &Arc<Self>,
        ask: ChatAsk,
        hearing: &Hearing,
        stop: &CancellationToken,
    ) -> Result<ChatAnswer, Error> {
        check::check(&ask)?;
        let route = self.chat_route(&ask)?;
        let mut asked =
            ModelRequest { messages: ask.messages, options: ask.options, label: ask.label };
        let request_digest = request::digest(&asked);
        let begun = Instant::now();
        let hold = tokio::select! {
            hold = self.hold_for_chat(&route, &mut asked) => hold?,
            // Nothing is asked yet, so that there is nothing to record.
            () = hearing.abandoned() => return Err(not_wanted()),
            () = stop.cancelled() => return Err(not_wanted()),
            () = self.giving_up.cancelled() => return Err(Error::ShuttingDown),
        };
        let call = self.parts.clock.new_call_id();
        // What the store takes as well, if it is not told.
        let named = ask.conversation_id.as_ref().or(ask.session_id.as_ref());
        let conversation_id = named.cloned().unwrap_or_else(|| call.to_string());
        let started = CallStarted {
            call,
            origin: CallOrigin::Chat { session_id: ask.session_id, client_id: ask.client_id },
            conversation_id: ask.conversation_id,
            request: Arc::new(asked),
            request_digest,
            provider: route.provider.clone(),
            model: route.model.clone(),
            at: self.parts.clock.now(),
        };
        let question = Question {
            route,
            alternatives: Vec::new(),
            request: Arc::clone(&started.request),
            time_max: self.settings.model_call_time_max.saturating_sub(begun.elapsed()),
            idempotency_key: started.call.to_string(),
            caching: ask.caching,
            stop: stop.clone(),
        };
        self.answer_chat((started, question, hold), hearing, conversation_id).await
    }

    async fn check_provider(&self, provider: String) -> Result<Checked, Error> {
        let at = self.parts.clock.now();
        let mut checked = self.parts.gateway.check(&provider).await.map_err(Error::Model)?;
        let Some(CheckCall { request, completion, timing }) = checked.call.take() else {
            return Ok(checked);
        };
        let route = self.parts.gateway.route(&provider, None);
        let route = route.map_err(|unknown| invalid("/provider", unknown.to_string()))?;
        let started = CallStarted {
            call: self.parts.clock.new_call_id(),
            origin: CallOrigin::Chat { session_id: None, client_id: Some(CHECK_CLIENT.to_owned()) },
            conversation_id: None,
            request_digest: request::digest(&request),
            request,
            provider: route.provider.clone(),
            model: route.model.clone(),
            at,
        };
        let answered = Answered {
            outcome: Ok(completion),
            timing,
            broken_off: None,
            route,
            source: AnswerSource::Provider,
            passed_over: Vec::new(),
        };
        let answer = kept_answer(started, answered, self.parts.clock.now());
        self.days.count(&answer);
        self.keep_patiently(answer).await?;
        Ok(checked)
    }

    fn chat_route(&self, ask: &ChatAsk) -> Result<Route, Error> {
        let provider = ask.provider.as_deref().unwrap_or(&self.settings.default_provider);
        let pointer = if ask.provider.is_some() { "/provider" } else { "/model" };
        let route = self.parts.gateway.route(provider, ask.model.as_deref());
        route.map_err(|unknown| invalid(pointer, unknown.to_string()))
    }

    /// Holds what the answer may use of the day, and bounds it by that.
    async fn hold_for_chat(
        self: &Arc<Self>,
        route: &Route,
        asked: &mut ModelRequest,
    ) -> Result<Option<Hold>, Error> {
        if self.days.is_unbounded() {
            return Ok(None);
        }
        let counted = asked.clone();
        let input = self.blocking(move |inner| inner.parts.gateway.count_tokens(&counted)).await;
        let routes = [(route.clone(), Quote::of(&self.parts.gateway, route, input))];
        let max_tokens = asked.options.max_tokens;
        let ask = DayAsk { routes: &routes, max_tokens, needed: None, grants: &[] };
        let now = || self.parts.clock.now();
        let held = self.days.hold(&ask, now, self.settings.model_call_time_max).await;
        let Held { hold, max_tokens, .. } = held.map_err(|refused| Error::Model(refused.into()))?;
        asked.options.max_tokens = max_tokens;
        Ok(Some(hold))
    }

    /// Asks, makes what comes of it durable, and hands on the last pieces.
    async fn answer_chat(
        &self,
        (started, question, hold): (CallStarted, Question, Option<Hold>),
        hearing: &Hearing,
        conversation_id: String,
    ) -> Result<ChatAnswer, Error> {
        self.parts.store.note_call_started(started.clone());
        let stop = question.stop.clone();
        let answered = self.answered_chat(question, hearing, &conversation_id).await;
        let answer = kept_answer(started, answered, self.parts.clock.now());
        let gives_up = self.giving_up.is_cancelled() && is_canceled(&answer.outcome);
        if gives_up && answer.spent.is_none() {
            // The call stays open in the records; the next start closes it.
            return Err(Error::ShuttingDown);
        }
        self.keep_patiently(answer.clone()).await?;
        if let Some(hold) = hold {
            hold.settle(&answer);
        }
        tokio::select! {
            () = hearing.flushed() => {}
            () = stop.cancelled() => {}
            () = self.giving_up.cancelled() => {}
        }
        if gives_up {
            return Err(Error::ShuttingDown);
        }
        Ok(ChatAnswer {
            call_id: answer.started.call,
            completion: answer.outcome.map_err(Error::Model)?,
            provider: answer.provider,
            source: answer.source,
            fallback_reason: answer.fallback_reason,
            timing: answer.timing,
            conversation_id,
        })
    }

    /// Asks until there is an answer or nobody wants it; in any case, what was used is told.
    async fn answered_chat(
        &self,
        question: Question,
        hearing: &Hearing,
        conversation_id: &str,
    ) -> Answered {
        let stop = question.stop.clone();
        let gateway = &self.parts.gateway;
        let mut asking = Box::pin(gateway.ask_in(conversation_id, question, hearing));
        tokio::select! {
            biased;
            answered = &mut asking => return answered,
            () = hearing.abandoned() => {}
            () = self.giving_up.cancelled() => {}
        }
        stop.cancel();
        asking.await
    }
}

fn not_wanted() -> Error {
    let message = "nobody waits for the answer any more".to_owned();
    Error::Model(ModelError { kind: ModelErrorKind::Canceled, message })
}

impl Hearing {
    /// Waits until nobody reads the pieces any more; for ever where nobody ever did.
    async fn abandoned(&self) {
        match &self.0 {
            Some(outlet) => outlet.abandoned().await,
            None => std::future::pending().await,
        }
    }

    async fn flushed(&self) {
        if let Some(outlet) = &self.0 {
            outlet.flushed().await;
        }
    }
}

impl Listener for Hearing {
    fn hear(&self, delta: Delta) {
        let Some(outlet) = &self.0 else { return };
        outlet.put(match delta {
            Delta::Text(text) => ChatDelta::Text(text),
            Delta::Reasoning(text) => ChatDelta::Reasoning(text),
            Delta::Retrying { try_number, wait_ms, cause } => {
                ChatDelta::Retrying { try_number, wait_ms, cause }
            }
            Delta::FallingBack { to: Route { provider, model }, cause } => {
                ChatDelta::FallingBack { provider, model, cause }
            }
        });
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        match &self.0 {
            Some(outlet) if outlet.is_full() => Box::pin(outlet.room()),
            Some(_) | None => Box::pin(std::future::ready(())),
        }
    }
}
